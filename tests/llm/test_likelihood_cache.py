"""Likelihoods by content: keys of both texts and the model, whole lines, a torn one passed over; a model asks its cache first."""

from __future__ import annotations

from pathlib import Path

from tandem.interfaces import LogLikelihood
from tandem.llm.cache_file import read_batches
from tandem.llm.causal_lm import CausalLM
from tandem.llm.likelihood_cache import LikelihoodCache, pair_keys

ONE, TWO = LogLikelihood(-1.5, 2), LogLikelihood(-0.1234567890123, 7)


def test_keys_are_of_both_texts_and_the_model() -> None:
    keys = [
        *pair_keys(["a", "a", "ab"], ["bc", "c", "c"], ["weights"]),
        *pair_keys(["a"], ["bc"], ["weights", "bf16"]),
        *pair_keys(["a"], ["bc"], ["others"]),
    ]
    assert len(set(keys)) == 5, "where the two texts part is in the key"
    assert pair_keys(["a"], ["bc"], ["weights"]) == keys[:1]


def test_written_batch_by_batch(tmp_path: Path) -> None:
    path = tmp_path / "out/likelihoods.jsonl"
    cache = LikelihoodCache(path)
    cache.keep({"a": ONE}, model="weights:1")
    path.write_bytes(path.read_bytes() + b'{"model": "weights:1", "ti')
    again = LikelihoodCache(path)
    assert again.values == {"a": ONE}
    again.keep({"b": TWO}, model="server:x")
    assert LikelihoodCache(path).values == {"a": ONE, "b": TWO}
    assert [batch.model for batch in read_batches(path)] == ["weights:1", "server:x"]
    assert LikelihoodCache().values == {}


def test_a_model_asks_its_cache_first(tiny_generator: Path, tmp_path: Path) -> None:
    path = tmp_path / "likelihoods.jsonl"
    model = CausalLM.load(str(tiny_generator), identity="x", likelihoods=LikelihoodCache(path))
    values = model.log_likelihood(["sort", "sort"], [" the rows", " the rows"])
    assert values[0] == values[1]
    (key,) = LikelihoodCache(path).values
    LikelihoodCache(path).keep({key: ONE}, model="x")
    kept = CausalLM.load(str(tiny_generator), identity="x", likelihoods=LikelihoodCache(path))
    assert kept.log_likelihood(["sort"], [" the rows"]) == [ONE]
    other = CausalLM.load(str(tiny_generator), identity="y", likelihoods=LikelihoodCache(path))
    assert other.log_likelihood(["sort"], [" the rows"]) == [values[0]]
