"""Docstrings to documents, without importing anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from tandem.corpora.python_api import build_collection, package_root, read_docstrings, split_docstring
from tandem.settings import SettingError

SOURCE = '''
"""Module."""
import nowhere_at_all

def resize(image, size):
    """Resize an image to a given size.

    Pixels are interpolated between their four neighbours, and the aspect ratio is not kept, so that shapes may look wider.

    Parameters
    ----------
    image : array
        The pixels.

    See Also
    --------
    rotate : Turn an image around its centre.

    Examples
    --------
    >>> resize(image, (2, 2))
    """

class Camera:
    """A camera that takes pictures.

    Every picture is kept in memory until the camera is closed, which writes all of them to the disk in the order taken.
    """

    def click(self):
        """Click."""

add_newdoc("package.core", "crop", """
    crop(image, box, /)

    Cut a rectangle out of an image.

    The rectangle is given by its corners, and whatever of it lies outside of the image is filled with black pixels at the end.
    """)
'''


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "toypackage"
    (folder / "tests").mkdir(parents=True)
    (folder / "__init__.py").write_text(SOURCE)
    (folder / "tests" / "test_it.py").write_text(SOURCE.replace("Resize", "Test"))
    monkeypatch.syspath_prepend(tmp_path)
    return folder


def test_docstrings_are_read_and_never_imported(package: Path) -> None:
    items = {item.name: item for item in read_docstrings(package_root("toypackage"), min_body_words=10)}
    assert set(items) == {"toypackage.resize", "toypackage.Camera", "package.core.crop"}
    resize = items["toypackage.resize"]
    assert resize.summary == "Resize an image to a given size"
    assert resize.body.startswith("Pixels are interpolated")
    assert "Parameters" in resize.body
    assert "rotate" not in resize.body
    assert ">>>" not in resize.body
    assert items["package.core.crop"].summary == "Cut a rectangle out of an image"
    with pytest.raises(SettingError, match="'no_such_package' is not an installed package"):
        package_root("no_such_package")


@pytest.mark.parametrize(
    "docstring",
    [
        "Short.",
        "%(name)s of the thing here.\n\nBody.",
        "Give back the %(klass)s of it.\n\nBody.",
        "Say it twice.\n\nWe say it twice.",
    ],
)
def test_docstrings_without_a_usable_summary(docstring: str) -> None:
    assert split_docstring(docstring) is None


def test_the_embedded_collection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over json, a package of every Python: same bytes for the same seed, every query in one split, bodies without summaries."""
    monkeypatch.setattr("tandem.corpora.python_api.package_versions", lambda names: dict.fromkeys(names, "1"))
    first, again, other = (build_collection(["json", "email"], documents=20, test_queries=5, seed=s) for s in (1, 1, 2))
    assert first == again != other
    assert (len(first.documents), len(first.train), len(first.test)) == (20, 15, 5)
    assert not {p.query_id for p in first.train} & {p.query_id for p in first.test}
    texts = {document.doc_id: document.text for document in first.documents}
    assert all(pair.text.lower() not in " ".join(texts[pair.doc_id].lower().split()) for pair in [*first.train, *first.test])
    with pytest.raises(ValueError, match=r"test_queries: 20"):
        build_collection(["json"], documents=20, test_queries=20, seed=1)
