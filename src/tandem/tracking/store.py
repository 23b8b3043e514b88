"""What a sync asks before it imports mlflow: whether a local store has it all already, the order of rounds, the champions to register."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from tandem.runtime.rounds import FIRST_ROUND, RoundPlan

__all__ = ["has_all", "order_rounds", "read_champions", "read_rounds"]


def has_all(uri: str, identities: Sequence[str]) -> bool:
    """Whether a SQLite store has current, finished runs of all these records and views; False of any other store.

    SQLite is asked directly: importing mlflow takes longer than a whole pipeline with nothing to do.

    Args:
        uri: of the store.
        identities: record ids and views.
    """
    if not uri.startswith("sqlite:///") or not Path(uri.removeprefix("sqlite:///")).exists():
        return False
    try:
        with sqlite3.connect(f"file:{uri.removeprefix('sqlite:///')}?mode=ro", uri=True, timeout=5) as store:
            rows = store.execute(
                "SELECT r.value, s.value FROM tags r JOIN tags s ON r.run_uuid = s.run_uuid AND s.key = 'state' "
                "JOIN runs u ON u.run_uuid = r.run_uuid AND u.status = 'FINISHED' AND u.lifecycle_stage = 'active' "
                "WHERE r.key IN ('record_id', 'view')"
            ).fetchall()
    except sqlite3.Error:
        return False
    return set(identities) <= {value for value, state in rows if state == "current"}


def read_champions(retriever: Path, reranker: Path) -> dict[str, Any]:
    """The pipeline's champions by role, for :func:`tandem.tracking.sync.sync`, from what choose_champion and evaluate_reranked wrote."""
    champions: dict[str, Any] = json.loads(retriever.read_text(encoding="utf8"))
    return champions | {"reranker": json.loads(reranker.read_text(encoding="utf8"))}


def read_rounds(path: Path) -> dict[str, RoundPlan]:
    """The rounds that a params.yaml plans; none where it cannot be read, for an execution is shown all the same."""
    try:
        content = YAML(typ="safe").load(path.read_text(encoding="utf8"))
        return {str(name): RoundPlan.model_validate(entry) for name, entry in (content.get("rounds") or {}).items()}
    except (OSError, YAMLError, AttributeError, ValidationError):
        return {}


def order_rounds(names: set[str], planned: Iterable[str]) -> list[str]:
    """Rounds as params.yaml has them, round 0 first; others, such as those of an experiment, behind them, r10 after r2."""
    first = [name for name in (FIRST_ROUND, *planned) if name in names]
    rest = sorted(names - {*first}, key=lambda name: [int(word) if word.isdigit() else word for word in re.split(r"(\d+)", name)])
    return [*first, *rest]
