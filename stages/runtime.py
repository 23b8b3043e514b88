"""The entry point of a stage: parse its flags, load its settings, record its execution, find its unfinished work, end its process."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from tandem.runtime.distributed import barrier, is_main_process
from tandem.runtime.params import load_params, locate_error, read_params
from tandem.runtime.plan import PlanName, check_plan
from tandem.runtime.rounds import FIRST_ROUND
from tandem.runtime.scratch import open_scratch
from tandem.settings import SettingError, Settings
from tandem.tracking.record import Run, record

__all__ = ["open_stage", "parse", "run"]

INSTANCES = ("round", "update", "name")  # words that tell the executions of one stage apart

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
    """Open a stage: parse its flags, load its settings, record its execution, find its unfinished work.

    Where a launcher started several processes, all but the first write aside, into a folder that goes away.

    Args:
        name: of the stage, of its section in params.yaml and of its file in ``stages``.
        schema: of the section.
        argv: flags; None takes the command line.
        reads: names of flags for inputs, separated by spaces.
        writes: names of flags for outputs; ``record`` comes by itself.
        words: names of flags that are no paths; of a ``round`` (or a ``name`` that is one) or an ``update``, params.yaml's overrides apply.

    Yields:
        The flags, the settings, the record to log to, and a folder for checkpoints that a rerun of the same work finds again.

    Raises:
        ParamsError: a value of params.yaml that the stage's code refuses, with file and whole key.
    """
    paths = parse(name, argv, *reads.split(), *writes.split(), "record", words=words.split())
    plan = check_plan(read_params(paths.params), paths.params)
    called, update = getattr(paths, "name", ""), getattr(paths, "update", "")
    round_id = getattr(paths, "round", called if called in (FIRST_ROUND, *plan.rounds) else "")
    entry: tuple[PlanName, str] = ("updates", update) if update else ("rounds", round_id)
    params = load_params(paths.params, name, schema, entry=entry)
    inputs = {flag: getattr(paths, flag) for flag in reads.split()}
    work, main = "-".join((name, *(getattr(paths, word) for word in words.split() if word in INSTANCES))), is_main_process()
    with tempfile.TemporaryDirectory() as aside:
        for flag in () if main else (*writes.split(), "record"):
            setattr(paths, flag, Path(aside) / flag / getattr(paths, flag).name)
        with (
            record(name, params, paths.record, round_id=round_id, update=update, source=f"stages/{name}.py") as tracked,
            open_scratch(work, values=params.model_dump_json(), inputs=list(inputs.values()), owner=main) as scratch,
        ):
            for flag, path in inputs.items():
                tracked.log_input(flag, path)
            try:
                yield paths, params, tracked, scratch
            except SettingError as error:
                raise locate_error(error, paths.params, name, params, entry=entry) from error
            tracked.log_models(getattr(paths, flag) for flag in writes.split())
            barrier()


def parse(doc: str | None, argv: Sequence[str] | None, *paths: str, words: Sequence[str] = ()) -> argparse.Namespace:
    """Parse ``--name value`` for each path and word, and keep the libraries quiet about what is not the user's concern."""
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    for name in paths:
        parser.add_argument(f"--{name.replace('_', '-')}", type=Path, required=True)
    for name in words:
        parser.add_argument(f"--{name.replace('_', '-')}", required=True)
    _quiet()
    return parser.parse_args(argv)


def run(main: Callable[[], None]) -> None:
    """Run a stage; bad input ends it with one line on standard error, a bug with its traceback.

    The process then ends without tearing down torch and what came with it: all files are closed, and it would take 1.3 s a stage.
    """
    try:
        main()
    except (ValueError, OSError) as error:
        if os.environ.get("TANDEM_TRACEBACK"):
            raise
        sys.exit(f"error: {' '.join(str(error).splitlines())}")
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _quiet() -> None:
    # Bars over the weights of each of the small models that a stage opens; the variable is read when transformers is imported.
    if "transformers" in sys.modules:
        sys.modules["transformers"].utils.logging.disable_progress_bar()
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # else a warning at every fork of a data loader
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
    # "Loading weights" bars and notes on generation flags, one for each of the small models a stage opens.
    logging.getLogger("transformers").setLevel(logging.ERROR)
    # transformers announces a renamed argument on every trainer that TRL builds.
    warnings.filterwarnings("ignore", message=".*tokenizer.*deprecated.*", category=FutureWarning)
    # peft asks transformers for an attribute that transformers has renamed.
    warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*", category=FutureWarning)
