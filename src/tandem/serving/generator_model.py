"""An MLflow model of a query generator: a query for each document. Weights, tokenizer and prompt settings lie in ``weights/`` beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.pyfunc import PythonModel, PythonModelContext


class QueryGenerator(PythonModel):
    """Takes rows of ``document`` and, where wanted, ``keywords``, gives one query a row; the query is empty where the model wrote none.

    ``params``: ``maximum_new_tokens`` (32), ``temperature`` (0: greedy), ``top_p``, ``top_k``, ``seed`` and ``batch_size`` (16), which
    bounds the memory. With the tandem package installed where it runs.
    """

    def load_context(self, context: PythonModelContext) -> None:
        """Load the weights, and how their prompts are made."""
        import json

        from tandem.generators.base import PROMPT_FILE, load_generator

        weights = Path(__file__).parent / "weights"
        if not weights.exists():
            raise FileNotFoundError(f"{weights}: no weights; `dvc pull` fetches them, `dvc repro` makes them")
        self.model, self.tokenizer = load_generator(str(weights))
        self.prompt = json.loads((weights / PROMPT_FILE).read_text(encoding="utf8"))

    # MLflow reads the hints: a frame it leaves unchecked, without hints it warns at every load.
    def predict(self, context: PythonModelContext, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> list[str]:
        """A query for each document."""
        from tandem.generators.parsing import clean_query
        from tandem.generators.prompts import render_prompts
        from tandem.generators.sampling import sample_queries

        if "document" not in model_input:
            raise ValueError(f"column 'document' is expected, found: {', '.join(map(str, model_input.columns))}")
        documents = [str(text) for text in model_input["document"]]
        keywords = [str(text) for text in model_input["keywords"]] if "keywords" in model_input else [""] * len(documents)
        shape = {"template": self.prompt["template"], "maximum_document_tokens": self.prompt["document_tokens"]}
        prompts = {str(i): text for i, text in enumerate(render_prompts(documents, keywords, self.tokenizer, **shape))}
        sampling = {"temperature": 0.0, "top_p": 1.0, "top_k": 0, "maximum_new_tokens": 32, "batch_size": 16, "seed": 0}
        if unknown := set(params or {}) - set(sampling):
            raise ValueError(f"params: {', '.join(sorted(unknown))} found, allowed: {', '.join(sampling)}")
        answers = {
            number: answer.text
            for batch in sample_queries(self.model, self.tokenizer, prompts, **{**sampling, **(params or {})})
            for number, answer in batch.items()
        }
        return [clean_query(answers[str(i)]) for i in range(len(documents))]


mlflow.models.set_model(QueryGenerator())
