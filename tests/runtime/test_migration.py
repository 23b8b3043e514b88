"""Older files with today's keys: each in its section, comments and order as they were, whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from stages import inputs
from tandem.cli.main import app
from tandem.formats.errors import ParamsError
from tandem.runtime.migration import RENAMED, find_rename, migrate
from tandem.runtime.params import load_params

ROOT = Path(__file__).parents[2]
OLD = """# A file of before.
launcher: accelerate launch --config_file configs/accelerate-zero2.yaml

train_retriever:
  steps: 24
  scale: 20.0                  # of the score
  warmup_share: 0.1
mine_negatives: {first: 1, last: 50, number: 20, teach: True}   # a window
evaluate_reranked:
  first: 20
evaluate_generators:
  number: 120
  training: {scale: 1}
rerankers:
  relevance:
    rows: ranking/train.jsonl  # of the labelled pairs
    form: {kind: encoder, maximum_tokens: 64}
"""
NEW = """# A file of before.
launcher: accelerate launch --config_file configs/accelerate/zero2.yaml

train_retriever:
  steps: 24
  temperature: 0.05            # of the score
  warmup_ratio: 0.1
mine_negatives: {rank_start: 1, rank_end: 50, negatives_per_query: 20, teach: judge}  # a window
evaluate_reranked:
  rerank_depth: 20
evaluate_generators:
  sampled_documents: 120
  training: {temperature: 1.0}
rerankers:
  relevance:
    rows: out/ranking/train.jsonl  # of the labelled pairs
    form: {kind: encoder, max_length: 64}
"""


def test_keys_of_their_sections_and_nothing_else() -> None:
    text, changes = migrate(OLD, "params.yaml")
    assert text == NEW
    assert [(change.line, change.before, change.after) for change in changes[:3]] == [
        (
            2,
            "launcher: accelerate launch --config_file configs/accelerate-zero2.yaml",
            "launcher: accelerate launch --config_file configs/accelerate/zero2.yaml",
        ),
        (6, "train_retriever.scale: 20.0", "train_retriever.temperature: 0.05"),
        (7, "train_retriever.warmup_share", "train_retriever.warmup_ratio"),
    ]
    assert len(changes) == 12
    assert migrate(text, "params.yaml") == (text, [])


@pytest.mark.parametrize("path", [ROOT / "params.yaml", *sorted((ROOT / "configs/profiles").glob("*.yaml"))], ids=lambda path: path.stem)
def test_files_of_today_stay_as_they_are(path: Path) -> None:
    assert migrate(path.read_text(), path.name) == (path.read_text(), [])


def test_a_file_with_every_older_key_is_read_again(tmp_path: Path) -> None:
    """The quickstart's file as it was before the renames, made from today's, is today's after them."""
    today = YAML(typ="safe").load((ROOT / "params.yaml").read_text())

    def older(node: object, place: tuple[str, ...] = ()) -> object:
        if not isinstance(node, dict):
            return node
        names = {}
        for key, value in node.items():
            made = [rename for rename in RENAMED if rename.new == key and find_rename((*place, rename.old)) is rename and place]
            if made and key == "temperature" and place[0] not in ("train_filter_encoder", "train_retriever", "evaluate_generators"):
                made = []
            if made and key == "temperature" and place == ("evaluate_generators",):
                made = []
            names[made[0].old if made else key] = 1 / value if made and made[0].convert else older(value, (*place, key))
        return names

    path = tmp_path / "params.yaml"
    with path.open("w") as file:
        YAML().dump(older(today), file)
    text, changes = migrate(path.read_text(), "params.yaml")
    assert len(changes) > 30
    assert YAML(typ="safe").load(text) == today


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "train_retriever:\n  scale: 20\n  temperature: 0.05\n",
            "p.yaml:2: train_retriever.scale: temperature, as it is called now, is there too",
        ),
        ("train_retriever:\n  scale: 0\n", "p.yaml:2: train_retriever.scale: 0 found, a number above 0 is expected"),
        ("train_retriever:\n  scale: none\n", "p.yaml:2: train_retriever.scale: 'none' found, a number above 0"),
        ("a: [1\n", "p.yaml: not YAML"),
        ("- 1\n", "p.yaml: a mapping of sections is expected, found CommentedSeq"),
    ],
)
def test_what_has_no_meaning_today_changes_nothing(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ParamsError) as error:
        migrate(text, "p.yaml")
    assert message in str(error.value)
    path = tmp_path / "params.yaml"
    path.write_text(text)
    assert CliRunner().invoke(app, ["migrate-params", str(path)]).exit_code != 0
    assert path.read_text() == text


