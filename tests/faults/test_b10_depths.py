"""A run that is too short for its measures, and a rule that looks beyond its run, are refused at start; BM25 is one section everywhere."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import pytest
from conftest import TEXTS, set_values
from ruamel.yaml import YAML

from tandem.records import Document
from tandem.retrievers import bm25
from tandem.retrievers.filter_runs import FilterRuns
from tandem.runtime.params import ParamsError, load_params

ROOT = Path(__file__).parents[2]
CASES: list[tuple[str, str, dict[str, Any], str]] = [
    (
        "params.yaml",
        "evaluate_retriever",
        {"depth": 10},
        r"evaluate_retriever\.depth: Input should be greater than or equal to 100, found 10",
    ),
    ("params.yaml", "build_index", {"kind": "hnsw"}, r"build_index\.kind: 'hnsw' found, a colbert retriever takes exact, plaid"),
    ("params.yaml", "evaluate_baselines", {"depth": 99}, r"evaluate_baselines\.depth: .* 100, found 99"),
    (
        "params.yaml",
        "evaluate_reranked",
        {"rerank_depth": 0},
        r"evaluate_reranked\.rerank_depth: .* 1, found 0",
    ),
    (
        "params.yaml",
        "mine_negatives",
        {"rank_start": 60, "rank_end": 5},
        r"mine_negatives\.rank_start: 60 found, at most rank_end, 5, is allowed",
    ),
    (
        "params.yaml",
        "prepare_ranking",
        {"rank_start": 60, "rank_end": 5},
        r"prepare_ranking\.rank_start: 60 found, at most rank_end, 5, is allowed",
    ),
    (
        "recipes/reranker/params.yaml",
        "score_with_teacher",
        {"temperature": 0.0},
        r"score_with_teacher\.temperature: Input should be greater than 0, found 0\.0; allowed: above 0, to 100",
    ),
    ("recipes/reranker/params.yaml", "evaluate_reranker", {"depth": 20}, r"evaluate_reranker\.depth: .* 100, found 20"),
    (
        "params.yaml",
        "filter_queries",
        {"rules": [{"run": "bm25", "k": 20}, {"run": "dense", "k": 101}]},
        r"filter_queries\.rules\.1\.k: 101 found, which the run does not reach; at most depth, 100, is allowed",
    ),
    (
        "params.yaml",
        "filter_queries",
        {"rules": [{"run": "bm25_sampled", "k": 102}]},
        r"filter_queries\.rules\.0\.k: 102 found, .* at most candidates \+ 1, 101, is allowed",
    ),
]


@pytest.mark.parametrize(("file", "section", "changes", "message"), CASES, ids=range(len(CASES)))
def test_refused_at_start(tmp_path: Path, file: str, section: str, changes: dict[str, Any], message: str) -> None:
    yaml = YAML()
    content = yaml.load((ROOT / file).read_text())
    set_values(content[section], changes)
    with (tmp_path / "params.yaml").open("w") as target:
        yaml.dump(content, target)
    with pytest.raises(ParamsError, match=message):
        load_params(tmp_path / "params.yaml", section, importlib.import_module(f"stages.{section}").Params)


def test_every_stage_that_uses_bm25_has_the_one_section() -> None:
    """Only two of seven places followed the parameters; a stage that imports BM25 and lacks the section would be an eighth."""
    for path in (ROOT / "stages").glob("*.py"):
        text = path.read_text()
        if re.search(r"\bparams\.index\(|bm25=params|Lexical\(", text):
            schema = importlib.import_module(f"stages.{path.stem}").Params
            assert {"bm25", "language"} <= set(schema.model_fields), path
        assert "BM25Index(" not in text or path.stem == "sections", path
    sections = (ROOT / "params.yaml").read_text() + (ROOT / "recipes/reranker/params.yaml").read_text()
    assert sections.count("k1:") == 2
    assert "bm25_" not in re.sub("bm25_sampled", "", sections)


def test_the_index_is_built_once_and_by_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[bm25.BM25Settings] = []
    theirs = bm25.BM25Index.__init__

    def counting(self: Any, documents: Any, settings: Any = None, **named: Any) -> None:
        built.append(settings)
        theirs(self, documents, settings, **named)

    monkeypatch.setattr(bm25.BM25Index, "__init__", counting)
    corpus = [Document(doc_id=name, text=text) for name, text in TEXTS.items()]
    settings = bm25.BM25Settings(k1=2.0, b=0.1, stemming=False)
    runs = FilterRuns(corpus, {"bm25": bm25.BM25Index(TEXTS, settings)}, depth=6, seed=1)
    for _ in range(3):
        runs.search("bm25", {"q": ("sort a table", "sort")})
    assert built == [settings]
