"""Rerankers of three kinds: equal scores whatever the batch, formats kept with checkpoints, data of three kinds, every loss learns."""

from __future__ import annotations

import itertools
import random
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import QUERIES, TEXTS
from ir_measures import ScoredDoc

from tandem.formats.jsonl import InputError, write_records
from tandem.records import LabelledPair, RankingRow
from tandem.rerankers.distillation import ScoreCache, area_under_curve, teach
from tandem.rerankers.losses import Loss, build_columns
from tandem.rerankers.pair_format import PairFormat, encode_pairs
from tandem.rerankers.pair_scorer import load_scorer
from tandem.rerankers.ranking_data import build_rows, check_leakage, label_documents, read_ranking, sample_groups, split_by_query
from tandem.rerankers.reranker import Reranker
from tandem.rerankers.training import train_reranker
from tandem.runtime.encoders import resolve_encoder
from tandem.runtime.lora import Lora

PAIRS = [(query, text) for query, text in itertools.product(QUERIES.values(), TEXTS.values())]
DECODER = {"query_format": "query : {}", "document_format": "document : {}", "separator": " , ", "marker": " ."}
FORMATS = {
    "encoder": PairFormat(kind="encoder", max_length=64),
    "similarity": PairFormat(kind="similarity", max_length=64),
    "head": PairFormat(kind="head", max_length=64, **DECODER),
    "yes_no": PairFormat(kind="yes_no", max_length=64, yes="sort", no="table", **DECODER),
}


@pytest.fixture
def reranker(request: pytest.FixtureRequest, tiny_cross_encoder: Path, tiny_generator: Path) -> Reranker:
    torch.manual_seed(0)
    kind = request.param
    return Reranker(str(tiny_cross_encoder if kind in ("encoder", "similarity") else tiny_generator), FORMATS[kind], new_head=True)


every_kind = pytest.mark.parametrize("reranker", list(FORMATS), indirect=True)


@every_kind
def test_scores_do_not_depend_on_batch_or_order(reranker: Reranker) -> None:
    expected = reranker.compute_score(PAIRS, batch_size=1)
    assert len({round(score, 5) for score in expected}) > 10
    shuffled = list(range(len(PAIRS)))
    random.Random(1).shuffle(shuffled)
    for batch_size in (2, 7, 64):
        found = reranker.compute_score([PAIRS[i] for i in shuffled], batch_size=batch_size)
        assert found == pytest.approx([expected[i] for i in shuffled], abs=1e-4)
    one = reranker.compute_score(PAIRS[:1])
    assert isinstance(one, list)
    assert one == pytest.approx(expected[:1], abs=1e-4)
    assert reranker.compute_score([]) == []


@every_kind
def test_saved_and_loaded_scores_the_same_without_arguments(reranker: Reranker, tmp_path: Path) -> None:
    expected = reranker.compute_score(PAIRS)
    reranker.save(tmp_path / "saved")
    again = Reranker(str(tmp_path / "saved"))
    assert again.scorer.form == reranker.scorer.form
    assert again.compute_score(PAIRS) == pytest.approx(expected, abs=1e-4)


def test_a_folder_without_a_format_is_no_reranker(tiny_cross_encoder: Path) -> None:
    with pytest.raises(ValueError, match=r"no pair_format\.json"):
        Reranker(str(tiny_cross_encoder))


@pytest.mark.parity
def test_encoder_pairs_are_the_tokenizer_s_own() -> None:
    """all-MiniLM-L6-v2's tokenizer, documents cut, token types included: what ``tokenizer(query, document)`` gives."""
    tokenizer = load_scorer(resolve_encoder("builtin"), PairFormat(kind="encoder"), new_head=True).tokenizer
    pairs = [("a short query", "word " * 100), ("another one, a little longer", "a short document")]
    ours = encode_pairs(tokenizer, pairs, PairFormat(kind="encoder", max_length=32))
    queries, documents = zip(*pairs, strict=True)
    theirs = tokenizer(
        list(queries),
        list(documents),
        truncation="only_second",
        max_length=32,
        padding="longest",
        padding_side="right",
        return_tensors="pt",
    )
    assert set(ours) == set(theirs)
    for name, value in theirs.items():
        assert torch.equal(ours[name], value), name


