"""A corpus of six documents, and real architectures so small that they are built in code; nothing is downloaded."""

from __future__ import annotations

import contextlib
import copy
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tandem.records import Document, LabelledPair

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

TEXTS = {
    "sort": "Sort the rows of a table in ascending order of the values of one column.",
    "mean": "Compute the arithmetic mean of all numbers along an axis of the array.",
    "join": "Combine two tables on a shared key, keeping the rows that match in both.",
    "solve": "Find the vector that satisfies a square system of linear equations.",
    "parse": "Read dates and times from strings in many formats and time zones.",
    "plot": "Draw a line through the given points on a pair of axes.",
}
QUERIES = {
    "sort": "order a table by a column",
    "mean": "average of an array",
    "join": "merge two tables by key",
    "solve": "solve linear equations",
    "parse": "convert strings to dates",
    "plot": "draw a line chart",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What starts processes goes first: of two workers one has it to do for minutes, while the other does the rest."""
    items.sort(key=lambda item: item.get_closest_marker("distributed") is None)


def set_values(params: dict[str, Any], changes: dict[str, Any]) -> None:
    """Put changes into values of params.yaml; what a nested section is not told to change stays."""
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(params.get(key), dict):
            set_values(params[key], value)
        else:
            params[key] = value


def kill_stages(parent: subprocess.Popen[Any]) -> None:
    """Kill with -9 whatever a process has started and nothing else: other people's stages look the same to pkill."""
    import psutil

    children = psutil.Process(parent.pid).children(recursive=True)
    assert children
    for child in reversed(children):
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()


@contextlib.contextmanager
def ending(process: subprocess.Popen[Any]) -> Iterator[None]:
    """Whatever happens to a test, the session that its process leads has ended after it; it was started in one of its own."""
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def shared_data(name: str) -> Path:
    """A collection that is no part of the project; tests read nothing outside the repository but what one variable names."""
    folder = os.environ.get("TANDEM_SHARED_DATA")
    if not folder or not (Path(folder) / name).is_dir():
        pytest.skip(f"TANDEM_SHARED_DATA names no folder with {name} in it")
    return Path(folder) / name


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where a test's models are: the processor, whatever else the machine has, and its GPU where it has one."""
    import torch

    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs a GPU")
    if request.param == "cpu":
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    return str(request.param)


def prompted(document_tokens: int = 16, keywords: int = 2, template: str = "Document: {document}\nKeywords: {keywords}\nQuery:") -> Any:
    """How prompts are made, in English, with no word ignored."""
    from tandem.generators.prompts import PromptedSettings, PromptSettings

    prompt = PromptSettings(template=template, document_tokens=document_tokens, keywords=keywords, ignored_words=[])
    return PromptedSettings(prompt=prompt, language="english")


@pytest.fixture
def corpus() -> list[Document]:
    return [Document(doc_id=doc_id, text=text) for doc_id, text in TEXTS.items()]


@pytest.fixture
def pairs() -> list[LabelledPair]:
    return [LabelledPair(query_id=f"q-{doc_id}", text=text, doc_id=doc_id) for doc_id, text in QUERIES.items()]


@pytest.fixture(scope="session")
def tiny_tokenizer() -> Any:
    """A word-level tokenizer over the corpus's words, with distinct pad, start and end tokens."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words = sorted({w for text in [*TEXTS.values(), *QUERIES.values()] for w in text.lower().replace(".", " .").split()})
    words = [w.strip(",") for w in words]
    specials = ["<pad>", "<s>", "</s>", "<unk>"]
    vocabulary = {w: i for i, w in enumerate(dict.fromkeys([*specials, "document", "keywords", "query", ":", ",", ".", *words]))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        padding_side="left",
    )


@pytest.fixture(scope="session")
def tiny_generator(tiny_tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a two-layer Llama of random weights."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tiny_tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=256,
        tie_word_embeddings=True,
        initializer_range=0.2,  # with the usual .02, tied logits stay so small that no adapter can make a token likely
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
    folder = tmp_path_factory.mktemp("generator")
    LlamaForCausalLM(config).save_pretrained(folder)
    tiny_tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_encoder(tiny_tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sentence-transformers folder with a two-layer BERT of random weights, mean pooling."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Transformer
    from sentence_transformers.sentence_transformer.modules import Pooling
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tiny_tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=256,
        pad_token_id=0,
    )
    bare = tmp_path_factory.mktemp("bert")
    BertModel(config).save_pretrained(bare)
    # BERT numbers positions from the left: padded there, a text would read differently beside a longer one.
    encoder_tokenizer = copy.deepcopy(tiny_tokenizer)
    encoder_tokenizer.padding_side = "right"
    encoder_tokenizer.mask_token = "<unk>"
    encoder_tokenizer.save_pretrained(bare)
    folder = tmp_path_factory.mktemp("encoder")
    transformer = Transformer(str(bare))
    pooling = Pooling(transformer.get_embedding_dimension())
    SentenceTransformer(modules=[transformer, pooling]).save_pretrained(str(folder), create_model_card=False)
    return folder


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    """A BEIR folder of 30 documents over the tiny tokenizer's words, 20 train and 8 test queries, no two of the same words."""
    folder = tmp_path / "collection"
    (folder / "qrels").mkdir(parents=True)
    documents, queries, qrels = [], [], []
    names = list(TEXTS)
    for i in range(30):
        first, second = names[i % 6], names[(i + 1 + i // 6) % 6]
        documents.append({"_id": f"d{i}", "title": "", "text": f"{TEXTS[first]} {TEXTS[second]}"})
        if i < 28:
            queries.append({"_id": f"q{i}", "text": f"{QUERIES[first]} {QUERIES[second]} {i}th"})
            qrels.append((f"q{i}", f"d{i}"))
    for name, rows in (("corpus", documents), ("queries", queries)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for split, part in (("train", qrels[:20]), ("test", qrels[20:])):
        lines = "".join(f"{query_id}\t{doc_id}\t1\n" for query_id, doc_id in part)
        (folder / "qrels" / f"{split}.tsv").write_text(f"query-id\tcorpus-id\tscore\n{lines}")
    return folder


@pytest.fixture(scope="session")
def tiny_cross_encoder(tiny_tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A two-layer BERT of random weights whose tokenizer makes [CLS] query [SEP] document [SEP] pairs."""
    import torch
    from tokenizers import processors
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    tokenizer = copy.deepcopy(tiny_tokenizer)
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B:1 </s>:1", special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    tokenizer.model_input_names = ["input_ids", "token_type_ids", "attention_mask"]
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, pad_token_id=0
    )
    folder = tmp_path_factory.mktemp("cross-encoder")
    BertModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
