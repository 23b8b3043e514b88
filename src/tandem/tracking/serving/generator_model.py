"""An MLflow model of a query generator: a query for each document. Weights, tokenizer and prompt settings lie in ``weights/`` beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.pyfunc import PythonModel, PythonModelContext


class QueryGenerator(PythonModel):
    """Takes rows of ``document`` and, where wanted, ``keywords``, gives one query a row.

    A query is empty where the document is, or where the model wrote none. ``params`` are those of
    :class:`tandem.tracking.serving.requests.Sampling`. The tandem package has to be installed where it runs.
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
        from tandem.tracking.serving.requests import read_sampling, text_column

        documents, keywords = text_column(model_input, "document"), text_column(model_input, "keywords", optional=True)
        sampling = read_sampling(params).model_dump()
        shape = {"template": self.prompt["template"], "max_document_tokens": self.prompt["document_tokens"]}
        rendered = render_prompts(documents, keywords, self.tokenizer, **shape)
        prompts = {str(row): prompt for row, prompt in enumerate(rendered) if documents[row].strip()}
        queries = {
            row: clean_query(answer.text)
            for batch in sample_queries(self.model, self.tokenizer, prompts, **sampling)
            for row, answer in batch.items()
        }
        return [queries.get(str(row), "") for row in range(len(documents))]


mlflow.models.set_model(QueryGenerator())
