"""An MLflow model of a retriever folder, ColBERT or dense: scores of (query, document) pairs. Its weights lie in ``weights/`` beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.pyfunc import PythonModel, PythonModelContext


class RetrieverScorer(PythonModel):
    """Takes rows of ``query`` and ``document``, gives one score a row."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load the weights."""
        from tandem.retrievers.retriever import load_retriever

        weights = Path(__file__).parent / "weights"
        if not weights.exists():
            raise FileNotFoundError(f"{weights}: no weights; `dvc pull` fetches them, `dvc repro` makes them")
        self.model = load_retriever(weights)

    # MLflow reads the hints: a frame it leaves unchecked, without hints it warns at every load.
    def predict(self, context: PythonModelContext, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> list[float]:
        """The score of each row; BM25 weighs words by the documents of the request."""
        from tandem.interfaces import Encoder
        from tandem.tracking.serving.requests import text_column

        asked, texts = text_column(model_input, "query"), text_column(model_input, "document")
        if not isinstance(self.model, Encoder):
            return self._lexical_scores(asked, texts)
        queries = self.model.encode_query(asked, show_progress_bar=False)
        documents = self.model.encode_document(texts, show_progress_bar=False)
        return [float(score) for score in self.model.similarity_pairwise(queries, documents)]

    def _lexical_scores(self, queries: list[str], documents: list[str]) -> list[float]:
        from tandem.retrievers.retriever import search

        texts = {f"d{i}": text for i, text in enumerate(documents)}
        scores: dict[tuple[str, str], float] = {}
        for item in search(self.model, texts, {f"q{i}": text for i, text in enumerate(queries)}, depth=len(texts)):
            scores[item.query_id, item.doc_id] = item.score
        return [scores.get((f"q{i}", f"d{i}"), 0.0) for i in range(len(queries))]


mlflow.models.set_model(RetrieverScorer())
