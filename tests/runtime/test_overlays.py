"""Overlays over params.yaml: what is merged, what is replaced, what stays, and what is refused."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tandem.runtime.overlays import HEADER, base_params, list_profiles, parse_changes, render_profile
from tandem.runtime.params import ParamsError

ROOT = Path(__file__).parents[2]
BASE = """# The quickstart's values.

seed: 13                       # of everything random

# Rounds of the loop.
rounds:
  r1: {prev: r0, generator: g1}
  r2: {prev: r1, generator: g2}

prepare_corpus:
  source: python_api           # where documents come from
  packages: [numpy]
  threshold: 0.8               # of near duplicates

rerankers:
  relevance: {layers: 2, steps: 16}
  other: {layers: 4, steps: 8}

filter_queries:
  rules:
    - {run: bm25, k: 20}
  min_words: 2             # of a query
  form: {kind: encoder}

train:
  rate: 2.0e-4                 # peak
  text: "a\\n{b}"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    overlays = tmp_path / "profiles"
    overlays.mkdir()
    (overlays / "large.yaml").write_text("# Large ones.\nrounds:\n  r2: null\ntrain:\n  rate: 1.0e-3\n")
    (overlays / "own.yaml").write_text(
        "# Own ones.\nextends: large\nprepare_corpus:\n  source: files   # mine\n  path: here\nrerankers:\n"
        "  relevance: {steps: 24}\n  other: null\n"
        "filter_queries:\n  rules:\n    - {run: dense, k: 5}\n  form: {max_length: 9}\n"
    )
    return overlays


def test_without_a_profile_nothing_changes(folder: Path) -> None:
    assert render_profile(BASE, folder, None) == BASE


def test_an_overlay_merges_maps_and_replaces_lists(folder: Path) -> None:
    text = render_profile(BASE, folder, "own", parse_changes(["prepare_corpus.pairs=p.csv", "seed=7"]))
    content = YAML(typ="safe").load(text)
    assert content == {
        "seed": 7,
        "rounds": {"r1": {"prev": "r0", "generator": "g1"}},
        "prepare_corpus": {"source": "files", "threshold": 0.8, "path": "here", "pairs": "p.csv"},
        "rerankers": {"relevance": {"layers": 2, "steps": 24}},
        "filter_queries": {"rules": [{"run": "dense", "k": 5}], "min_words": 2, "form": {"kind": "encoder", "max_length": 9}},
        "train": {"rate": 1.0e-3, "text": "a\n{b}"},
    }
    assert text.startswith(f"{HEADER}own, over the quickstart's values")
    assert "# Own ones." in text.splitlines()[1]
    assert "# Large ones." not in text
    for comment in ("# of everything random", "# Rounds of the loop.", "# of a query", "# peak", "# of near duplicates"):
        assert comment in text


@pytest.mark.parametrize(
    ("overlay", "message"),
    [
        ("train:\n  rat: 1\n", "x.yaml: train.rat: no such key; allowed here: rate, text"),
        ("trane:\n  rate: 1\n", "x.yaml: trane: no such section; there are: seed, rounds"),
        ("extends: nosuch\n", "x.yaml: extends: 'nosuch' found, allowed: large, own"),
        ("extends: x\n", "x.yaml: extends: 'x' found, allowed: large, own"),
        ("train: [1\n", "x.yaml: not YAML"),
        ("train: 3\n", "x.yaml: train: a map of keys is expected, found 3"),
        ("rounds:\n  r7: null\n", "x.yaml: rounds.r7: nothing of this name to take out; there are: r1, r2"),
    ],
)
def test_a_wrong_overlay_is_refused_in_a_line(folder: Path, overlay: str, message: str) -> None:
    (folder / "x.yaml").write_text(f"# X.\n{overlay}")
    with pytest.raises(ParamsError) as error:
        render_profile(BASE, folder, "x")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_circle_of_overlays_is_refused(folder: Path) -> None:
    (folder / "large.yaml").write_text("# Large ones.\nextends: own\n")
    with pytest.raises(ParamsError, match=r"large.yaml: extends: 'own' found"):
        render_profile(BASE, folder, "own")


