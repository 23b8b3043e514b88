"""Side by side: the centroid of each token vector, as colbert-ai finds it on a CPU and as faiss does in our indexer; as a ratio.

python benchmarks/plaid_codes.py [32768]        # a minute and a half; prints a Markdown table
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import SimpleNamespace

import torch
from colbert.indexing.codecs.residual import ResidualCodec
from torch import Tensor

from tandem.retrievers.index.plaid_indexer import nearest_centroids

VECTORS, DIMENSIONS, REPEATS = 16_384, 32, 3


def timed(find: Callable[[], Tensor]) -> tuple[Tensor, float]:
    """What was found, and the mean of its seconds."""
    started = time.perf_counter()
    found = [find() for _ in range(REPEATS)]
    return found[0], (time.perf_counter() - started) / REPEATS


def main(number: int) -> None:
    """Random unit vectors and centroids, of which both must choose the same."""
    torch.manual_seed(0)
    centroids, vectors = (torch.nn.functional.normalize(torch.randn(n, DIMENSIONS), dim=-1) for n in (number, VECTORS))
    theirs, slow = timed(lambda: ResidualCodec.compress_into_codes(SimpleNamespace(centroids=centroids, use_gpu=False), vectors, "cpu"))
    nearest = nearest_centroids(centroids)
    ours, fast = timed(lambda: nearest(vectors, "cpu"))
    assert torch.equal(ours, theirs)
    print(f"| {VECTORS} vectors, {number} centroids | seconds | ratio |\n|---|---|---|")
    print(f"| colbert-ai | {slow:.2f} | 1 |\n| faiss | {fast:.2f} | {slow / fast:.1f} |")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 32_768)
