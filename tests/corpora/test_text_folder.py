"""A folder of text files: what is read, and why the rest is not."""

from __future__ import annotations

from pathlib import Path

from tandem.corpora.text_folder import read_folder


def test_every_file_is_a_document_or_has_a_reason(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep/b.md").write_text("two")
    (tmp_path / "a.TXT").write_text(" one \n")
    (tmp_path / "empty.rst").write_text(" ")
    (tmp_path / "binary.txt").write_bytes(b"a\0b")
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")
    (tmp_path / "code.py").write_text("x")
    (tmp_path / ".hidden").write_text("x")
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    documents, left_out = read_folder(tmp_path)
    assert [(document.doc_id, document.text) for document in documents] == [("a.TXT", "one"), ("deep/b.md", "two")]
    assert {name: reason.removeprefix("file: ").split(" ")[0] for reason, names in left_out.items() for name in names} == {
        ".hidden": "hidden",
        "binary.txt": "binary",
        "code.py": ".py",
        "empty.rst": "empty",
        "latin.txt": "not",
        "loop": "a",
    }
