"""Teacher scores for a student: every query with every candidate, cached by content; the teacher measured before it teaches."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import orjson

from tandem.records import RankingRow
from tandem.rerankers.ranking_data import GradedQuery

__all__ = ["ScoreCache", "area_under_curve", "folder_digest", "teach", "teacher_auc"]

Scorer = Callable[[Sequence[tuple[str, str]]], list[float]]


class ScoreCache:
    """Scores of pairs by their content, kept in a file: what was scored once is not scored again, in this run or a later one.

    Args:
        path: of the file; one JSON line a pair.
        teacher: whatever tells teachers apart: another teacher's scores are never used.
    """

    def __init__(self, path: Path, teacher: str) -> None:
        self.path, self.teacher = path, teacher
        self.scores: dict[str, float] = dict(self._read()) if path.exists() else {}

    def _read(self) -> Iterator[tuple[str, float]]:
        for line in self.path.read_bytes().splitlines():
            try:
                key, score = orjson.loads(line)
            except (orjson.JSONDecodeError, ValueError):
                continue  # the last line of a run that was killed
            yield key, score

    def _key(self, pair: tuple[str, str]) -> str:
        return hashlib.sha256("\x00".join((self.teacher, *pair)).encode()).hexdigest()[:32]

    def score(self, pairs: Sequence[tuple[str, str]], scorer: Scorer, *, chunk: int = 1024) -> list[float]:
        """The scores of pairs, in their order; those that are not known yet come from the scorer, chunk by chunk."""
        keys = [self._key(pair) for pair in pairs]
        missing = list({key: pair for key, pair in zip(keys, pairs, strict=True) if key not in self.scores}.items())
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab") as file:
            for start in range(0, len(missing), chunk):
                batch = missing[start : start + chunk]
                for (key, _), score in zip(batch, scorer([pair for _, pair in batch]), strict=True):
                    self.scores[key] = score
                    file.write(orjson.dumps([key, score], option=orjson.OPT_APPEND_NEWLINE))
                file.flush()
        return [self.scores[key] for key in keys]


def folder_digest(folder: Path) -> str:
    """What tells a saved teacher from another: a digest of every file in its folder."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            digest.update(f"{path.relative_to(folder)}\n".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def teach(rows: Sequence[GradedQuery], score: Scorer, *, temperature: float) -> list[RankingRow]:
    """Rows of the standard grouped form with a teacher's scores in place of labels: ``sigmoid(logit / temperature)``.

    Args:
        rows: queries with the documents to score.
        score: pairs to logits.
        temperature: above 1 softens.
    """
    pairs = [(query, document) for query, documents in rows for document, _ in documents]
    logits = iter(score(pairs))
    taught = []
    for query, documents in rows:
        scores = [float(1 / (1 + np.exp(-next(logits) / temperature))) for _ in documents]
        taught.append(RankingRow(query=query, pos=[text for text, _ in documents], pos_scores=scores))
    return taught


def teacher_auc(rows: Sequence[GradedQuery], score: Scorer) -> float:
    """The area under the curve of a teacher's logits over all pairs, labels as they are; see :func:`area_under_curve`."""
    logits = score([(query, document) for query, documents in rows for document, _ in documents])
    return area_under_curve([label for _, documents in rows for _, label in documents], logits)


def area_under_curve(labels: Sequence[float], scores: Sequence[float]) -> float:
    """The probability that a document of label above .5 scores above one that is not, ties half (Mann and Whitney).

    Returns:
        NaN where one of the two kinds is missing.
    """
    relevant = np.asarray(labels) > 0.5
    if relevant.all() or not relevant.any():
        return float("nan")
    values = np.asarray(scores, dtype=float)
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    positives = int(relevant.sum())
    return float((ranks[relevant].sum() - positives * (positives + 1) / 2) / (positives * (len(values) - positives)))
