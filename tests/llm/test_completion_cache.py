"""The cache: keys of content, lines whole or passed over, older files read, pruned whole or not at all."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from tandem.interfaces import Completion, SamplingSettings
from tandem.llm import completion_cache
from tandem.llm.completion_cache import CompletionCache, number_requests, prune_lines, read_lines, request_keys

SAMPLING = SamplingSettings(temperature=0.7, top_p=0.9, top_k=64, max_new_tokens=24)
ONE, TWO = Completion("a query", 10, 3), Completion("é\n", 9, 2)


def test_keys_are_what_they_were() -> None:
    """Made by the version before this module: its files stay valid."""
    local = ["84f57aa8f5f69521c1a51c20f79d5597", "a2ac74ffd60938ca5fe6d18ec13d1d6c", "0b1add38172458b8a185e50ed1838c86"]
    assert request_keys(["p", "p", "q"], ["weights"], SAMPLING, seed="13:r1") == local
    assert request_keys(["p"], ["name", True], SAMPLING, seed=13) == ["832aefe2f7074af707c43222c0d599e2"]


def test_keys_tell_apart_what_decides_a_completion() -> None:
    keys = [
        *request_keys(["p", "p"], ["weights"], SAMPLING, seed=1),
        *request_keys(["q"], ["weights"], SAMPLING, seed=1),
        *request_keys(["p"], ["others"], SAMPLING, seed=1),
        *request_keys(["p"], ["weights"], SAMPLING, seed=2),
        *request_keys(["p"], ["weights"], SAMPLING, seed=1, one_line=True),
        *request_keys(["p"], ["weights"], SamplingSettings(**{**SAMPLING.model_dump(), "top_k": 1}), seed=1),
    ]
    assert len(set(keys)) == len(keys)
    assert number_requests(["a", "b", "a", "a"]) == [0, 0, 1, 2]


def test_a_line_for_each_batch(tmp_path: Path) -> None:
    path = tmp_path / "out/cache.jsonl"
    cache = CompletionCache(path)
    cache.keep({"a": ONE, "b": TWO}, model="weights:1")
    cache.keep({"c": ONE}, model="server:x")
    lines = list(read_lines(path))
    assert [(line.model, [key for key, _ in line.completions]) for line in lines] == [("weights:1", ["a", "b"]), ("server:x", ["c"])]
    assert all(line.time > 1_700_000_000 for line in lines)
    assert CompletionCache(path).completions == {"a": ONE, "b": TWO, "c": ONE}
    assert CompletionCache().completions == {}


def test_a_torn_line_is_passed_over_and_written_after(tmp_path: Path) -> None:
    path = tmp_path / "cache.jsonl"
    path.write_bytes(orjson.dumps([["old", *ONE]]) + b'\n{"model": "weights:1", "ti')
    cache = CompletionCache(path)
    assert cache.completions == {"old": ONE}, "a line of an older version, which did not say whose it was"
    cache.keep({"new": TWO}, model="weights:1")
    assert CompletionCache(path).completions == {"old": ONE, "new": TWO}
    assert [line.model for line in read_lines(path)] == ["", "weights:1"]


def test_pruned_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "cache.jsonl"
    cache = CompletionCache(path)
    cache.keep({"a": ONE, "b": TWO}, model="weights:1")
    cache.keep({"c": ONE}, model="weights:2")
    before = path.read_bytes()

    def fail(line: completion_cache.Line) -> bool:
        if line.model == "weights:2":
            raise KeyboardInterrupt
        return True

    with pytest.raises(KeyboardInterrupt):
        prune_lines(path, fail)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    assert prune_lines(path, lambda line: line.model == "weights:2") == (1, 2)
    assert CompletionCache(path).completions == {"c": ONE}
    assert path.read_bytes() == before.splitlines(keepends=True)[1]
