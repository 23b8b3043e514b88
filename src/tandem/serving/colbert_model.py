"""An MLflow model of a ColBERT folder: scores of (query, document) pairs. Its weights lie in ``weights/`` beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlflow
from mlflow.pyfunc import PythonModel, PythonModelContext


class ColBERTScorer(PythonModel):
    """Takes rows of ``query`` and ``document``, gives one MaxSim score a row."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load the weights."""
        from sentence_transformers import MultiVectorEncoder

        weights = Path(__file__).parent / "weights"
        if not weights.exists():
            raise FileNotFoundError(f"{weights}: no weights; `dvc pull` fetches them, `dvc repro` makes them")
        self.model = MultiVectorEncoder(str(weights), device="cpu")

    def predict(self, context: PythonModelContext, model_input: Any, params: dict[str, Any] | None = None) -> list[float]:
        """The score of each row."""
        queries = self.model.encode_query(list(model_input["query"]), show_progress_bar=False)
        documents = self.model.encode_document(list(model_input["document"]), show_progress_bar=False)
        return [float(score) for score in self.model.similarity_pairwise(queries, documents)]


mlflow.models.set_model(ColBERTScorer())
