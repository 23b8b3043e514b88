"""An MLflow model of a reranker folder: scores of (query, document) pairs. Its weights lie in ``weights/`` beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.pyfunc import PythonModel, PythonModelContext


class RerankerScorer(PythonModel):
    """Takes rows of ``query`` and ``document``, gives one logit a row."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load the weights."""
        from tandem.rerankers.reranker import Reranker

        weights = Path(__file__).parent / "weights"
        if not weights.exists():
            raise FileNotFoundError(f"{weights}: no weights; `dvc pull` fetches them, `dvc repro` makes them")
        self.model = Reranker(str(weights))

    # MLflow reads the hints: a frame it leaves unchecked, without hints it warns at every load.
    def predict(self, context: PythonModelContext, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> list[float]:
        """The score of each row."""
        from tandem.tracking.serving.requests import text_column

        return self.model.compute_score(list(zip(*(text_column(model_input, name) for name in ("query", "document")), strict=True)))


mlflow.models.set_model(RerankerScorer())
