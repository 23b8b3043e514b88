"""Text files of any kind, read as text."""

from __future__ import annotations

from pathlib import Path

import pytest

from tandem.formats.encodings import encoding_of, first_undecodable, read_lines, read_text, require_file
from tandem.formats.errors import InputError


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_the_byte_order_mark_says_what_it_is(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "t.txt"
    path.write_text("é\u2028x\r\ny", encoding=encoding, newline="")
    assert encoding_of(path) == encoding
    assert list(read_lines(path)) == [(1, "é\u2028x"), (2, "y")]


def test_bytes_of_another_encoding_are_named(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    path.write_bytes(b"ok\ncaf\xe9\n")
    assert first_undecodable(path) == 2
    with pytest.raises(InputError, match=r"t.txt: not UTF-8 at byte 6; convert the file to UTF-8"):
        read_text(path)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a folder, a file is expected; name one"):
        require_file(tmp_path, "name one")
    with pytest.raises(InputError, match=r"no such file; name one"):
        require_file(tmp_path / "t", "name one")
