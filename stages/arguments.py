"""How every stage opens: named flags (paths, and the few words that dvc.yaml passes), typed values, a record, a scratch folder."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from tandem.executions import Run, record
from tandem.params import Section, load_params
from tandem.scratch import open_scratch

__all__ = ["open_stage", "parse", "run"]

P = TypeVar("P", bound=Section)


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

    Args:
        name: of the stage and of its section in params.yaml.
        schema: of the section.
        argv: flags; None takes the command line's.
        reads: names of flags for inputs, separated by spaces.
        writes: names of flags for outputs; ``record`` comes by itself.
        words: names of flags that are no paths; ``round`` is kept in the record.

    Yields:
        The flags, the values, the record to log to, and a folder for checkpoints that a rerun of the same work finds again.
    """
    paths = parse(name, argv, *reads.split(), *writes.split(), "record", words=words.split())
    params = load_params(paths.params, name, schema)
    round_id = getattr(paths, "round", "")
    inputs = [getattr(paths, flag) for flag in reads.split()]
    work = f"{name}-{round_id}" if round_id else name
    with (
        record(name, params, paths.record, round_id=round_id) as tracked,
        open_scratch(work, values=params.model_dump_json(), inputs=inputs) as scratch,
    ):
        yield paths, params, tracked, scratch


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
    except (ValueError, FileNotFoundError) as error:
        if os.environ.get("TANDEM_TRACEBACK"):
            raise
        sys.exit(f"error: {error}")
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _quiet() -> None:
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # else a warning at every fork of a data loader
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    # "Loading weights" bars and notes on generation flags, one for each of the small models a stage opens.
    logging.getLogger("transformers").setLevel(logging.ERROR)
    # transformers announces a rename of its own argument on every trainer that TRL builds.
    warnings.filterwarnings("ignore", message=".*tokenizer.*deprecated.*", category=FutureWarning)
