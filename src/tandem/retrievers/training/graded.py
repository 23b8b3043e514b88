"""The graded list loss: a teacher's order of a query's keys, learnt as one cross-entropy a rank.

``L = mean_b sum_i w_bi (log sum_{k in {own keys ranked >= i} U {others}} exp s(q_b, k) - s(q_b, k_bi))``, where the keys of row ``b`` are
sorted by the teacher's scores, all of them: no key has its place for being the labelled one. With weights ``softmax(t)`` it is the
stabilised distillation of LLM-Embedder (Zhang et al. 2023, section 3.2), with ``1/G`` the ranking loss of Reinforced-IR, which learns from
the order alone: without other keys it is ListMLE (Xia et al. 2008) over the number of keys.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

__all__ = ["GradedWeights", "graded_loss"]

GradedWeights = Literal["teacher", "uniform"]
LOWEST = -1e30  # stands for a masked score: its exponential is 0 and, unlike infinity's, its gradient too


def graded_loss(scores: Tensor, taught: Tensor, others: Tensor, *, weights: GradedWeights) -> Tensor:
    """The graded list loss of a batch, a scalar in float32; keys of equal teacher scores keep the order that they are given in.

    Args:
        scores: of the student, (rows, keys), divided by its temperature.
        taught: of the teacher, likewise; NaN masks a key. Each row has one at least that is not masked.
        others: the student's scores of other rows' keys, (rows, any number), minus infinity where they are masked.
        weights: ``teacher`` or ``uniform``, over the keys that are not masked.
    """
    known = ~taught.isnan()
    scores, taught = scores.float().masked_fill(~known, LOWEST), taught.float().masked_fill(~known, float("-inf"))
    order = taught.argsort(dim=-1, descending=True, stable=True)
    ranked = scores.gather(-1, order)
    following = ranked.flip(-1).logcumsumexp(-1).flip(-1)
    beside = others.float().clamp(min=LOWEST).logsumexp(-1, keepdim=True).clamp(min=LOWEST)
    losses = torch.logaddexp(following, beside) - ranked
    share = taught.softmax(-1) if weights == "teacher" else known.float() / known.sum(-1, keepdim=True)
    return (share.gather(-1, order) * losses).sum(-1).mean()