def test_the_document_is_cut_and_the_format_is_not(tiny_tokenizer: Any) -> None:
    form = PairFormat(kind="head", max_length=24, max_query_length=6, **DECODER)
    batch = encode_pairs(tiny_tokenizer, [("order a table by a column of the table", "sort " * 50)], form)
    ids = batch["input_ids"][0].tolist()
    assert len(ids) == 24
    expected = ["<s>", *"query : order a table by , document :".split(), *["sort"] * 13, "."]  # noqa: SIM905
    assert tiny_tokenizer.decode(ids).split() == expected
    with pytest.raises(ValueError, match="max_query_length"):
        encode_pairs(tiny_tokenizer, [("a " * 20, "b")], PairFormat(kind="head", max_length=16, **DECODER))


def test_answers_must_differ(tiny_generator: Path) -> None:
    with pytest.raises(ValueError, match="same token"):
        load_scorer(str(tiny_generator), PairFormat(kind="yes_no", yes="sort", no="sort rows"))


@pytest.mark.parametrize("reranker", ["encoder"], indirect=True)
def test_rerank_keeps_ids_and_every_document(reranker: Reranker) -> None:
    documents = {**TEXTS, "empty": ""}
    ranked = reranker.rerank("average of an array", documents)
    assert {item.doc_id for item in ranked} == set(documents)
    assert [item.rank for item in ranked] == list(range(1, 8))
    assert [item.score for item in ranked] == sorted((item.score for item in ranked), reverse=True)
    assert {item.doc_id for item in reranker.rerank("x", list(TEXTS.values()))} == {str(i) for i in range(6)}
    assert reranker.rerank("x", []) == []


@pytest.mark.parametrize("reranker", ["encoder"], indirect=True)
def test_a_long_document_scores_as_its_best_window(reranker: Reranker) -> None:
    words = " ".join(TEXTS.values()).split()
    windows = [" ".join(words[i : i + 20]) for i in range(0, len(words) - 5, 15)]
    ((item),) = reranker.rerank("average of an array", {"d": " ".join(words)}, window_words=20, overlap_words=5)
    assert item.score == pytest.approx(max(reranker.compute_score([("average of an array", w) for w in windows])), abs=1e-5)
    with pytest.raises(ValueError, match="overlap_words"):
        reranker.rerank("x", {"d": "word " * 99}, window_words=10, overlap_words=10)


@pytest.mark.parametrize("reranker", ["encoder"], indirect=True)
def test_a_run_is_rescored_to_its_depth(reranker: Reranker) -> None:
    run = [ScoredDoc("q", doc_id, float(i)) for i, doc_id in enumerate(TEXTS)]
    rescored = reranker.rerank_run(run, {"q": "merge two tables by key"}, TEXTS, depth=3)
    assert {item.doc_id for item in rescored} == set(list(TEXTS)[3:])
    assert rescored[0].score == pytest.approx(reranker.compute_score([("merge two tables by key", TEXTS["plot"])])[0], abs=1e-4)


