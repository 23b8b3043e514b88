"""Lists of paths with globs, the data root, and names of derived files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tandem.formats.errors import InputError
from tandem.formats.task_paths import derived_files, derived_path, parse_derived, resolve_path, resolve_paths
from tandem.settings import SettingError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("qa/nq/train.json", "qa/msmarco/train.json", "chat/msc/train.json", "chat/msc/[old].json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("{}")
    return tmp_path


def test_globs_in_a_list(root: Path) -> None:
    """Pitfall 14: the original knows a glob only where it is the one name and no list, which its command line never gives."""
    names = ["llm-embedder:chat/msc/train.json", "llm-embedder:qa/*/train.json", str(root / "chat/msc/train.json")]
    assert [path.relative_to(root).as_posix() for path in resolve_paths(names, data_root=root)] == [
        "chat/msc/train.json",
        "qa/msmarco/train.json",
        "qa/nq/train.json",
        "chat/msc/train.json",
    ]
    assert resolve_paths(["llm-embedder:**/[[]old].json"], data_root=root) == [root / "chat/msc/[old].json"]
    assert resolve_paths([str(root / "chat/msc/[old].json")]) == [root / "chat/msc/[old].json"]
    assert resolve_paths([]) == []


def test_names_that_mean_no_file(root: Path) -> None:
    with pytest.raises(InputError, match=r"glob that matches no file, named as 'llm-embedder:tool/\*\.json'"):
        resolve_paths(["llm-embedder:tool/*.json"], data_root=root)
    with pytest.raises(InputError, match="path of no file"):
        resolve_paths([str(root / "qa")])
    with pytest.raises(SettingError, match="data_root"):
        resolve_paths(["llm-embedder:qa/nq/train.json"])
    with pytest.raises(SettingError, match="a list of paths"):
        resolve_paths("qa/nq/train.json")
    with pytest.raises(SettingError, match="'' found"):
        resolve_paths([""])


def test_the_prefix_has_a_colon(root: Path) -> None:
    """Pitfall 2: the published document leaves it out."""
    with pytest.raises(SettingError, match=r"has a colon: llm-embedder:qa/nq/train\.json"):
        resolve_path("llm-embedder/qa/nq/train.json", data_root=root)
    assert resolve_path("llm-embedder:/qa/nq/train.json", data_root=root) == root / "qa/nq/train.json"
    assert resolve_path("llm-embedder-2/x.json", data_root=root) == Path("llm-embedder-2/x.json")


@pytest.mark.parametrize(
    ("args", "name"),
    [
        (("train.json", "neg", "bm25"), "train.neg.bm25.json"),
        (("train.json", "scored", "llama2-7b-chat"), "train.scored.llama2-7b-chat.json"),
        (("test.concat.json", "key", "bge-base-en-v1.5"), "test.concat.key.bge-base-en-v1.5.json"),
        (("train.neg.bm25.jsonl", "scored", "lm"), "train.neg.bm25.scored.lm.jsonl"),
    ],
)
def test_names_are_made_and_read_back(args: Any, name: str) -> None:
    file, field, save_name = args
    path = derived_path(Path("qa/nq") / file, field, save_name)
    assert path == Path("qa/nq") / name
    derived = parse_derived(path)
    assert derived is not None
    assert (derived.source, derived.field, derived.save_name) == (Path("qa/nq") / file, field, save_name)
    assert derived_path(Path("qa/nq") / file, "result", "x", folder=Path("out")).parent == Path("out")


@pytest.mark.parametrize("name", ["train.json", "neg.bm25.json", "train.neg.json", "train.negative.bm25.json"])
def test_names_of_files_that_are_made_of_none(name: str) -> None:
    assert parse_derived(Path(name)) is None


@pytest.mark.parametrize("save_name", ["", "a/b", "a\\b", "x.neg.y", "key", ".a", "a."])
def test_names_that_could_not_be_read_back(save_name: str) -> None:
    with pytest.raises(SettingError, match="save_name"):
        derived_path(Path("train.json"), "neg", save_name)
    with pytest.raises(SettingError, match="field"):
        derived_path(Path("train.json"), "negatives", "a")  # type: ignore[arg-type]


def test_what_siblings_hold(tmp_path: Path) -> None:
    for name in ("train.json", "train.neg.bm25.json", "train.neg.bm25.scored.lm.json", "trainer.neg.bm25.json", "train.neg.bm25.jsonl"):
        (tmp_path / name).write_text("")
    (tmp_path / "train.neg.folder.json").mkdir()
    assert [(made.path.name, made.field, made.save_name) for made in derived_files(tmp_path / "train.json")] == [
        ("train.neg.bm25.json", "neg", "bm25"),
        ("train.neg.bm25.scored.lm.json", "scored", "lm"),
    ]