@pytest.mark.parametrize(
    ("word", "message"), [("seed", "key=value is expected"), ("train.x=1", "train.x: no such key"), ("y=1", "y: no such key")]
)
def test_a_wrong_change_is_refused_in_a_line(folder: Path, word: str, message: str) -> None:
    with pytest.raises(ParamsError, match=message):
        render_profile(BASE, folder, None, parse_changes([word]))


def test_a_rendered_profile_is_never_the_base(tmp_path: Path, folder: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(render_profile(BASE, folder, "own"))
    with pytest.raises(ParamsError, match="is a profile already"):
        base_params(path)
    path.write_text(BASE)
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run([*git, "init", "--quiet"], cwd=tmp_path, check=True)
    subprocess.run([*git, "add", "params.yaml"], cwd=tmp_path, check=True)
    subprocess.run([*git, "commit", "--quiet", "-m", "base"], cwd=tmp_path, check=True)
    path.write_text(render_profile(BASE, folder, "own"))
    subprocess.run([*git, "commit", "--quiet", "-am", "profile"], cwd=tmp_path, check=True)
    assert base_params(path) == BASE


def test_rounds_are_added_changed_and_taken_out(folder: Path) -> None:
    overlay = "# X.\nrounds:\n  r1: {steps: 96}\n  r2: null\n  r3: {prev: r1, generator: g1}\n"
    (folder / "x.yaml").write_text(overlay)
    content = YAML(typ="safe").load(render_profile(BASE, folder, "x"))
    assert content["rounds"] == {"r1": {"prev": "r0", "generator": "g1", "steps": 96}, "r3": {"prev": "r1", "generator": "g1"}}
    (folder / "x.yaml").write_text("# X.\nrounds:\n  r1: null\n  r2: null\n")
    assert YAML(typ="safe").load(render_profile(BASE, folder, "x"))["rounds"] == {}


def test_of_the_same_source_a_collection_keeps_its_keys(folder: Path) -> None:
    (folder / "x.yaml").write_text("# X.\nprepare_corpus:\n  packages: [scipy]\n")
    assert YAML(typ="safe").load(render_profile(BASE, folder, "x"))["prepare_corpus"] == {
        "source": "python_api",
        "packages": ["scipy"],
        "threshold": 0.8,
    }
    single = render_profile(BASE, folder, None, parse_changes(["prepare_corpus.source=beir", "prepare_corpus.name=scifact"]))
    assert YAML(typ="safe").load(single)["prepare_corpus"] == {"source": "beir", "threshold": 0.8, "name": "scifact"}


@pytest.mark.parametrize("recipe", ["", "recipes/reranker"])
def test_no_overlay_repeats_what_it_is_put_over(recipe: str) -> None:
    """A value that is the base's already is a copy that would drift: no key of an overlay has the value that it has without it."""
    folder = ROOT / (f"{recipe}/profiles" if recipe else "configs/profiles")
    base = (ROOT / recipe / "params.yaml").read_text()
    yaml = YAML(typ="safe")
    for name in list_profiles(folder):
        overlay = yaml.load((folder / f"{name}.yaml").read_text())
        under = yaml.load(render_profile(base, folder, overlay.pop("extends", None)))
        assert not [".".join(path) for path in _leaves(overlay) if _at(under, path) == _at(overlay, path)], name


def _leaves(value: object, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    if isinstance(value, dict):
        return [leaf for key, inner in value.items() for leaf in _leaves(inner, (*path, key))]
    return [path]


def _at(value: object, path: tuple[str, ...]) -> object:
    for key in path:
        if not isinstance(value, dict) or key not in value:
            return KeyError
        value = value[key]
    return value
