"""An error about a setting, raised inside the library, names file and whole key when a stage ends by it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tandem.runtime.params import ParamsError, load_params, locate_error
from tandem.settings import Count, SettingError, Settings, errors_about


class Encoder(Settings):
    layers: Count


class Training(Settings):
    steps: Count


class Params(Training):
    encoder: Encoder
    retriever: Encoder
    rerankers: dict[str, Encoder]
    rules: list[Encoder]


PARAMS = """\
retriever: {layers: 2}
rerankers: {teacher: {layers: 3}}
train:
  steps: 1
  encoder: {layers: 4}
  rules: [{layers: 5}]
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "params.yaml").write_text(PARAMS)
    return tmp_path / "params.yaml"


def locate(settings: Settings, key: str, path: Path, params: Settings) -> str:
    with pytest.raises(SettingError, match="9 found") as error, errors_about(settings):
        raise SettingError(key, "9 found, 1 to 2 allowed")
    return str(locate_error(error.value, path, "train", params)).removeprefix(f"{path}: ")


def test_the_whole_key_is_named(path: Path) -> None:
    params = load_params(path, "train", Params)
    assert locate(params, "steps", path, params) == "train.steps: 9 found, 1 to 2 allowed"
    assert locate(params.encoder, "layers", path, params) == "train.encoder.layers: 9 found, 1 to 2 allowed"
    assert locate(params.rules[0], "layers", path, params) == "train.rules.0.layers: 9 found, 1 to 2 allowed"
    # Shared sections stand at the top level.
    assert locate(params.retriever, "layers", path, params) == "retriever.layers: 9 found, 1 to 2 allowed"
    assert locate(params.rerankers["teacher"], "form.max_length", path, params).startswith("rerankers.teacher.form.max_length: 9")


def test_settings_from_elsewhere_name_their_key_alone(path: Path) -> None:
    params = load_params(path, "train", Params)
    assert locate(Encoder(layers=1), "layers", path, params) == "layers: 9 found, 1 to 2 allowed"
    assert str(locate_error(SettingError("layers", "9 found"), path, "train", params)) == f"{path}: layers: 9 found"
    assert isinstance(locate_error(SettingError("layers", "9 found"), path, "train", params), ParamsError)


def test_the_inner_settings_are_the_ones_to_blame() -> None:
    inner, outer = Encoder(layers=1), Training(steps=1)
    with pytest.raises(SettingError, match=r"^layers: too many") as error, errors_about(outer), errors_about(inner):
        raise SettingError("layers", "too many")
    assert error.value.settings is inner
