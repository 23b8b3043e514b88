"""Query likelihood: how likely a generator finds a query after a document, as a score of the pair.

``score(q, d) = 1/|q| * sum_i log p(q_i | examples, d, q_<i)``, the query likelihood model of retrieval (Ponte and Croft 1998) with a
language model (Sachan et al. 2022), which needs no label. What prompts share, the examples and each document, is computed once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import JsonValue

from tandem.generators.examples import Examples, draw_examples
from tandem.generators.prompt_settings import PromptedSettings, PromptShape
from tandem.generators.prompts import PROMPT_FILE, QueryPrompts, read_examples, read_shape
from tandem.interfaces import LanguageModel
from tandem.llm.causal_lm import CausalLM, load_causal_lm
from tandem.settings import BatchSize, Depth, Settings, Tokens

__all__ = [
    "LikelihoodPrompts",
    "LikelihoodSettings",
    "QueryLikelihood",
    "likelihood_prompts",
    "load_query_likelihood",
    "open_query_likelihood",
    "resolve_generator",
]

CHAMPION = "champion"


class LikelihoodSettings(Settings):
    """Which model scores, and what."""

    model: str
    """champion (of the generators; g1 where there is none), a generator of the pipeline (g1), smollm2, a Hugging Face id or a folder"""
    document_tokens: Tokens | None
    """of the model's tokens: documents are cut here; null: where the generator's prompts cut them"""
    rerank_depth: Depth
    """results of the champion that are scored, a query"""
    batch_size: BatchSize
    """pairs at once"""


class LikelihoodPrompts(Settings):
    """All that scoring needs beside the weights: the shape of the prompt, the worked examples, and pairs at once."""

    template: str
    document_tokens: Tokens
    examples: Examples
    batch_size: BatchSize


class QueryLikelihood:
    """Scores (query, document) pairs by a token's mean log-probability of the query after the document.

    Args:
        model: that says how likely a text is.
        prompts: how a document becomes a prompt; no words are offered.
    """

    def __init__(self, model: LanguageModel, prompts: QueryPrompts) -> None:
        self.model, self.prompts = model, prompts

    def __call__(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """One score a (query, document) pair, in the order of the pairs."""
        documents = list(dict.fromkeys(document for _, document in pairs))
        rendered = dict(zip(documents, self.prompts.render(documents, [""] * len(documents)), strict=True))
        completions = [self.prompts.completion(query).rstrip("\n") for query, _ in pairs]
        return [score.mean for score in self.model.log_likelihood([rendered[document] for _, document in pairs], completions)]


def resolve_generator(name: str, generators: Path, champion: str) -> str:
    """The model that a name stands for: the folder of a generator's weights, or the name itself.

    Args:
        name: see :class:`LikelihoodSettings`.
        generators: folder of the pipeline's generators.
        champion: of them; empty where there is none.
    """
    folder = generators / (champion or "g1" if name == CHAMPION else name) / "model/weights"
    return str(folder) if name == CHAMPION or folder.is_dir() else name


def likelihood_prompts(weights: str, settings: LikelihoodSettings, prompted: PromptedSettings, *, seed: int) -> LikelihoodPrompts:
    """How the prompts of a model are made: as its folder says; of a model that was not made here, as params.yaml says.

    Examples offer no words, for documents that are scored do not.

    Args:
        weights: from :func:`resolve_generator`.
        settings: of the score.
        prompted: the prompt of params.yaml.
        seed: of the draw of examples, where the folder has none.
    """
    made_here = (Path(weights) / PROMPT_FILE).is_file()
    shape = read_shape(Path(weights)) if made_here else prompted.prompt
    examples = read_examples(Path(weights)) if made_here else draw_examples(prompted, seed=seed)
    by_type = {
        query_type: [example.model_copy(update={"keywords": ""}) for example in drawn] for query_type, drawn in examples.by_type.items()
    }
    return LikelihoodPrompts(
        template=shape.template,
        document_tokens=settings.document_tokens or shape.document_tokens,
        examples=examples.model_copy(update={"by_type": by_type}),
        batch_size=settings.batch_size,
    )


def load_query_likelihood(weights: str, prompts: LikelihoodPrompts, *, device: str = "cpu", bf16: bool = False) -> QueryLikelihood:
    """Load a model for scoring.

    Args:
        weights: a name for :func:`tandem.llm.causal_lm.load_causal_lm`.
        prompts: from :func:`likelihood_prompts`.
        device: to run on.
        bf16: hold the weights in bfloat16.
    """
    model, tokenizer = load_causal_lm(weights, device=device, bf16=bf16)
    shape = PromptShape(template=prompts.template, document_tokens=prompts.document_tokens)
    scorer = CausalLM(model, tokenizer, batch_size=prompts.batch_size)
    return QueryLikelihood(scorer, QueryPrompts(tokenizer, shape, examples=prompts.examples))


def open_query_likelihood(weights: str, settings: Mapping[str, JsonValue], *, device: str = "cpu", bf16: bool = False) -> QueryLikelihood:
    """Load a model for scoring as a described system names it: :class:`LikelihoodPrompts` as JSON."""
    return load_query_likelihood(weights, LikelihoodPrompts.model_validate(settings), device=device, bf16=bf16)
