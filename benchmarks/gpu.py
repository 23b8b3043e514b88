"""Every training stage on a GPU in bfloat16, at real shapes with random weights: tokens a second, memory, share of the ceiling.

python benchmarks/gpu.py OUTPUT          # some minutes; replaces the GPU table of docs/performance.md
python benchmarks/gpu.py OUTPUT tiny     # the same code on whatever is there, at toy shapes; prints the table

The language model is a Llama of 1.2 billion parameters, trained through adapters; retrievers and the reranker have BERT-base's shape. The
ceiling is the best of several square matrix products. A model of N parameters does 6 N operations a token where all are trained (2 forward,
4 backward), 4 N where an adapter is (its frozen weights get no gradient of their own).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from metering import Put, measure_ceiling, write_down

from tandem.generators.dpo import DPOSettings, optimise_preferences
from tandem.generators.grpo import GroupSettings, optimise_in_groups
from tandem.generators.ppo import PPO, PPOSettings
from tandem.generators.prompts import DEFAULT_TEMPLATE, PromptSettings, QueryPrompts
from tandem.generators.reward_model import RewardModelSettings, load_reward_model, train_reward_model
from tandem.generators.rewards import WeightedRewards
from tandem.generators.rollouts import Curriculum, Prompt
from tandem.generators.sft import SFTSettings, fine_tune
from tandem.generators.trainers import preference_rows
from tandem.llm.causal_lm import load_causal_lm
from tandem.records import Document, PreferencePair
from tandem.rerankers.pair_format import PairFormat
from tandem.rerankers.reranker import Reranker
from tandem.rerankers.training import RankingSettings, ScheduleSettings, train_reranker
from tandem.retrievers.retriever import build_retriever
from tandem.retrievers.settings import RetrieverSettings
from tandem.retrievers.training.rows import TrainingData
from tandem.retrievers.training.trainer import ContrastiveSettings, train_retriever
from tandem.runtime.encoders import resolve_encoder
from tandem.runtime.hardware import Compute, device_name, use_bf16
from tandem.runtime.lora import Lora

LORA = Lora(rank=16, alpha=32)
PROMPT = PromptSettings(template=DEFAULT_TEMPLATE, document_tokens=256, keywords=0, ignored_words=[])
LENGTH = WeightedRewards({"length": (1.0, lambda queries, _: [float(len(text)) for text in queries])}, cap=1e6)


@dataclass(frozen=True)
class Scale:
    """Shapes and batches of a run."""

    llama: dict[str, int]
    bert: dict[str, int]
    words: int
    steps: int
    batch: int


REAL = Scale(
    llama={"hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16, "num_attention_heads": 32, "num_key_value_heads": 8},
    bert={"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12},
    words=150,
    steps=20,
    batch=16,
)
TINY = Scale(
    llama={"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1},
    bert={"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2},
    words=12,
    steps=4,
    batch=2,
)


def main(output: Path, size: str = "real") -> None:
    """Run every stage and print its row; on a GPU, write the table down."""
    scale, device = (REAL if size == "real" else TINY), device_name()
    if size == "real" and device != "cuda":
        raise SystemExit("no GPU here: `python benchmarks/gpu.py OUTPUT tiny` runs the code without one")
    bf16 = use_bf16("auto")
    ceiling = measure_ceiling(device, 8192 if size == "real" else 256)
    make_models(output, scale)
    documents, queries = make_texts(scale)
    lines = ["| stage | parameters | tokens/s | GiB | TFLOP/s | of the ceiling |", "|" + "---|" * 6]
    for number, (name, stage) in enumerate(STAGES.items()):
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        put = Put()
        stage(output, documents, queries, scale, {"scratch": output / f"scratch-{number}", "bf16": bf16, "seed": 1}, put)
        lines.append(put.meter.row(name, ceiling))
        print(lines[-1], flush=True)
    what = torch.cuda.get_device_name() if device == "cuda" else "a processor, at toy shapes"
    text = "\n".join([f"{what}, torch {torch.__version__}; ceiling {ceiling:.1f} TFLOP/s (`python benchmarks/gpu.py OUTPUT`):", "", *lines])
    print(text)
    if device == "cuda" and size == "real":
        write_down(Path("docs/performance.md"), text)


def fine_tuning(output: Path, documents: list[Document], queries: list[str], scale: Scale, common: dict[str, Any], put: Put) -> None:
    """`train_generator`: prompts and completions."""
    model, tokenizer = load_causal_lm(str(output / "llama"), device=device_name())
    put(model, 4)
    rows = [{"prompt": document.text, "completion": f" {query}"} for document, query in zip(documents, queries, strict=True)]
    settings = SFTSettings(epochs=1, batch_size=scale.batch, learning_rate=1e-4, lora=LORA)
    fine_tune(model, tokenizer, rows, [], settings, compute=Compute(device=device_name(), **common))


def reward_model(output: Path, documents: list[Document], queries: list[str], scale: Scale, common: dict[str, Any], put: Put) -> None:
    """`train_reward_model`: two queries a document, the better first."""
    _, tokenizer = load_causal_lm(str(output / "llama"), device="cpu")
    model = load_reward_model(str(output / "llama"), tokenizer, device=device_name(), new_head=True)
    put(model, 4)
    pairs, texts = preferences(documents, queries)
    passes: dict[str, Any] = {"epochs": 1, "batch_size": scale.batch, "learning_rate": 1e-4}
    settings = RewardModelSettings(**passes, center_coefficient=0.01, min_accuracy=0.0, min_pairs=1, lora=LORA)
    rows = preference_rows(pairs, texts, QueryPrompts(tokenizer, PROMPT))
    train_reward_model(model, tokenizer, rows, settings, compute=Compute(device=device_name(), **common))


def dpo(output: Path, documents: list[Document], queries: list[str], scale: Scale, common: dict[str, Any], put: Put) -> None:
    """`improve_generator` by DPO: two queries a document, the better first."""
    model, tokenizer = load_causal_lm(str(output / "llama"), device=device_name())
    put(model, 4)
    pairs, texts = preferences(documents, queries)
    passes: dict[str, Any] = {"epochs": 1, "batch_size": scale.batch, "learning_rate": 1e-5}
    settings = DPOSettings(**passes, loss="sigmoid", beta=0.1, label_smoothing=0.0, fine_tuning_weight=0.0)
    rows = preference_rows(pairs, texts, QueryPrompts(tokenizer, PROMPT))
    optimise_preferences(model, tokenizer, rows, [], settings, lora=LORA, compute=Compute(device=device_name(), **common))


def preferences(documents: list[Document], queries: list[str]) -> tuple[list[PreferencePair], dict[str, str]]:
    """A document's query before another's, and the text of each document."""
    pairs = [
        PreferencePair(doc_id=document.doc_id, chosen=query, rejected=other, kind="valid_over_invalid")
        for document, query, other in zip(documents, queries, reversed(queries), strict=True)
        if query != other
    ]
    return pairs, {document.doc_id: document.text for document in documents}


def ppo(output: Path, documents: list[Document], queries: list[str], scale: Scale, common: dict[str, Any], put: Put) -> None:
    """`improve_generator` by PPO: rollouts count as time, and the tokens that are learnt from as tokens."""
    del queries
    model, tokenizer = load_causal_lm(str(output / "llama"), device=device_name(), bf16=common["bf16"])
    put(model, 4)
    common["scratch"].mkdir(parents=True, exist_ok=True)
    settings = PPOSettings(
        steps=max(scale.steps // 4, 2),
        batch_size=2 * scale.batch,
        minibatch_size=scale.batch,
        epochs=2,
        learning_rate=1e-4,
        kl_coefficient=0.1,
        target_kl=None,
        temperature=1.0,
        max_new_tokens=32 if scale is REAL else 4,
        missing_end_penalty=1.0,
        score_clip=4.0,
        clip=0.2,
        value_clip=0.2,
        value_coefficient=0.1,
        gamma=1.0,
        lam=0.95,
        max_grad_norm=1.0,
    )
    compute = Compute(device=device_name(), **common)
    PPO(model, tokenizer, LENGTH, settings, lora=LORA, compute=compute).train(in_random_order(documents))


def in_random_order(documents: list[Document]) -> Curriculum:
    """Each document as its prompt."""
    return Curriculum([Prompt(document.doc_id, document.text, 0.0) for document in documents], "random", 1)


def grpo(output: Path, documents: list[Document], queries: list[str], scale: Scale, common: dict[str, Any], put: Put) -> None:
    """`improve_generator` by GRPO: four responses to a prompt; what counts is as for PPO."""
    del queries
    model, tokenizer = load_causal_lm(str(output / "llama"), device=device_name())
    put(model, 4)
    settings = GroupSettings(
        steps=max(scale.steps // 4, 2),
        prompts_per_step=max(scale.batch // 4, 1),
        responses=4,
        updates=2,
        learning_rate=1e-4,
        kl_coefficient=0.05,
        clip=0.2,
        temperature=1.0,
        max_new_tokens=32 if scale is REAL else 4,
        missing_end_penalty=0.0,
        max_grad_norm=1.0,
    )
    compute = Compute(device=device_name(), **common)
    curriculum = in_random_order(documents)
    optimise_in_groups(model, tokenizer, curriculum, LENGTH, settings, algorithm="grpo", lora=LORA, compute=compute)


def retriever(kind: str) -> Callable[..., None]:
    """`train_retriever` of a kind: in-batch and three sampled negatives."""

    def stage(output: Path, documents: list[Document], queries: list[str], scale: Scale, common: dict[str, Any], put: Put) -> None:
        shape: dict[str, Any] = {"layers": None, "dimensions": 128 if scale is REAL else 16, "query_tokens": 32, "document_tokens": 256}
        more: dict[str, Any] = {"query_expansion": False, "markers": False, "prompts": None}
        start = RetrieverSettings(kind=kind, encoder=str(output / "bert"), **shape, **more)  # type: ignore[arg-type]
        model = build_retriever(start, seed=1, device=device_name())
        put(model[0], 6)
        pairs = [(query, document.doc_id) for document, query in zip(documents, queries, strict=True)]
        steps: dict[str, Any] = {"steps": scale.steps, "batch_size": scale.batch, "learning_rate": 1e-5, "warmup_ratio": 0.1}
        settings = ContrastiveSettings(negatives=3, temperature=1.0 if kind == "colbert" else 0.05, **steps)
        data, compute = TrainingData(pairs, documents), Compute(device_name(), **common)
        train_retriever(model, data, settings, evaluations=1, dev_score=lambda _: [0.0], compute=compute)

    return stage


def reranker(output: Path, documents: list[Document], queries: list[str], scale: Scale, common: dict[str, Any], put: Put) -> None:
    """`train_reranker`: groups of eight documents."""
    model = Reranker(str(output / "bert"), PairFormat(kind="encoder", max_length=320), new_head=True, device=device_name(), seed=1)
    put(model.scorer.auto_model, 6)
    texts = [document.text for document in documents]
    rows = [(query, [(texts[(i + j) % len(texts)], float(j == 0)) for j in range(8)]) for i, query in enumerate(queries)]
    steps: dict[str, Any] = {"steps": scale.steps, "batch_size": max(scale.batch // 4, 1), "learning_rate": 1e-5}
    settings = RankingSettings(loss="rank_net", documents_per_query=8, lora=None, **steps)
    schedule = ScheduleSettings(warmup_ratio=0.1, evaluations=1, patience=None)
    train_reranker(model, rows, settings, schedule, dev_score=lambda _: [0.0], compute=Compute(device_name(), **common))


STAGES: dict[str, Callable[..., None]] = {
    "train_generator": fine_tuning,
    "train_reward_model": reward_model,
    "improve_generator, PPO": ppo,
    "improve_generator, GRPO": grpo,
    "improve_generator, DPO": dpo,
    "train_retriever, ColBERT": retriever("colbert"),
    "train_retriever, dense": retriever("dense"),
    "train_reranker": reranker,
}


def make_models(output: Path, scale: Scale) -> None:
    """Random weights of both shapes, with the tokenizers of SmolLM2 and of the built-in encoder."""
    from transformers import AutoTokenizer, BertConfig, BertModel, LlamaConfig, LlamaForCausalLM

    torch.manual_seed(1)
    _, words = load_causal_lm("smollm2")
    for name, tokenizer in (("llama", words), ("bert", AutoTokenizer.from_pretrained(resolve_encoder("builtin")))):
        size = {"vocab_size": len(tokenizer)}
        if name == "llama":
            ends = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id, "bos_token_id": tokenizer.bos_token_id}
            model: Any = LlamaForCausalLM(LlamaConfig(**scale.llama, **size, **ends))
        else:
            model = BertModel(BertConfig(**scale.bert, **size), add_pooling_layer=False)
        model.save_pretrained(output / name)
        tokenizer.save_pretrained(output / name)


def make_texts(scale: Scale) -> tuple[list[Document], list[str]]:
    """As many documents as the stages take, and a query of eight words of each."""
    random = np.random.default_rng(1)
    words = [f"{first}{second}" for first in ("sort", "plot", "read", "mean", "join") for second in ("ing", "er", "s", "able", "less")]
    texts = [" ".join(random.choice(words, scale.words)) for _ in range(scale.steps * scale.batch)]
    documents = [Document(doc_id=f"d{i}", text=text) for i, text in enumerate(texts)]
    return documents, [" ".join(random.choice(text.split(), 8)) for text in texts]


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