def test_labels_of_three_kinds() -> None:
    binary = label_documents(RankingRow(query="q", pos=["a"], neg=["b"]))
    assert binary == ("q", [("a", 1.0), ("b", 0.0)])
    levels = label_documents(RankingRow(query="q", pos=["a", "b", "c"], pos_scores=[0, 1, 2]), max_label=2)
    assert levels == ("q", [("c", 1.0), ("b", 0.5), ("a", 0.0)])
    taught = label_documents(RankingRow(query="q", pos=["a", "b"], pos_scores=[0.2, 0.9]))
    assert taught == ("q", [("b", 0.9), ("a", 0.2)])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"query": "q", "pos": ["a"], "pos_scores": [3]}', "label 3.0 found, 0.0 to 1.0 allowed"),
        ('{"query": "q", "pos": ["a"], "pos_scores": [1, 0]}', "pos_scores: 2 found for 1 documents"),
        ('{"query": "q", "pos": []}', "pos: List should have at least 1 item"),
        ('{"query": "q", "neg": ["b"]}', "pos: Field required"),
        ('{"query": "q", "pos": "a"}', "pos: Input should be a valid list"),
        ('{"query": "q", "pos": ["a"], "negs": ["b"]}', "negs: Extra inputs"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"query": "ok", "pos": ["a"], "neg": ["b"]}\n' + line + "\n")
    with pytest.raises(InputError, match=r"rows\.jsonl:2: ") as error:
        read_ranking(path)
    assert message in str(error.value)


def test_conflicts_are_counted_and_positive(tmp_path: Path) -> None:
    write_records(tmp_path / "rows.jsonl", [RankingRow(query="q", pos=["a"], neg=["a", "b"])])
    rows, conflicts = read_ranking(tmp_path / "rows.jsonl")
    assert conflicts == 1
    assert rows == [("q", [("a", 1.0), ("b", 0.0)])]


def test_a_query_is_on_one_side_of_the_split() -> None:
    rows = [(query, [("a", 1.0), ("b", 0.0)]) for query in [*QUERIES.values(), *(text.upper() for text in QUERIES.values())]]
    train, dev = split_by_query(rows, share=0.5, seed=3)
    assert (len(train), len(dev)) == (6, 6)
    check_leakage(train, dev)
    with pytest.raises(ValueError, match="1 dev queries are training queries too"):
        check_leakage(train, [*dev, (train[0][0].upper(), [])])


def test_groups_hold_a_best_document_and_are_drawn_anew() -> None:
    rows = [("q", [("a", 1.0), ("b", 1.0), *((f"n{i}", 0.0) for i in range(20))])]
    groups = sample_groups(rows, groups=8, documents=4, seed=1)
    assert all(len(documents) == 4 and documents[0][1] == 1.0 for _, documents in groups)
    assert len({tuple(documents) for _, documents in groups}) > 4
    assert groups == sample_groups(rows, groups=8, documents=4, seed=1)


