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
        from tandem.generators.prompts import QueryPrompts
        from tandem.llm.causal_lm import CausalLM

        weights = Path(__file__).parent / "weights"
        if not weights.exists():
            raise FileNotFoundError(f"{weights}: no weights; `dvc pull` fetches them, `dvc repro` makes them")
        self.model = CausalLM.load(str(weights))
        self.prompts = QueryPrompts.read(weights, self.model.tokenizer)

    # MLflow reads the hints: a frame it leaves unchecked, without hints it warns at every load.
    def predict(self, context: PythonModelContext, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> list[str]:
        """A query for each document."""
        from tandem.interfaces import SamplingSettings
        from tandem.llm.parsing import clean_query
        from tandem.tracking.serving.requests import read_sampling, text_column

        documents, keywords = text_column(model_input, "document"), text_column(model_input, "keywords", optional=True)
        request = read_sampling(params)
        self.model.batch_size = request.batch_size
        sampling = SamplingSettings(**request.model_dump(include=set(SamplingSettings.model_fields)))
        places = [row for row, document in enumerate(documents) if document.strip()]
        prompts = self.prompts.render([documents[row] for row in places], [keywords[row] for row in places])
        completions = self.model.complete(prompts, sampling, seed=request.seed, one_line=self.prompts.one_line)
        queries = {row: clean_query(completion.text) for row, completion in zip(places, completions, strict=True)}
        return [queries.get(row, "") for row in range(len(documents))]


mlflow.models.set_model(QueryGenerator())
