"""Objects of a package as its docstrings describe them; nothing is imported."""

from __future__ import annotations

from pathlib import Path

import pytest

from tandem.corpora.documented_objects import DocumentedObject, read_objects
from tandem.settings import SettingError

SOURCE = '''
import nowhere_at_all

def resize(image, size, order=3):
    """Resize an image to a given size.

    Pixels are interpolated between their four neighbours. The aspect ratio is not kept, so that shapes may look wider.

    Parameters
    ----------
    image : array
        The pixels.
    order : int, default=3
        Of the ``spline``.

    Returns
    -------
    out : ndarray of shape (height, width) or whatever else
        The resized pixels. More of it.

    See Also
    --------
    rotate : Turn an image around its centre.
    """

class LensError(ValueError):
    """Raised where a lens is dirty.

    Clean it with a soft cloth and with nothing else, then take the picture again in the same light.
    """

class Camera:
    """A camera that takes pictures.

    Every picture is kept in memory until the camera is closed, which writes all of them to the disk in the order taken.
    """

    def __init__(self, lens):
        pass

    def click(self, *, seconds):
        """Take one picture now. Smile for it.

        The shutter is open for some seconds, and closes by itself unless somebody holds it.

        Args:
            seconds (`float`, *optional*, defaults to 0.25): how long it is open.

        Returns:
            `Picture`: The picture that was taken.
        """

    def _hidden(self):
        """Take no picture at all.

        The shutter is open for some seconds, and closes by itself unless somebody holds it, which nobody does.
        """
'''


@pytest.fixture
def objects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, DocumentedObject]:
    (tmp_path / "toycamera").mkdir()
    (tmp_path / "toycamera/__init__.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    return {item.short_name: item for item in read_objects(["toycamera"], per_package=10, body_words=30, seed=1)}


def test_kinds_names_and_calls(objects: dict[str, DocumentedObject]) -> None:
    assert {name: (item.kind, item.signature) for name, item in objects.items()} == {
        "resize": ("function", "image, size, order"),
        "LensError": ("exception", ""),
        "Camera": ("class", "lens"),
        "click": ("method", "seconds"),
    }
    assert objects["click"].name == "toycamera.Camera.click"
    assert objects["click"].package == "toycamera"


def test_sections_of_both_styles_are_understood(objects: dict[str, DocumentedObject]) -> None:
    resize, click = objects["resize"], objects["click"]
    assert (resize.result, resize.defaults, resize.related) == ("The resized pixels", (("order", "3"),), ("rotate",))
    assert (click.result, click.defaults) == ("The picture that was taken", (("seconds", "0.25"),))
    assert click.summary == "Take one picture now"
    assert click.prose.startswith("Smile for it.\nThe shutter is open")
    assert resize.summary == "Resize an image to a given size"
    assert "Resize an image" not in resize.text
    assert "rotate" not in resize.text
    assert resize.text.split("\n")[1].startswith("Returns: out : ndarray")
    assert "Of the spline." in resize.text
    assert len(resize.body.split()) == 30
    assert resize.text.startswith(resize.body)


def test_a_package_is_cut_to_whole_modules_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for i in range(6):
        (tmp_path / "toymany").mkdir(exist_ok=True)
        (tmp_path / f"toymany/m{i}.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    drawn = [item.name for item in read_objects(["toymany"], per_package=8, body_words=30, seed=1)]
    assert len(drawn) == 8
    assert len({name.split(".")[1] for name in drawn}) == 2
    assert drawn == [item.name for item in read_objects(["toymany"], per_package=8, body_words=30, seed=1)]
    others = {tuple(item.name for item in read_objects(["toymany"], per_package=8, body_words=30, seed=seed)) for seed in range(6)}
    assert len(others) > 1
    with pytest.raises(SettingError, match="'no_such_package' is not an installed package"):
        read_objects(["no_such_package"], per_package=8, body_words=30, seed=1)
