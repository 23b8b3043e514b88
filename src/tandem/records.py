"""The records that the whole program passes around: what a line of each file means.

Field names follow ir_measures (``query_id, doc_id, relevance, score``). Every record is frozen and is written as one
JSON line by :mod:`tandem.formats.jsonl`, which also validates it on the way in.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = [
    "Difficulty",
    "Document",
    "LabelledPair",
    "MinedRow",
    "PreferencePair",
    "PseudoQuery",
    "Query",
    "Ranking",
    "RankingRow",
    "ScoreScale",
    "TaskQuery",
    "TaskRow",
    "document_text",
]

Identifier = Annotated[str, Field(min_length=1)]


class Record(BaseModel):
    """A frozen, strict row of a JSONL file: unknown keys and values of another type are errors."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class Document(Record):
    """One retrievable text. ``group`` is shared by exact and near duplicates (empty: it has none)."""

    doc_id: Identifier
    title: str = ""
    text: str
    group: str = ""


class Query(Record):
    """One information need, as a person typed it."""

    query_id: Identifier
    text: Identifier


class LabelledPair(Record):
    """A query and one document that a person judged relevant to it."""

    query_id: Identifier
    text: Identifier
    doc_id: Identifier
    relevance: int = 1


class PseudoQuery(Record):
    """A generated query with the document it was written for, and all that the filters said of it.

    ``status`` is ``generated`` until a filter has seen the row, then ``kept`` or ``rejected`` with a ``reason``. Rows
    are never deleted: rejected ones are the reward model's negatives. ``scores`` and ``ranks`` are keyed by the run that
    produced them (``bm25``, ``bm25_sampled``, ``dense``, ``fusion``); a rank counts from 1.
    """

    query_id: Identifier
    text: str
    doc_id: Identifier
    keywords: str = ""
    status: Literal["generated", "kept", "rejected"] = "generated"
    reason: str = ""
    scores: dict[str, float] = Field(default_factory=dict)
    ranks: dict[str, int] = Field(default_factory=dict)


class Ranking(Record):
    """The results of one query, best first, with their scores."""

    query_id: Identifier
    doc_ids: list[Identifier]
    scores: list[float]

    @model_validator(mode="after")
    def _one_score_a_document(self) -> Ranking:
        if len(self.doc_ids) != len(self.scores):
            raise ValueError(f"scores: {len(self.scores)} found for {len(self.doc_ids)} documents in doc_ids")
        return self


class Difficulty(Record):
    """How hard one pseudo query is for a trained retriever.

    ``rank`` is the document's pessimistic rank over the whole corpus, ``score`` its late-interaction score;
    ``difficulty`` combines them as the chosen mode says.
    """

    query_id: Identifier
    doc_id: Identifier
    rank: int
    score: float
    difficulty: float


class PreferencePair(Record):
    """Two queries of one document, the better first, for the reward model (and DPO)."""

    doc_id: Identifier
    chosen: Identifier
    rejected: str
    kind: Literal["valid_over_invalid", "hard_over_easy", "imported"]
    margin: float = 0.0


class RankingRow(Record):
    """A query with documents, for rerankers: the standard form of RAG-Retrieval's data.

    Without scores, ``pos`` are relevant and ``neg`` are not. ``pos_scores`` and ``neg_scores`` are labels of several levels or a teacher's
    scores, one a document. Rerankers' files hold the documents' texts.
    """

    query: Identifier
    pos: list[Identifier] = Field(min_length=1)
    neg: list[Identifier] = Field(default_factory=list)
    pos_scores: list[float] | None = None
    neg_scores: list[float] | None = None

    @model_validator(mode="after")
    def _one_score_a_document(self) -> RankingRow:
        for name, documents, scores in (("pos", self.pos, self.pos_scores), ("neg", self.neg, self.neg_scores)):
            if scores is not None and len(scores) != len(documents):
                raise ValueError(f"{name}_scores: {len(scores)} found for {len(documents)} documents in {name}")
        return self


class MinedRow(RankingRow):
    """What a round learns from beside a query's own documents: a query text and doc_ids, of relevant documents and of hard negatives.

    ``masked`` may be relevant too: the contrastive loss counts them neither for nor against this query. Scores are a teacher's.
    """

    masked: list[Identifier] = Field(default_factory=list)


class TaskRow(Record):
    """A query of one of several tasks, with keys (texts) that serve it and keys that do not: a training row of LLM-Embedder.

    Either side may be empty, as where a teacher alone tells good keys from bad ones. ``pos_index`` and ``neg_index`` are the keys' places
    in the task's corpus; ``teacher_scores`` are one a key, those of ``pos`` first; ``answers`` are texts that a language model should
    write after query and key.
    """

    query_id: Identifier
    task: Identifier
    query: Identifier
    pos: list[Identifier] = Field(default_factory=list)
    neg: list[Identifier] = Field(default_factory=list)
    pos_index: list[int] | None = None
    neg_index: list[int] | None = None
    teacher_scores: list[float] | None = None
    answers: list[Identifier] = Field(default_factory=list)

    @model_validator(mode="after")
    def _one_a_key(self) -> TaskRow:
        for name, values, keys in (
            ("pos_index", self.pos_index, self.pos),
            ("neg_index", self.neg_index, self.neg),
            ("teacher_scores", self.teacher_scores, [*self.pos, *self.neg]),
        ):
            if values is not None and len(values) != len(keys):
                raise ValueError(f"{name}: {len(values)} found for {len(keys)} keys")
        return self


class ScoreScale(Record):
    """What a file's teacher scores are, for whoever learns from them: scores of two scales are never mixed, nor divided by one temperature.

    ``reduction`` and ``answers`` say how a likelihood became a score, ``templates`` are the versions of the prompts by task, and
    ``temperature`` is what the scores were divided by already; each is null or empty where it does not apply.
    """

    kind: Identifier
    model: Identifier
    reduction: str | None = None
    answers: str | None = None
    templates: dict[str, str] = Field(default_factory=dict)
    temperature: float | None = None


class TaskQuery(Record):
    """A query of one of several tasks that a retriever is measured with: an evaluation row of LLM-Embedder.

    ``pos_index`` are the places of its relevant keys in the task's corpus, or among ``key`` where it brings candidates of its own;
    ``key_index`` are the candidates' places in the corpus.
    """

    query_id: Identifier
    task: Identifier
    query: Identifier
    pos_index: list[int] | None = None
    answers: list[Identifier] = Field(default_factory=list)
    key: list[Identifier] | None = None
    key_index: list[int] | None = None


def document_text(document: Document) -> str:
    """The one text of a document that indexes, encoders and prompts see: title and body, parted by a line break."""
    return f"{document.title}\n{document.text}" if document.title else document.text
