"""An MLflow model of a reranker folder: scores of (query, document) pairs. Its weights lie in ``weights/`` beside it."""

from __future__ import annotations

from pathlib import Path

import mlflow
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

    # No type hints: MLflow would infer a signature from them, and with Any in it warn at every load.
    def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]
        """The score of each row."""
        return self.model.compute_score(list(zip(model_input["query"], model_input["document"], strict=True)))


mlflow.models.set_model(RerankerScorer())