@pytest.mark.parametrize("loss", ["point_ce", "point_mse", "margin_mse", "rank_net", "lambda", "list_ce"])
def test_every_loss_learns_and_the_best_checkpoint_stays(loss: Loss, tiny_cross_encoder: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    reranker = Reranker(str(tiny_cross_encoder), FORMATS["encoder"], new_head=True)
    rows = [(QUERIES[name], [(TEXTS[name], 1.0), *((text, 0.0) for other, text in TEXTS.items() if other != name)]) for name in QUERIES]

    def hits(model: Reranker) -> list[float]:
        return [float(model.rerank(QUERIES[name], TEXTS)[0].doc_id == name) for name in QUERIES]

    def accuracy(model: Reranker) -> float:
        return sum(hits(model)) / len(QUERIES)

    before = accuracy(reranker)
    trained = train_reranker(
        reranker,
        rows,
        loss=loss,
        steps=120 if loss.startswith("point") else 60,
        batch_size=3,
        documents_per_query=2 if loss.startswith("point") else 6,  # one in six, pointwise, and saying no is the first thing learnt
        learning_rate=3e-3,
        warmup_ratio=0.1,
        evaluations=3,
        dev_score=hits,
        scratch=tmp_path,
        bf16=False,
        seed=1,
    )
    assert accuracy(reranker) == dict(trained.dev)[trained.best_step]
    assert accuracy(reranker) >= max(before + 0.3, 0.6)


@pytest.mark.parametrize("reranker", ["head", "yes_no"], indirect=True)
def test_a_decoder_learns_too(reranker: Reranker, tmp_path: Path) -> None:
    rows = [(QUERIES[name], [(TEXTS[name], 1.0), (TEXTS["plot" if name != "plot" else "sort"], 0.0)]) for name in QUERIES]

    def gap(model: Reranker) -> float:
        scores = [model.compute_score([(query, text) for text, _ in documents]) for query, documents in rows]
        return sum(good > bad for good, bad in scores) / len(scores)

    settings: dict[str, Any] = {"steps": 40, "batch_size": 3, "documents_per_query": 2, "learning_rate": 3e-3, "warmup_ratio": 0.1}
    train_reranker(
        reranker,
        rows,
        loss="point_ce",
        **settings,
        evaluations=2,
        dev_score=lambda model: [gap(model)],
        scratch=tmp_path,
        bf16=False,
        seed=1,
    )
    assert gap(reranker) == 1.0


def test_early_stop(tiny_cross_encoder: Path, tmp_path: Path) -> None:
    reranker = Reranker(str(tiny_cross_encoder), FORMATS["encoder"], new_head=True)
    rows = [(QUERIES["sort"], [(TEXTS["sort"], 1.0), (TEXTS["plot"], 0.0)])]
    settings: dict[str, Any] = {"steps": 40, "batch_size": 1, "documents_per_query": 2, "learning_rate": 1e-3, "warmup_ratio": 0.0}
    trained = train_reranker(
        reranker,
        rows,
        loss="point_ce",
        **settings,
        evaluations=20,
        patience=2,
        dev_score=lambda _: [0.5],
        scratch=tmp_path,
        bf16=False,
        seed=1,
    )
    assert trained.best_step == 0
    assert trained.dev[-1][0] < 20


def test_scores_are_cached_by_content_and_teacher(tmp_path: Path) -> None:
    asked: list[tuple[str, str]] = []

    def scorer(pairs: Any) -> list[float]:
        asked.extend(pairs)
        return [float(len(query) + len(document)) for query, document in pairs]

    pairs = [("q", "a"), ("q", "bb"), ("q", "a")]
    assert ScoreCache(tmp_path / "cache", "one").score(pairs, scorer, chunk=1) == [2.0, 3.0, 2.0]
    assert asked == [("q", "a"), ("q", "bb")]
    with (tmp_path / "cache").open("ab") as file:
        file.write(b'["half a li')
    assert ScoreCache(tmp_path / "cache", "one").score([*pairs, ("q", "ccc")], scorer) == [2.0, 3.0, 2.0, 4.0]
    assert asked[2:] == [("q", "ccc")]
    ScoreCache(tmp_path / "other", "two").score(pairs[:1], scorer)
    assert asked[3:] == [("q", "a")]


def test_teaching_writes_the_standard_form() -> None:
    (row,) = teach([("q", [("a", 1.0), ("b", 0.0)])], lambda pairs: [2.0, -2.0][: len(pairs)], temperature=2.0)
    assert row.pos == ["a", "b"]
    assert row.pos_scores == pytest.approx([0.7310586, 0.2689414])  # sigmoid(1), sigmoid(-1)


def test_area_under_curve_by_hand() -> None:
    """Positives .9 and .4, negatives .5 and .4: of four pairs two are won, one tied, one lost."""
    assert area_under_curve([1, 1, 0, 0], [0.9, 0.4, 0.5, 0.4]) == pytest.approx(2.5 / 4)


GROUPS = [("q", [("a", 1.0), ("b", 0.5), ("c", 0.0)]), ("r", [("d", 1.0), ("e", 0.0)]), ("s", [("f", 1.0)])]


def test_columns_of_uneven_groups() -> None:
    points, width = build_columns(GROUPS, "point_ce")
    assert (points["query"], points["document"], width) == (["q", "q", "q", "r", "r", "s"], list("abcdef"), 3)
    assert points["label"] == [1.0, 0.5, 0.0, 1.0, 0.0, 1.0]
    margins, _ = build_columns(GROUPS, "margin_mse")
    assert margins["negative_2"] == ["c", "e"]
    assert margins["label"] == [[1.0, 0.5, 0.0], [1.0, 0.0, 0.0]]
    lists, _ = build_columns(GROUPS, "lambda")
    assert lists["documents"] == [["a", "b", "c"], ["d", "e"]]
    with pytest.raises(ValueError, match="no query has two"):
        build_columns(GROUPS[2:], "rank_net")


def test_rows_are_built_by_text() -> None:
    pairs = [LabelledPair(query_id="q", text="which", doc_id=doc_id) for doc_id in ("a", "b")]
    texts = {"a": "one", "b": "one", "c": "two", "d": "", "e": "one"}
    (row,) = build_rows(pairs, {"q": ["c", "d", "e"]}, texts)
    assert row == RankingRow(query="which", pos=["one"], neg=["two"])


@pytest.mark.parametrize("reranker", ["head", "yes_no"], indirect=True)
def test_an_adapter_learns_resumes_and_is_merged(reranker: Reranker, tmp_path: Path) -> None:
    rows = [(QUERIES[name], [(TEXTS[name], 1.0), (TEXTS["plot" if name != "plot" else "sort"], 0.0)]) for name in QUERIES]

    def gap(model: Reranker) -> float:
        scores = [model.compute_score([(query, text) for text, _ in documents]) for query, documents in rows]
        return sum(torch.sigmoid(torch.tensor(good - bad)).item() for good, bad in scores) / len(scores)

    settings: dict[str, Any] = {"batch_size": 3, "documents_per_query": 2, "learning_rate": 1e-2, "warmup_ratio": 0.0, "evaluations": 2}
    before = gap(reranker)
    everything = {
        "loss": "point_ce",
        **settings,
        "lora": Lora(rank=4, alpha=8),
        "dev_score": lambda model: [gap(model)],
        "bf16": False,
        "seed": 1,
    }
    trained = train_reranker(reranker, rows, **everything, steps=40, scratch=tmp_path)
    assert trained.dev[-1][0] == 40
    assert gap(reranker) == pytest.approx(max(score for _, score in trained.dev), abs=1e-4)
    assert gap(reranker) > before + 0.2
    assert {path.name for path in (tmp_path / "checkpoints/checkpoint-40").iterdir()} >= {"adapter.safetensors", "lora.json"}
    assert not (tmp_path / "checkpoints/checkpoint-40/model.safetensors").exists()
    reranker.save(tmp_path / "merged")
    again = Reranker(str(tmp_path / "merged"))
    assert again.compute_score(PAIRS) == pytest.approx(reranker.compute_score(PAIRS), abs=1e-4)
    # A run that finds the checkpoints of a finished one has nothing left to do, and ends in the same model.
    resumed = Reranker(reranker.scorer.base, reranker.scorer.form, new_head=True)
    train_reranker(resumed, rows, **everything, steps=40, scratch=tmp_path)
    assert resumed.compute_score(PAIRS) == pytest.approx(reranker.compute_score(PAIRS), abs=1e-3)


@pytest.mark.parametrize("reranker", ["head"], indirect=True)
def test_a_checkpoint_of_an_adapter_keeps_the_layers_that_were_kept(reranker: Reranker, tmp_path: Path) -> None:
    base, form = reranker.scorer.base, reranker.scorer.form
    cut = load_scorer(base, form, layers=1, new_head=True)
    cut.add_adapter(Lora(rank=2, alpha=4))
    with torch.no_grad():
        for parameter in cut.parameters():
            if parameter.requires_grad:
                parameter.normal_(std=0.3)
    tmp_path.joinpath("cut").mkdir()
    cut.save(str(tmp_path / "cut"))
    again = type(cut).load(str(tmp_path / "cut"))
    assert again.layers == again.config.num_hidden_layers == 1
    cut.eval(), again.eval()
    with torch.no_grad():
        expected, found = (scorer(scorer.preprocess(PAIRS))["scores"] for scorer in (cut, again))
    assert torch.allclose(expected, found, atol=1e-5)
    with pytest.raises(ValueError, match="layers: 9 found, 1 to 2 allowed"):
        load_scorer(base, form, layers=9, new_head=True)
