"""An MLflow model of a query generator: a query for each document, decoded greedily. Weights lie in ``weights/`` beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.pyfunc import PythonModel, PythonModelContext


class QueryGenerator(PythonModel):
    """Takes rows of ``prompt``, gives one completion a row."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load the weights."""
        from transformers import AutoModelForCausalLM, AutoTokenizer

        weights = Path(__file__).parent / "weights"
        if not weights.exists():
            raise FileNotFoundError(f"{weights}: no weights; `dvc pull` fetches them, `dvc repro` makes them")
        self.tokenizer = AutoTokenizer.from_pretrained(weights, padding_side="left")
        self.model = AutoModelForCausalLM.from_pretrained(weights)

    # MLflow reads the hints: a frame it leaves unchecked, without hints it warns at every load.
    def predict(self, context: PythonModelContext, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> list[str]:
        """A completion of each prompt."""
        batch = self.tokenizer(list(model_input["prompt"]), return_tensors="pt", padding=True)
        output = self.model.generate(**batch, max_new_tokens=32, do_sample=False)
        texts = self.tokenizer.batch_decode(output[:, batch["input_ids"].shape[1] :], skip_special_tokens=True)
        return [text.strip() for text in texts]


mlflow.models.set_model(QueryGenerator())
