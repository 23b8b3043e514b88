"""A checkpoint for colbert-ai: it loads there, and gives the same scores and the same order."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from makers import retriever_settings
from sentence_transformers.util import maxsim

from tandem.records import Document
from tandem.retrievers.colbert import build_colbert, load_colbert
from tandem.retrievers.retriever import save_retriever
from tandem.retrievers.stanford import export_stanford, open_with_colbert_ai

SHAPE = {"layers": 2, "dimensions": 32, "query_tokens": 16, "document_tokens": 24, "query_expansion": True, "markers": True}


def test_a_retriever_that_theirs_cannot_be_is_refused(tiny_encoder: Path, tmp_path: Path) -> None:
    plain = build_colbert(retriever_settings(tiny_encoder))
    with pytest.raises(ValueError, match=r"retriever\.markers: true, retriever\.query_expansion: true"):
        export_stanford(plain, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    whole = build_colbert(retriever_settings(tiny_encoder, query_expansion=True, markers=True))
    (tmp_path / "there").mkdir()
    with pytest.raises(FileExistsError, match="name a folder that does not"):
        export_stanford(whole, tmp_path / "there")


def test_markers_stand_behind_the_first_token_and_survive_saving(tiny_encoder: Path, tmp_path: Path) -> None:
    model = build_colbert(retriever_settings(tiny_encoder, markers=True))
    ids = {task: model.preprocess(["sort rows"], prompt=model.prompts[task], task=task)["input_ids"][0].tolist() for task in model.prompts}
    assert ids["query"][1] != ids["document"][1]
    assert ids["query"][0] == ids["document"][0]
    assert ids["query"][2:4] == ids["document"][2:4]
    save_retriever(model, tmp_path / "weights")
    again = load_colbert(tmp_path / "weights")
    assert again.prompts == model.prompts
    assert torch.allclose(again.encode_query(["sort rows"])[0], model.encode_query(["sort rows"])[0], atol=1e-6)


@pytest.mark.parity
@pytest.mark.skipif(shutil.which("c++") is None, reason="colbert-ai compiles C++ when it is first used")
@pytest.mark.filterwarnings("ignore:.*CUDA is not available")  # of their autocast
@pytest.mark.timeout(600)
def test_colbert_ai_gives_the_same_scores_and_order(corpus: list[Document], tmp_path: Path) -> None:
    """The real encoder's first two layers: MaxSim within 1e-3, and the same documents in the same order, for every query."""
    model = build_colbert(retriever_settings("builtin", **SHAPE))
    export_stanford(model, tmp_path / "checkpoint")
    metadata = json.loads((tmp_path / "checkpoint/artifact.metadata").read_text())
    assert (metadata["dim"], metadata["query_maxlen"], metadata["doc_maxlen"]) == (32, 16, 24)
    theirs = open_with_colbert_ai(tmp_path / "checkpoint")
    texts = [document.text for document in corpus] + [f"{a.text} {b.text}" for a in corpus for b in corpus if a is not b]
    queries = [
        "order a table by a column",
        "average of an array, along one of its axes",
        "dates",
        "how does one draw a line through points?",
    ]
    with torch.inference_mode():
        theirs_q = theirs.queryFromText(queries)
        theirs_d = theirs.docFromText(texts, bsize=8)[0]
        other = (theirs_q.unsqueeze(1) @ theirs_d.unsqueeze(0).transpose(2, 3)).float()
        padding = (theirs_d == 0).all(-1)
        other = other.masked_fill(padding[None, :, None, :], -1e4).max(-1).values.sum(-1)
    own = maxsim(model.encode_query(queries), model.encode_document(texts)).cpu().float()
    assert (own - other).abs().max() < 1e-3
    assert torch.equal(own.argsort(dim=1, descending=True, stable=True)[:, :10], other.argsort(dim=1, descending=True, stable=True)[:, :10])
