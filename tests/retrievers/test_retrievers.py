"""BM25, dense and ColBERT search and training on tiny real encoders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tandem.records import Document, LabelledPair, PseudoQuery, group_numbers
from tandem.retrievers import bm25, colbert, dense
from tandem.retrievers.examples import build_training_set
from tandem.retrievers.filter_runs import FilterRuns
from tandem.retrievers.index.building import IndexSettings, VectorIndex, build_index
from tandem.retrievers.losses import MaskedContrastiveLoss, colbert_scores, dense_scores, false_negative_mask
from tandem.retrievers.selection import choose_dev, choose_pairs
from tandem.retrievers.training import train_retriever
from tandem.runtime.encoders import keep_layers, resolve_encoder


@pytest.fixture
def texts(corpus: list[Document]) -> dict[str, str]:
    return {document.doc_id: document.text for document in corpus}


@pytest.fixture
def queries(pairs: list[LabelledPair]) -> dict[str, str]:
    return {pair.query_id: pair.text for pair in pairs}


def test_bm25_finds_and_leaves_out_what_shares_no_word(texts: dict[str, str]) -> None:
    run = bm25.search(texts, {"q": "linear equations", "none": "zzz"}, depth=6)
    assert next((item.query_id, item.doc_id) for item in run) == ("q", "solve")
    assert all(item.score > 0 for item in run)
    assert "none" not in {item.query_id for item in run}


@pytest.mark.parity
def test_bm25_against_rank_bm25(texts: dict[str, str]) -> None:
    """Lucene's and Okapi's BM25 differ in IDF and a constant, and order the documents of one-word queries alike."""
    from rank_bm25 import BM25Okapi

    plain = bm25.BM25Settings(k1=1.5, b=0.75, stop_words=False, stemming=False)
    reference = BM25Okapi([plain.terms(text, "english") for text in texts.values()], k1=1.5, b=0.75)
    for word in ("table", "time", "array", "points"):
        run = bm25.search(texts, {"q": word}, depth=6, settings=plain)
        scores = reference.get_scores([word])
        found = {doc_id: score for doc_id, score in zip(texts, scores, strict=True) if score != 0}
        assert [item.doc_id for item in run] == sorted(found, key=lambda d: -found[d])


def test_candidate_sets(texts: dict[str, str]) -> None:
    """Own document plus m others, never twice, the same for the same seed; scores are those of the whole corpus."""
    wanted = {f"q{i}": ("sort a table", "sort") for i in range(50)}
    run = bm25.search_candidates(texts, wanted, candidates=2, seed=1)
    by_query: dict[str, list[str]] = {}
    for item in run:
        by_query.setdefault(item.query_id, []).append(item.doc_id)
    assert all(len(own) == len(set(own)) == 3 and own[0] == "sort" for own in by_query.values())
    assert {doc_id for own in by_query.values() for doc_id in own} == set(texts)
    assert bm25.search_candidates(texts, wanted, candidates=2, seed=1) == run
    full = {i.doc_id: i.score for i in bm25.search_candidates(texts, {"q": wanted["q0"]}, candidates=99, seed=1)}
    assert all(item.score == pytest.approx(full[item.doc_id]) for item in run)


def test_the_keep_rate_of_candidate_sets_follows_its_formula() -> None:
    """If r of N documents beat the own one, a draw of m keeps it with probability about (1 - r / N)^m."""
    documents = {f"d{i}": "alpha beta" if i < 30 else "gamma" for i in range(300)}
    documents["own"] = "alpha beta gamma delta epsilon"
    wanted = {f"q{i}": ("alpha beta", "own") for i in range(400)}
    kept = 0
    run = bm25.search_candidates(documents, wanted, candidates=10, seed=3)
    best: dict[str, float] = {}
    own: dict[str, float] = {}
    for item in run:
        if item.doc_id == "own":
            own[item.query_id] = item.score
        else:
            best[item.query_id] = max(best.get(item.query_id, 0.0), item.score)
    kept = sum(own[q] > best[q] for q in wanted)
    assert kept / 400 == pytest.approx((1 - 30 / 300) ** 10, abs=0.07)


def test_dense_search_is_exact_cosine(tiny_encoder: Path, texts: dict[str, str], queries: dict[str, str]) -> None:
    model = dense.load_dense(str(tiny_encoder))
    run = dense.search(model, texts, queries, depth=6)
    vectors = model.encode(list(texts.values()), normalize_embeddings=True)
    wanted = model.encode(list(queries.values()), normalize_embeddings=True)
    expected = wanted @ vectors.T
    for item in run:
        assert item.score == pytest.approx(expected[list(queries).index(item.query_id), list(texts).index(item.doc_id)], abs=1e-5)
    assert len(run) == 36
    assert dense.search(model, texts, {}, depth=3) == []


@pytest.fixture
def late(tiny_encoder: Path) -> Any:
    return colbert.build_colbert(str(tiny_encoder), dimensions=16, query_tokens=8, document_tokens=12, seed=1)


def naive_maxsim(model: Any, query: str, document: str) -> float:
    """Sum over query tokens of the best dot product with a document token, one pair at a time."""
    q, d = model.encode_query([query])[0].numpy(), model.encode_document([document])[0].numpy()
    return float(np.sum(np.max(q @ d.T, axis=1)))


@pytest.mark.parity
def test_colbert_search_equals_pairwise_maxsim(late: Any, texts: dict[str, str], queries: dict[str, str]) -> None:
    run = colbert.search(late, texts, queries, depth=6)
    for item in run:
        assert item.score == pytest.approx(naive_maxsim(late, queries[item.query_id], texts[item.doc_id]), abs=1e-4)
    scores = [item.score for item in run[:6]]
    assert scores == sorted(scores, reverse=True)


def test_chunks_do_not_change_a_run(late: Any, texts: dict[str, str], queries: dict[str, str]) -> None:
    whole = colbert.search(late, texts, queries, depth=3)
    parts = colbert.search(late, texts, queries, depth=3, chunk_documents=2, show_progress=False)
    assert [(i.query_id, i.doc_id) for i in parts] == [(i.query_id, i.doc_id) for i in whole]
    assert [i.score for i in parts] == pytest.approx([i.score for i in whole], abs=1e-5)


def test_colbert_shape_save_and_load(late: Any, texts: dict[str, str], queries: dict[str, str], tmp_path: Path) -> None:
    vectors = late.encode_document([texts["sort"] * 3])[0]
    assert vectors.shape == (12, 16)
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(12), atol=1e-4, rtol=0)
    weight = late[1].linear.weight
    torch.testing.assert_close(weight @ weight.T, torch.eye(16), atol=1e-5, rtol=0)
    colbert.save_colbert(late, tmp_path / "m")
    again = colbert.load_colbert(tmp_path / "m")
    assert colbert.search(again, texts, queries, depth=6) == colbert.search(late, texts, queries, depth=6)
    assert colbert.count_tokens(late, {"q": queries["q-sort"]})["q"] == len(late.encode_query([queries["q-sort"]])[0])
    with pytest.raises(FileNotFoundError, match="train_retriever"):
        colbert.load_colbert(tmp_path / "none")


def test_query_expansion_fills_queries_up(tiny_encoder: Path) -> None:
    model = colbert.build_colbert(str(tiny_encoder), dimensions=16, query_tokens=8, query_expansion=True)
    assert model.encode_query(["sort"])[0].shape == (8, 16)


def test_first_layers(tiny_encoder: Path) -> None:
    whole = dense.load_dense(str(tiny_encoder))
    cut = dense.load_dense(str(tiny_encoder), layers=1)
    assert len(cut[0].auto_model.encoder.layer) == cut[0].auto_model.config.num_hidden_layers == 1
    assert len(whole[0].auto_model.encoder.layer) == 2
    with pytest.raises(ValueError, match=r"retriever.layers: 3 found, 1 to 2 allowed"):
        keep_layers(whole[0].auto_model, 3, key="retriever.layers")
    assert Path(resolve_encoder("builtin")).is_dir()


def test_false_negatives_are_masked_by_text_and_group() -> None:
    """Rows: query 0 with documents (5, 7), query 0 again with (6, 5), query 1 with (7, 6). Relevant: 0: {5, 6}, 1: {7}.

    Row 0 may not be pushed away from 6 (another positive of its text) nor from the second 5; its own positive stays.
    """
    mask = false_negative_mask([0, 0, 1], [[5, 7], [6, 5], [7, 6]], {0: {5, 6}, 1: {7}})
    assert mask.tolist() == [
        [False, False, True, True, False, True],
        [True, False, False, True, False, True],
        [False, True, False, False, False, False],
    ]


class _Rows(torch.nn.Module):
    """Gives each text the vector that it is."""

    def forward(self, column: dict[str, Any]) -> dict[str, Any]:
        return {"sentence_embedding": column["vectors"]}


def test_loss_by_hand() -> None:
    """Two queries e1, e2 with positives e1, e2, temperature 1: each row is (1, 0), loss log(1 + e^-1). With the other masked it is 0."""
    eye = torch.eye(2)
    columns = [{"vectors": eye}, {"vectors": eye}]
    plain = MaskedContrastiveLoss(_Rows(), score=dense_scores, temperature=1.0, relevant={0: {0}, 1: {1}})
    labels = torch.tensor([[0, 0], [1, 1]])
    assert plain(columns, labels).item() == pytest.approx(np.log1p(np.exp(-1)), abs=1e-6)
    masked = MaskedContrastiveLoss(_Rows(), score=dense_scores, temperature=1.0, relevant={0: {0, 1}, 1: {0, 1}})
    assert masked(columns, labels).item() == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parity
def test_training_scores_equal_search_scores(late: Any, texts: dict[str, str], queries: dict[str, str]) -> None:
    """MaxSim with padding, as training computes it, equals MaxSim without."""
    q, d = list(queries.values())[:3], list(texts.values())[:3]
    features = [
        {**late.preprocess(q, task="query"), "task": "query"},
        {**late.preprocess(d, task="document"), "task": "document"},
    ]
    with torch.no_grad():
        scores = colbert_scores(late.eval(), features)
    expected = [[naive_maxsim(late, a, b) for b in d] for a in q]
    torch.testing.assert_close(scores, torch.tensor(expected), atol=1e-4, rtol=0)


def test_training_rows(corpus: list[Document], texts: dict[str, str], pairs: list[LabelledPair]) -> None:
    duplicate = Document(doc_id="sort2", text="Sort rows!", group="sort")
    groups = group_numbers([corpus[0].model_copy(update={"group": "sort"}), *corpus[1:], duplicate])
    assert groups["sort"] == groups["sort2"] != groups["mean"]
    rows = build_training_set(
        [(pair.text, pair.doc_id) for pair in pairs],
        {**texts, "sort2": "Sort rows!"},
        groups,
        rows=60,
        negatives=2,
        seed=1,
    )
    assert len(rows.columns["query"]) == 60
    assert rows.epochs == 10
    by_text = {text: doc_id for doc_id, text in {**texts, "sort2": "Sort rows!"}.items()}
    negatives = [rows.columns[f"negative_{i}"] for i in (1, 2)]
    for i, query in enumerate(rows.columns["query"]):
        own = next(pair.doc_id for pair in pairs if pair.text == query)
        drawn = {groups[by_text[str(column[i])]] for column in negatives}
        assert groups[own] not in drawn
        assert len(drawn) == 2 or drawn == {groups["sort"]}
    first, second = ([str(x) for x in column] for column in (rows.columns["query"][:6], rows.columns["query"][6:12]))
    assert sorted(first) == sorted(second)
    assert first != second
    with pytest.raises(ValueError, match="no pair to train on"):
        build_training_set([], texts, groups, rows=1, negatives=0, seed=1)


def fit(model: Any, corpus: list[Document], pairs: list[LabelledPair], scratch: Path, **changes: Any) -> Any:
    settings: dict[str, Any] = {
        "steps": 30,
        "batch_size": 4,
        "negatives": 1,
        "learning_rate": 5e-3,
        "warmup_ratio": 0.1,
        "temperature": 1.0,
        "evaluations": 2,
        "bf16": False,
        "seed": 1,
        "dev_score": lambda _: [0.0],
    }
    return train_retriever(model, [(pair.text, pair.doc_id) for pair in pairs], corpus, scratch=scratch, **{**settings, **changes})


@pytest.mark.parametrize("kind", ["late", "dense"])
def test_training_learns(
    kind: str, late: Any, tiny_encoder: Path, corpus: list[Document], pairs: list[LabelledPair], tmp_path: Path
) -> None:
    model = late if kind == "late" else dense.load_dense(str(tiny_encoder))
    trained = fit(model, corpus, pairs, tmp_path, temperature=1.0 if kind == "late" else 0.05, dev_score=rising())
    assert trained.loss[-1][1] < trained.loss[0][1] * 0.7
    assert [step for step, _ in trained.dev] == [0, 15, 30]
    assert trained.best_step == 30


def rising() -> Any:
    """A dev score that is higher each time it is taken."""
    values = iter(range(100))
    return lambda _: [float(next(values))]


def test_a_dip_within_the_error_of_the_best_keeps_what_was_learnt(
    late: Any, corpus: list[Document], pairs: list[LabelledPair], tmp_path: Path
) -> None:
    """Dev means .5, .7, .6 with a standard error of .35: the last checkpoint, not the luckiest."""
    spread = iter([[0.15, 0.85], [0.35, 1.05], [0.25, 0.95]])
    states: list[Any] = []

    def score(model: Any) -> list[float]:
        states.append({name: value.clone() for name, value in model.state_dict().items()})
        return next(spread)

    trained = fit(late, corpus, pairs, tmp_path, dev_score=score)
    assert trained.best_step == trained.dev[-1][0]
    assert [round(mean, 6) for _, mean in trained.dev] == [0.5, 0.7, 0.6]
    for name, value in late.state_dict().items():
        torch.testing.assert_close(value, states[-1][name], rtol=0, atol=0)


def test_the_best_checkpoint_stays_step_0_included(late: Any, corpus: list[Document], pairs: list[LabelledPair], tmp_path: Path) -> None:
    before = {name: value.clone() for name, value in late.state_dict().items()}
    falling = iter([0.9, 0.5, 0.1])
    trained = fit(late, corpus, pairs, tmp_path, dev_score=lambda _: [next(falling)])
    assert trained.best_step == 0
    for name, value in late.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)


def test_with_no_pair_the_retriever_stays_zero_shot(late: Any, corpus: list[Document], tmp_path: Path) -> None:
    trained = fit(late, corpus, [], tmp_path)
    assert trained.loss == []
    assert trained.best_step == 0


def test_resumed_equals_uninterrupted(tiny_encoder: Path, corpus: list[Document], pairs: list[LabelledPair], tmp_path: Path) -> None:
    def build() -> Any:
        return colbert.build_colbert(str(tiny_encoder), dimensions=16, query_tokens=8, document_tokens=12, seed=1)

    whole = build()
    fit(whole, corpus, pairs, tmp_path / "a", dev_score=rising())
    calls = iter([0.0, 1.0])

    def killed(_: Any) -> list[float]:
        return [next(calls)]  # a third call, at step 30, raises: the run dies after its checkpoint at step 15

    with pytest.raises(StopIteration):
        fit(build(), corpus, pairs, tmp_path / "b", dev_score=killed)
    assert [path.name for path in (tmp_path / "b" / "checkpoints").glob("checkpoint-*")] == ["checkpoint-15"]
    resumed = build()
    later = iter([0.0, 2.0])
    trained = fit(resumed, corpus, pairs, tmp_path / "b", dev_score=lambda _: [next(later)])
    assert trained.best_step == 30
    for (name, left), right in zip(whole.state_dict().items(), resumed.state_dict().values(), strict=True):
        torch.testing.assert_close(left, right, rtol=0, atol=0, msg=name)


def pseudo(number: int, doc_id: str, status: str = "kept") -> PseudoQuery:
    return PseudoQuery.model_validate({"query_id": f"{doc_id}{number}", "text": f"{doc_id} {number}", "doc_id": doc_id, "status": status})


def test_pairs_of_a_round(pairs: list[LabelledPair]) -> None:
    rounds = [
        [pseudo(i, "sort") for i in range(5)],
        [pseudo(0, "sort"), pseudo(0, "mean", "rejected"), pseudo(0, "join")],
    ]
    settings = {"queries_per_document": 2, "labelled_copies": 2, "seed": 1}
    chosen, held_out = choose_pairs(pairs[:1], rounds, held_out=0, **settings)
    assert chosen[:2] == [(pairs[0].text, "sort")] * 2
    assert sorted(doc_id for _, doc_id in chosen[2:]) == ["join", "sort", "sort"]
    assert held_out == []
    chosen, held_out = choose_pairs([], rounds, held_out=1, **settings)
    assert {row.doc_id for row in held_out} | {doc_id for _, doc_id in chosen} == {"sort", "join"}
    assert not {row.doc_id for row in held_out} & {doc_id for _, doc_id in chosen}


def test_dev_is_labelled_or_made_of_pseudo_queries(texts: dict[str, str], pairs: list[LabelledPair]) -> None:
    labelled = choose_dev(pairs[:2], [pseudo(0, "join")], texts, dev_documents=0, seed=1)
    assert labelled.pairs == [("q-sort", "sort"), ("q-mean", "mean")]
    assert set(labelled.documents) == {"sort", "mean"}
    unlabelled = choose_dev([], [pseudo(0, "join")], texts, dev_documents=99, seed=1)
    assert unlabelled.pairs == [("join0", "join")]
    assert set(unlabelled.documents) == set(texts)


def test_filter_runs(corpus: list[Document], texts: dict[str, str], tiny_encoder: Path, tmp_path: Path) -> None:
    build_index(dense.load_dense(str(tiny_encoder)), texts, tmp_path / "index", IndexSettings(kind="exact"), scratch=tmp_path / "s", seed=1)
    searchers = {"bm25": bm25.BM25Index(texts), "dense": VectorIndex(tmp_path / "index", tiny_encoder)}
    runs = FilterRuns(corpus, searchers, depth=99, candidates=2, seed=1)
    wanted = {"q": ("merge two tables by key", "join")}
    for name in ("bm25", "bm25_sampled", "dense"):
        assert any(item.doc_id == "join" for item in runs.search(name, wanted))
    with pytest.raises(ValueError, match="allowed: bm25, bm25_sampled, dense"):
        runs.search("colbert", wanted)