def test_every_older_key_leads_to_one_that_a_stage_has() -> None:
    """A rename to a key that no section has would send people from one error to the next."""
    keys: set[str] = set()

    def collect(node: object) -> None:
        if isinstance(node, dict):
            keys.update(node)
            for value in node.values():
                collect(value)

    for file in ("params.yaml", "recipes/reranker/params.yaml"):
        collect(YAML(typ="safe").load((ROOT / file).read_text()))
    assert {rename.new for rename in RENAMED} <= keys


def test_settings_that_stand_in_another_section_today() -> None:
    text = """seed: 1

bm25: {k1: 0.9}

evaluate_retriever:
  depth: 100                   # of a run
  chunk_documents: 4096
  index: {kind: shards, shard_documents: 500, check_queries: 7}

score_difficulty:
  chunk_documents: 4096        # at once
  mode: log_rank
"""
    migrated, changes = migrate(text, "params.yaml")
    assert YAML(typ="safe").load(migrated) == {
        "seed": 1,
        "bm25": {"k1": 0.9},
        "evaluate_retriever": {"depth": 100, "check_queries": 7},
        "score_difficulty": {"mode": "log_rank"},
        "build_index": {"kind": "exact", "shard_documents": 500},
    }
    assert "depth: 100                   # of a run" in migrated
    told = [f"{change.before} -> {change.after}" for change in changes]
    assert "evaluate_retriever.index.check_queries: 7 -> evaluate_retriever.check_queries: 7" in told
    assert migrate(migrated, "params.yaml") == (migrated, [])
    with pytest.raises(ParamsError, match=r"p\.yaml: build_index\.kind is there, and what it was called before is too"):
        migrate(f"{text}build_index:\n  kind: exact\n", "p.yaml")


def test_an_overlay_stays_an_overlay() -> None:
    assert (
        migrate("evaluate_retriever:\n  index: {kind: plaid}\n", "p.yaml")[0] == "evaluate_retriever: {}\n\nbuild_index:\n  kind: plaid\n"
    )


def test_a_generator_that_is_no_more(tmp_path: Path) -> None:
    """``builtin`` still is an encoder, and was a generator; the stage's own error names what takes its place."""
    text = "train_generator:\n  base: builtin                # small\nretriever:\n  encoder: builtin\nrerankers:\n  a: {base: builtin}\n"
    migrated, changes = migrate(text, "params.yaml")
    assert migrated == text.replace("base: builtin      ", "base: smollm2      ", 1)
    assert [(change.before, change.after) for change in changes] == [("train_generator.base: builtin", "train_generator.base: smollm2")]
    path = tmp_path / "params.yaml"
    path.write_text((ROOT / "params.yaml").read_text().replace("  base: smollm2 ", "  base: builtin ", 1))
    schema = inputs.schema_of("train_generator")
    assert schema is not None
    with pytest.raises(ParamsError) as error:
        load_params(path, "train_generator", schema)
    message = str(error.value)
    assert message.startswith(f"{path}: train_generator.base: 'builtin' found, which is no more; take smollm2")
    assert "\n" not in message


def test_the_command_says_each_change(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(OLD)
    result = CliRunner().invoke(app, ["migrate-params", str(path)])
    assert result.exit_code == 0, result.output
    assert f"{path}:6: train_retriever.scale: 20.0 -> train_retriever.temperature: 0.05" in result.output
    assert path.read_text() == NEW
    assert CliRunner().invoke(app, ["migrate-params", str(path)]).output == f"{path}: has today's keys already\n"


def test_a_migrated_quickstart_is_what_the_stages_take(tmp_path: Path) -> None:
    text, _ = migrate(
        (ROOT / "params.yaml").read_text().replace("  rank_start: 1\n  rank_end: 50", "  first: 1\n  last: 50"), "params.yaml"
    )
    (tmp_path / "params.yaml").write_text(text)
    schema = inputs.schema_of("mine_negatives")
    assert schema is not None
    load_params(tmp_path / "params.yaml", "mine_negatives", schema)
