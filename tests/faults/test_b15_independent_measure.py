"""The generator is measured by what no reward has seen, and by what is learnt from its queries; copies are counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from conftest import QUERIES, TEXTS
from ir_measures import ScoredDoc
from makers import compute_in, contrastive_settings, retriever_settings
from ruamel.yaml import YAML

from tandem.evaluation.champions import ChampionSettings, choose_generator
from tandem.evaluation.dev_score import ndcg_at_10
from tandem.evaluation.generator_report import to_markdown
from tandem.evaluation.generators import compare_generators, compare_training, copied_share
from tandem.evaluation.significance import SignificanceSettings
from tandem.filters.round_trip import ranks_of_pairs
from tandem.generators.prompts import PromptedSettings, PromptSettings
from tandem.generators.queries import QuerySettings
from tandem.generators.trial import write_trials
from tandem.records import Document, LabelledPair, PseudoQuery
from tandem.retrievers.training.generated import TrialTrainingSettings, train_on_generated

ROOT = Path(__file__).parents[2]
SETTINGS = SignificanceSettings(resamples=500, seed=1)


def rows(name: str, texts: dict[str, str]) -> list[PseudoQuery]:
    return [PseudoQuery(query_id=f"{name}-{doc_id}", text=text, doc_id=doc_id) for doc_id, text in texts.items()]


def test_a_generator_that_only_pleases_its_reward_gains_nothing() -> None:
    """g2 copies rare words: BM25 brings everything back, the retriever that no reward has seen less than before."""
    trials = {"g1": rows("g1", QUERIES), "g2": rows("g2", {name: text.split()[0] for name, text in TEXTS.items()})}
    unseen = {"g1": 1, "g2": 50}
    ranks: dict[str, Any] = {
        "unseen": lambda pairs: {pair.query_id: unseen[pair.query_id[:2]] for pair in pairs},
        "rewarded": lambda pairs: {pair.query_id: {"g1": 50, "g2": 1}[pair.query_id[:2]] for pair in pairs},
    }
    table, values = compare_generators(trials, [], ranks, TEXTS, parents={"g2": "g1"}, settings=SETTINGS)
    first, second = table
    assert second.top[10] > first.top[10]
    assert second.unseen_top[10] < first.unseen_top[10]
    assert second.test is not None
    assert second.test.difference == -1.0
    assert second.copied_share == 1.0 > first.copied_share
    rule = ChampionSettings(
        measure="ndcg_at_10", alpha=0.05, equal_within=0.005, guard_tolerance=0.02, min_distinct=0.1, resamples=500, seed=1
    )
    shares = {row.generator: row.measures() for row in table}
    assert choose_generator(shares, values, rule)["champion"] == "g1"
    assert "which no reward reads" in to_markdown(table)


def test_a_real_query_of_several_documents_counts_once() -> None:
    corpus = [Document(doc_id=name, text=text) for name, text in TEXTS.items()]
    first, second = list(TEXTS)[:2]
    real = [LabelledPair(query_id="q", text="q", doc_id=doc_id) for doc_id in (first, second)]
    run = [ScoredDoc("q", first, 2.0), ScoredDoc("q", second, 1.0)]
    ranks = ranks_of_pairs(corpus, real, lambda _: run)
    assert ranks == {"q": 1}
    table, _ = compare_generators({}, real, dict.fromkeys(("unseen", "rewarded"), lambda _: ranks), TEXTS, parents={}, settings=SETTINGS)
    assert table[0].unseen_top[1] == table[0].distinct_share == 1.0


def test_no_reward_reads_the_untouched_encoder() -> None:
    stages = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())["stages"]
    readers = {
        name for name, stage in stages.items() if any("out/models/baselines" in dep for dep in stage.get("do", stage).get("deps", []))
    }
    readers -= {"mine_negatives", "mine_negatives_r0", "filter_queries"}  # whose run `fusion` has it for an arm, where it is asked for
    readers -= {"prepare_dev", "prepare_final_ranking"}  # whose queries choose; whose reranker stands behind the champion
    assert readers == {"index_baselines", "evaluate_baselines", "evaluate_generators"}


def test_every_generator_writes_for_the_documents_that_none_was_trained_on(tiny_generator: Path, tmp_path: Path) -> None:
    documents = [Document(doc_id=name, text=text) for name, text in TEXTS.items()]
    sampling: dict[str, Any] = {"batch_size": 4, "temperature": 1.0, "top_p": 1.0, "top_k": 0, "max_new_tokens": 4}
    prompt = PromptSettings(template="{document}:", document_tokens=8, keywords=0, ignored_words=[])
    models = {name: str(tiny_generator) for name in ("base", "g1", "g2")}
    settings = QuerySettings(**sampling, sampled_documents=4, queries_per_document=2)
    prompted = PromptedSettings(prompt=prompt, language="english")
    trials = write_trials(models, documents, settings, prompted, seen={"sort"}, compute=compute_in(tmp_path))
    assert len({tuple(row.doc_id for row in rows) for rows in trials.values()}) == 1
    assert len(trials["g2"]) == 8
    assert "sort" not in {row.doc_id for row in trials["g2"]}


def test_copied_share() -> None:
    document = "Sort the rows of a table, in ascending order."
    assert copied_share("sort the rows", document) == 1.0
    assert copied_share("rows sort the table", document) == 0.5
    assert copied_share("draw lines", document) == 0.0
    assert copied_share("", document) == 0.0


def test_what_is_learnt_from_equal_numbers_of_queries(tiny_encoder: Path, tmp_path: Path) -> None:
    """A generator whose queries fit their documents teaches; one whose queries belong to others does not."""
    names = list(TEXTS)
    good = {name: f"{' '.join(TEXTS[name].lower().split()[2:6])}" for name in names}
    bad = {name: good[names[(i + 3) % 6]] for i, name in enumerate(names)}
    documents = [Document(doc_id=name, text=text) for name, text in TEXTS.items()]
    real = [LabelledPair(query_id=f"q-{name}", text=text, doc_id=name) for name, text in good.items()]
    start = retriever_settings(tiny_encoder, kind="dense", query_tokens=16, document_tokens=32)
    training = contrastive_settings(steps=40, batch_size=6, negatives=0, learning_rate=2e-3, warmup_ratio=0.0, temperature=0.05)
    settings = TrialTrainingSettings(queries=50, training_document_tokens=None, **dict(training))
    trials, compute = {"g1": rows("g1", bad), "g2": [*rows("g2", good), *rows("more", good)]}, compute_in(tmp_path)
    values = train_on_generated(documents, trials, real, settings, start, measure=ndcg_at_10, compute=compute)
    assert list(values) == ["untrained", "g1", "g2"]
    trained = compare_training(values, parents={"g1": "base", "g2": "g1"}, settings=SETTINGS)
    assert trained["g2"].trained > trained["g1"].trained
    assert trained["g2"].against == "g1"
    assert trained["g1"].against == "untrained"
    assert "| nothing |" in to_markdown([], trained)
    assert train_on_generated(documents, {}, real, settings, start, measure=ndcg_at_10, compute=compute) == {}
