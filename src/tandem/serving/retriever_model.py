"""An MLflow model of a retriever folder, ColBERT or dense: scores of (query, document) pairs. Its weights lie in ``weights/`` beside it."""

from __future__ import annotations

from pathlib import Path

import mlflow
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

    # No type hints: MLflow would infer a signature from them, and with Any in it warn at every load.
    def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]
        """The score of each row."""
        queries = self.model.encode_query(list(model_input["query"]), show_progress_bar=False)
        documents = self.model.encode_document(list(model_input["document"]), show_progress_bar=False)
        return [float(score) for score in self.model.similarity_pairwise(queries, documents)]


mlflow.models.set_model(RetrieverScorer())
