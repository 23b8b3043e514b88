"""The one module of a reranker: tokens of (query, document) pairs in, one logit a pair out; saved and loaded with its format."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file, save_file
from sentence_transformers.base.modules import InputModule

from tandem.rerankers.pair_format import PairFormat, encode_pairs
from tandem.rerankers.similarity_head import HEAD_FILE, SimilarityHead
from tandem.runtime.encoders import check_length, keep_layers
from tandem.runtime.lora import Lora, adapter_config, merge_adapter
from tandem.runtime.weights import refuse_new_weights

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["INSTEAD", "PairScorer", "load_scorer"]

FORMAT_FILE = "pair_format.json"
ADAPTER_FILE = "adapter.safetensors"
LORA_FILE = "lora.json"
INSTEAD = "take a reranker that was trained, or train this one (stage train_reranker)"
NAMES = ("input_ids", "attention_mask", "token_type_ids")  # of a transformer's inputs
TASKS = {"yes_no": "CAUSAL_LM", "similarity": "FEATURE_EXTRACTION"}


class PairScorer(InputModule):
    """A transformer that scores pairs, as sentence-transformers' CrossEncoder takes it for a module.

    Args:
        model: sequence classification with one label (``encoder``, ``head``), a bare encoder (``similarity``) or a causal language model
            (``yes_no``).
        tokenizer: with a pad token that is not its end token.
        form: of the input.
        base: folder or id that the model came from, and ``layers``, how many of its layers were kept (None: all); a checkpoint of an
            adapter names both.
    """

    save_in_root = True
    auto_model: PreTrainedModel  # nn.Module would make its attributes tensors

    def __init__(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, form: PairFormat, *, base: str, layers: int | None = None
    ) -> None:
        super().__init__()
        self.auto_model, self.tokenizer, self.form, self.base, self.layers = model, tokenizer, form, base, layers
        self.lora: Lora | None = None
        self.answers: tuple[int, int] | None = None
        self.similarity = SimilarityHead(model.config.hidden_size) if form.kind == "similarity" else None
        if form.kind == "yes_no":
            self.answers = _first_tokens(tokenizer, form.yes, form.no)

    @property
    def config(self) -> PretrainedConfig:
        """The transformer's configuration."""
        return self.auto_model.config

    @property
    def max_seq_length(self) -> int:
        """Tokens of a pair at most."""
        return self.form.max_length

    def preprocess(self, inputs: Any, prompt: str | None = None, **_: Any) -> dict[str, Any]:  # noqa: ARG002 - the format is the prompt
        """Token ids of pairs; nothing for single texts, of which sentence-transformers' model card asks the length."""
        if isinstance(inputs[0], str):
            return {}
        return dict(encode_pairs(self.tokenizer, [(query, document) for query, document in inputs], self.form))

    def forward(self, features: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Add ``scores``, (pairs, 1): the raw logit, or the logit of yes less that of no."""
        inputs = {name: features[name] for name in NAMES if name in features}
        if self.similarity is not None:
            hidden = self.auto_model(**inputs).last_hidden_state
            features["scores"] = self.similarity(hidden, inputs["attention_mask"], features["sides"])
            return features
        if self.answers is None:
            features["scores"] = self.auto_model(**inputs).logits
            return features
        model = self.auto_model if self.lora is None else self.auto_model.get_base_model()  # its layers carry the adapter
        hidden = model.base_model(**inputs).last_hidden_state
        last = inputs["attention_mask"].sum(1) - 1
        logits = model.lm_head(hidden[torch.arange(len(last), device=last.device), last])
        yes, no = self.answers
        features["scores"] = (logits[:, yes] - logits[:, no]).unsqueeze(1)
        return features

    def add_adapter(self, lora: Lora) -> None:
        """Freeze the model and train an adapter beside it."""
        from peft import get_peft_model

        task = TASKS.get(self.form.kind, "SEQ_CLS")  # which trains the head as well
        self.auto_model, self.lora = get_peft_model(self.auto_model, adapter_config(lora, self.auto_model, task=task)), lora

    def merge_adapter(self) -> None:
        """Put the adapter into the weights, where there is one."""
        if self.lora is not None:
            # A run whose best checkpoint is its start leaves the adapter as it was.
            example = self.preprocess([("a query", "a document that may answer it")])
            inputs = {name: example[name] for name in NAMES if name in example}
            self.auto_model, self.lora = merge_adapter(self.auto_model, inputs, trained=False)[0], None

    def save(self, output_path: str, *_: Any, **__: Any) -> None:
        """Write weights, tokenizer and format; with an adapter, that and the base's name instead of the weights."""
        folder = Path(output_path)
        if self.lora is None:
            self.auto_model.save_pretrained(folder)
        else:
            trained = {name: value.detach().cpu().contiguous() for name, value in self.auto_model.named_parameters() if value.requires_grad}
            save_file(trained, folder / ADAPTER_FILE)
            (folder / LORA_FILE).write_text(
                json.dumps({"base": self.base, "layers": self.layers, "lora": self.lora.model_dump()}) + "\n", encoding="utf8"
            )
        if self.similarity is not None:
            self.similarity.save(folder)
        self.tokenizer.save_pretrained(folder)
        (Path(output_path) / FORMAT_FILE).write_text(self.form.model_dump_json(indent=1) + "\n", encoding="utf8")

    @classmethod
    def load(cls, model_name_or_path: str, **_: Any) -> PairScorer:
        """Read what :meth:`save` wrote.

        Raises:
            ValueError: an adapter does not fit its base.
        """
        folder = Path(model_name_or_path)
        if not (folder / LORA_FILE).exists():
            return load_scorer(model_name_or_path)
        stored = json.loads((folder / LORA_FILE).read_text(encoding="utf8"))
        form = PairFormat.model_validate_json((folder / FORMAT_FILE).read_bytes())
        scorer = load_scorer(stored["base"], form, layers=stored["layers"], new_head=True)  # the adapter's file has the head
        scorer.add_adapter(Lora(**stored["lora"]))
        saved = load_file(folder / ADAPTER_FILE)
        if unknown := scorer.auto_model.load_state_dict(saved, strict=False).unexpected_keys:
            raise ValueError(f"{folder}: the adapter does not fit {stored['base']}: {unknown[0]} is not in it")
        if lacking := [name for name, value in scorer.auto_model.named_parameters() if value.requires_grad and name not in saved]:
            raise ValueError(f"{folder}: the adapter's file lacks {lacking[0]}; train it again")
        if scorer.similarity is not None:
            scorer.similarity.load(folder)
        return scorer


def load_scorer(
    name: str, form: PairFormat | None = None, *, layers: int | None = None, new_head: bool = False, seed: int = 0
) -> PairScorer:
    """A scorer from a folder that one was saved to, or from any model with a format given, with float32 weights.

    Args:
        name: folder or Hugging Face id.
        form: of the input; None reads the folder's.
        layers: keep the first layers only.
        new_head: the model may have no head yet, for it is about to be trained.
        seed: of a head that the model does not have yet.

    Raises:
        SettingError: there are fewer layers or positions than asked for.
        ValueError: no format is given and none was saved, or weights are missing.
    """
    from transformers import AutoModel, AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer, GenerationConfig

    stored = Path(name) / FORMAT_FILE
    if form is None:
        if not stored.exists():
            raise ValueError(f"{name}: no {FORMAT_FILE} in it, so it is no reranker of Tandem's; train one, or give a format")
        form = PairFormat.model_validate_json(stored.read_bytes())
    torch.manual_seed(seed)
    with refuse_new_weights(name, instead=INSTEAD, key="base" if new_head else "", head=new_head):
        tokenizer = AutoTokenizer.from_pretrained(name)
        if form.kind == "yes_no":
            model = AutoModelForCausalLM.from_pretrained(name, dtype=torch.float32)
            model.generation_config = GenerationConfig()  # nothing is generated; settings that contradict each other could not be saved
        elif form.kind == "similarity":
            model = AutoModel.from_pretrained(name, dtype=torch.float32, **_without_pooler(name))
        else:
            model = AutoModelForSequenceClassification.from_pretrained(name, num_labels=1, dtype=torch.float32)
    keep_layers(model, layers)
    check_length(model, form.max_length, key="form.max_length")
    if tokenizer.pad_token_id is None or tokenizer.pad_token_id == tokenizer.eos_token_id:
        # A head is read at the last token that is no pad: with pad = end it would miss a marker that is the end token.
        tokenizer.add_special_tokens({"pad_token": "<|pad|>"})
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    model.config.pad_token_id = tokenizer.pad_token_id
    scorer = PairScorer(model, tokenizer, form, base=name, layers=layers)
    if scorer.similarity is not None and not scorer.similarity.load(Path(name)) and not new_head:
        raise ValueError(f"{name}: no {HEAD_FILE} in it, so its head would be a new one: {INSTEAD}")
    return scorer


def _without_pooler(name: str) -> dict[str, bool]:
    """What keeps an encoder from having a pooler, which nothing would read; not every architecture has one."""
    from transformers import MODEL_MAPPING, AutoConfig

    model_class = MODEL_MAPPING[type(AutoConfig.from_pretrained(name))]
    has_one = "add_pooling_layer" in inspect.signature(model_class).parameters
    return {"add_pooling_layer": False} if has_one else {}


def _first_tokens(tokenizer: PreTrainedTokenizerBase, *words: str) -> tuple[int, int]:
    """The first token of each of two answers.

    Raises:
        ValueError: they begin with the same token.
    """
    first = [tokenizer(word, add_special_tokens=False)["input_ids"][0] for word in words]
    if first[0] == first[1]:
        raise ValueError(f"the answers {words[0]!r} and {words[1]!r} begin with the same token; choose others")
    return first[0], first[1]
