"""MonoT5: a sequence-to-sequence model that says true or false of a query and a document (Nogueira et al. 2020)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from tqdm import tqdm

from tandem.runtime.encoders import check_length, pad_right
from tandem.runtime.weights import refuse_new_weights

__all__ = ["MonoT5"]

MINIMUM_DOCUMENT_TOKENS = 8


class MonoT5:
    """Scores pairs by the first token that the decoder writes after ``Query: q Document: d Relevant:``.

    Args:
        name: folder or Hugging Face id, such as ``castorini/monot5-base-msmarco``.
        max_length: of a pair; the document is cut to fit, the query to a half of it, the suffix never.
        device: to run on.
        bf16: score under bfloat16 autocast.

    Raises:
        ValueError: weights are missing, or positions for so many tokens.
    """

    def __init__(self, name: str, *, max_length: int = 512, device: str = "cpu", bf16: bool = False) -> None:
        from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

        with refuse_new_weights(name, instead="take a MonoT5 that was trained, such as castorini/monot5-base-msmarco"):
            self.tokenizer: Any = AutoTokenizer.from_pretrained(name)
            self.model: Any = AutoModelForSeq2SeqLM.from_pretrained(name, dtype=torch.float32).to(device).eval()
        pad_right(self.tokenizer)
        check_length(self.model, max_length, key="max_length")
        self.max_length, self.device, self.bf16 = max_length, device, bf16
        self.words = [self._ids(word)[0] for word in ("true", "false")]

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def tokens(self, query: str, document: str) -> list[int]:
        """The encoder's input for one pair, its end token included.

        Raises:
            ValueError: next to nothing of the document would fit.
        """
        start = [*self._ids("Query:"), *self._ids(query)[: self.max_length // 2], *self._ids("Document:")]
        end = [*self._ids("Relevant:"), self.tokenizer.eos_token_id]
        room = self.max_length - len(start) - len(end)
        if room < MINIMUM_DOCUMENT_TOKENS:
            raise ValueError(f"max_length: {self.max_length} found, which leaves {room} for the document; raise it")
        return [*start, *self._ids(document)[:room], *end]

    def compute_score(self, pairs: Sequence[tuple[str, str]], *, batch_size: int = 32) -> list[float]:
        """The logit of true less that of false, one a pair, in the order of the pairs.

        Args:
            pairs: (query, document).
            batch_size: pairs at once; pairs of like length go together.
        """
        inputs = [self.tokens(*pair) for pair in pairs]
        order = sorted(range(len(pairs)), key=lambda i: len(inputs[i]))
        scores = [0.0] * len(pairs)
        for start in tqdm(range(0, len(order), batch_size), desc="scoring pairs", mininterval=1.0, disable=len(order) < 20 * batch_size):
            places = order[start : start + batch_size]
            batch = self.tokenizer.pad({"input_ids": [inputs[i] for i in places]}, return_tensors="pt").to(self.device)
            first = torch.full((len(places), 1), self.model.config.decoder_start_token_id, device=self.device)
            with torch.inference_mode(), torch.autocast(torch.device(self.device).type, dtype=torch.bfloat16, enabled=self.bf16):
                logits = self.model(**batch, decoder_input_ids=first).logits[:, 0, self.words].float()
            for i, (yes, no) in zip(places, logits.tolist(), strict=True):
                scores[i] = yes - no
        return scores
