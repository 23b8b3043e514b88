"""The exact ranking of a corpus by MaxSim, a chunk of documents at a time: of vectors just encoded, or of shards on disk."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from ir_measures import ScoredDoc
from sentence_transformers.util import maxsim

from tandem.runs import search_depth, without_own

__all__ = ["rank_by_maxsim"]

SCORED_AT_ONCE = 20_000_000  # similarities of tokens
PADDED_TOGETHER = 256  # documents of like length


def rank_by_maxsim(
    queries: Mapping[str, torch.Tensor], chunks: Iterable[Sequence[torch.Tensor]], doc_ids: Sequence[str], *, depth: int
) -> list[ScoredDoc]:
    """Rank all documents for each query by MaxSim, exactly; of one vector each, that is the inner product.

    Memory holds one chunk and the best documents so far. A document with the query's id is no result.

    Args:
        queries: normalised vectors (vectors, dimensions) by query_id.
        chunks: of the corpus, each document's vectors (vectors, dimensions).
        doc_ids: of the documents of all chunks, in order.
        depth: results a query at most.
    """
    wanted = [vectors.float() for vectors in queries.values()]
    reach = search_depth(queries, frozenset(doc_ids), depth)
    scores, rows = torch.empty(len(wanted), 0), torch.empty(len(wanted), 0, dtype=torch.long)
    first = 0
    for chunk in chunks:
        scores = torch.cat([scores, _score(wanted, chunk)], 1)
        rows = torch.cat([rows, torch.arange(first, first + len(chunk)).expand(len(wanted), -1)], 1)
        order = scores.argsort(dim=1, descending=True, stable=True)[:, :reach]  # equal scores keep the order of the corpus
        scores, rows = scores.gather(1, order), rows.gather(1, order)
        first += len(chunk)
    run = (
        ScoredDoc(query_id, doc_ids[row], score)
        for query_id, query_rows, query_scores in zip(queries, rows.tolist(), scores.tolist(), strict=True)
        for row, score in zip(query_rows, query_scores, strict=True)
    )
    return without_own(run, depth=depth)


def _score(queries: list[torch.Tensor], documents: Sequence[torch.Tensor]) -> torch.Tensor:
    """Scores (queries, documents) of a chunk."""
    lengths = np.array([len(vectors) for vectors in documents])
    if lengths.max() == 1 and all(len(vectors) == 1 for vectors in queries):
        return (torch.cat(queries) @ torch.cat(list(documents)).float().T).cpu()
    scores = torch.empty(len(queries), len(documents))
    order = np.argsort(lengths, kind="stable")
    for columns in np.array_split(order, -(-len(order) // PADDED_TOGETHER)):
        group = [documents[i].float() for i in columns]
        scores[:, torch.from_numpy(columns)] = maxsim(queries, group, chunk_elements=SCORED_AT_ONCE).float().cpu()
    return scores
