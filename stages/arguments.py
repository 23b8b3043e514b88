"""A stage as a command: its flags, and how its process ends."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

__all__ = ["parse", "run"]


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
    # transformers announces a rename of its own argument on every trainer that TRL builds.
    warnings.filterwarnings("ignore", message=".*tokenizer.*deprecated.*", category=FutureWarning)
    # peft asks transformers for an attribute that transformers has renamed.
    warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*", category=FutureWarning)
