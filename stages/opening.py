"""How a stage opens (flags parsed, values loaded, its execution recorded, its unfinished work found) and how it ends."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from stages.arguments import parse, run
from tandem.runtime.distributed import barrier, is_main_process
from tandem.runtime.params import load_params, locate_error, read_params
from tandem.runtime.rounds import check_rounds
from tandem.runtime.scratch import file_identity, open_scratch
from tandem.settings import SettingError, Settings
from tandem.tracking.record import Run, record

__all__ = ["open_stage", "run"]

P = TypeVar("P", bound=Settings)


@contextmanager
def open_stage(
    name: str,
    schema: type[P],
    argv: Sequence[str] | None,
    *,
    reads: str = "",
    writes: str,
    words: str = "",
) -> Iterator[tuple[argparse.Namespace, P, Run, Path]]:
    """Open a stage: parse its flags, load its values, record its execution, find its unfinished work.

    Where a launcher started several processes, all but the first write aside, into a folder that goes away.

    Args:
        name: of the stage and of its section in params.yaml.
        schema: of the section.
        argv: flags; None takes the command line.
        reads: names of flags for inputs, separated by spaces.
        writes: names of flags for outputs; ``record`` comes by itself.
        words: names of flags that are no paths; ``round`` is kept in the record.

    Yields:
        The flags, the values, the record to log to, and a folder for checkpoints that a rerun of the same work finds again.

    Raises:
        InputError: a value that the stage's code refuses, with the section's name before its key.
    """
    paths = parse(name, argv, *reads.split(), *writes.split(), "record", words=words.split())
    check_rounds(read_params(paths.params), paths.params)
    params = load_params(paths.params, name, schema)
    round_id = getattr(paths, "round", "")
    inputs = [getattr(paths, flag) for flag in reads.split()]
    instance = (getattr(paths, word) for word in words.split() if word in ("round", "name"))  # what tells a stage's instances apart
    work, main = "-".join((name, *instance)), is_main_process()
    with tempfile.TemporaryDirectory() as aside:
        for flag in () if main else (*writes.split(), "record"):
            setattr(paths, flag, Path(aside) / flag / getattr(paths, flag).name)
        with (
            record(name, params, paths.record, round_id=round_id) as tracked,
            open_scratch(work, values=params.model_dump_json(), inputs=inputs, owner=main) as scratch,
        ):
            for path in filter(Path.is_file, inputs):  # of folders, DVC has digests
                tracked.log_input(path, file_identity(path))
            try:
                yield paths, params, tracked, scratch
            except SettingError as error:
                raise locate_error(error, paths.params, name, params) from error
            barrier()
