"""Words, stop words and stems by language; scripts without spaces have words too; what documentation is full of is that corpus's matter."""

from __future__ import annotations

import pytest

from tandem.filters.round_trip import apply_shape_rule
from tandem.generators.keywords import content_words, document_frequencies
from tandem.llm.prompts import truncate_documents
from tandem.llm.served import Words
from tandem.records import PseudoQuery
from tandem.retrievers.bm25 import BM25Index, BM25Settings, search_candidates
from tandem.text import count_words, split_words, stem_words, stop_words

GERMAN = "Die Prüfgebühr für den Antrag muss vor der Öffnung des Büros überwiesen werden."
CHINESE = "线性方程组的求解方法"


def test_german() -> None:
    assert content_words(GERMAN, "german") == ["prüfgebühr", "antrag", "öffnung", "büros", "überwiesen"]
    assert stem_words(["Anträge".lower(), "anträgen"], "german") == ["antrag", "antrag"]
    assert "muss" in stop_words("german")
    documents = {"a": GERMAN, "b": "Der Hund schläft im Garten.", "c": "Das Wetter bleibt schön."}
    index = BM25Index(documents, BM25Settings(), language="german")
    assert [item.doc_id for item in index.search({"q": "Wohin mit den Anträgen?"})] == ["a"]
    assert index.search({"q": "die der das"}) == []


@pytest.mark.parametrize("word", ["समीकरणों", "तरिकाहरू", "சமன்பாடுகள்", "café", "cafe\u0301"])
def test_marks_belong_to_their_words(word: str) -> None:
    """Vowel signs, viramas and accents of their own are not ends of words."""
    assert len(split_words(f"x {word} y")) == 3
    assert len(content_words(f"{word}", "none")) == 1


def test_a_served_document_is_cut_by_words_of_any_script() -> None:
    assert truncate_documents([CHINESE * 9], Words(), 5) == [CHINESE[:10]]  # type: ignore[arg-type]
    assert truncate_documents(["solve a linear  system of equations"], Words(), 3) == ["solve a linear"]  # type: ignore[arg-type]


def test_thai_keeps_its_marks() -> None:
    assert "".join(pair[0] for pair in split_words("น้ำ")) == "น้"
    assert split_words("cafe\u0301") == ["café"]


def test_chinese() -> None:
    assert split_words("求解 x") == ["求解", "x"]
    assert count_words(CHINESE) == 5
    assert count_words("solve 线性方程组") == 4
    rows = [PseudoQuery(query_id="q", text=CHINESE, doc_id="d")]
    assert apply_shape_rule(rows, min_words=2, max_words=20)[0].status == "generated"
    documents = {"a": f"本文介绍{CHINESE}。", "b": "今天天气很好, 我们去公园散步。", "c": "狗在花园里睡觉。"}
    for language in ("chinese", "english", "none"):
        found = BM25Index(documents, language=language).search({"q": "怎么求解方程"})  # type: ignore[arg-type]
        assert found[0].doc_id == "a"
    assert content_words(documents["a"], "chinese")
    assert document_frequencies(documents.values(), "chinese")["方程"] == 1


@pytest.mark.parametrize(
    ("text", "language", "word"),
    [
        ("Les élèves étudient", "french", "élèves"),
        ("Быстрая лиса прыгает", "russian", "лиса"),
        ("ภาษาไทย", "thai", "ภา"),
        ("東京タワー", "japanese", "東京"),
    ],
)
def test_letters_of_any_script(text: str, language: str, word: str) -> None:
    assert word in content_words(text, language)  # type: ignore[arg-type]


def test_documentation_words_are_words_of_other_corpora() -> None:
    """A recipe book's parameters, examples and methods are content; only the docstring corpus leaves them out, in params.yaml."""
    assert content_words("methods and examples of array functions") == ["methods", "examples", "array", "functions"]
    assert content_words("methods and examples of array functions", ignored=["methods", "examples", "array", "functions"]) == []


def test_an_unknown_language_is_refused() -> None:
    with pytest.raises(ValueError, match="language: 'klingon' found, allowed: none, arabic"):
        stop_words("klingon")  # type: ignore[arg-type]


def test_a_corpus_of_stop_words_alone_can_be_searched() -> None:
    documents = {"a": "the of and", "b": "to be or not"}
    assert BM25Index(documents).search({"q": "the"}) == []
    assert search_candidates(documents, {"q": ("the", "a")}, candidates=1, seed=1) == []
    assert [item.doc_id for item in BM25Index(documents, BM25Settings(stop_words=False)).search({"q": "the"})] == ["a"]


def test_stems_find_other_forms() -> None:
    documents = {"a": "solving linear systems", "b": "plots of lines"}
    assert [item.doc_id for item in BM25Index(documents).search({"q": "solve a system"})] == ["a"]
    assert BM25Index(documents, BM25Settings(stemming=False)).search({"q": "solve a system"}) == []
