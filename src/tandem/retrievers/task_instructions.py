"""The six tasks of LLM-Embedder: what its weights were trained to read before a query and a key, and how each task was trained.

The instructions are those of the published weights, spaces included: with others the weights see texts that they do not know.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tandem.settings import Settings

__all__ = ["INSTRUCTIONS", "TRAINING", "TaskInstructions"]


class TaskInstructions(Settings):
    """What stands before every query and every key of a task; spaces count."""

    query: str
    """before a query, its spaces included"""
    key: str
    """before a key"""


INSTRUCTIONS: Mapping[str, TaskInstructions] = {
    "qa": TaskInstructions(
        query="Represent this query for retrieving relevant documents: ",
        key="Represent this document for retrieval: ",
    ),
    "convsearch": TaskInstructions(
        query="Encode this query and context for searching relevant passages: ",
        key="Encode this passage for retrieval: ",
    ),
    "chat": TaskInstructions(
        query="Embed this dialogue to find useful historical dialogues: ",
        key="Embed this historical dialogue for retrieval: ",
    ),
    "lrlm": TaskInstructions(
        query="Embed this text chunk for finding useful historical chunks: ",
        key="Embed this historical text chunk for retrieval: ",
    ),
    "icl": TaskInstructions(
        query="Convert this example into vector to look for useful examples: ",
        key="Convert this example into vector for retrieval: ",
    ),
    "tool": TaskInstructions(
        query="Transform this user request for fetching helpful tool descriptions: ",
        key="Transform this tool description for retrieval: ",
    ),
}
"""by task (Zhang et al. 2023, appendix; the released configuration)"""

_GRADED = {"contrastive_weight": 0.0, "distillation": "graded", "distillation_weight": 1.0}
_KL = {"contrastive_weight": 0.0, "distillation": "kl", "distillation_weight": 1.0, "teacher_temperature": 0.1}
_CONTRASTIVE = {"contrastive_weight": 1.0, "distillation": "off"}
TRAINING: Mapping[str, Mapping[str, Any]] = {
    "qa": {**_GRADED, "select_positive": "first"},
    "convsearch": {**_CONTRASTIVE, "select_positive": "first"},
    "chat": {**_KL, "select_positive": "teacher"},
    "lrlm": {**_KL, "select_positive": "teacher", "max_rows": 10_000, "teacher_scores_margin": 0.1},
    "icl": {**_GRADED, "select_positive": "random"},
    "tool": {**_CONTRASTIVE, "select_positive": "first", "copies": 2},
}
"""overrides of :class:`tandem.retrievers.training.task_settings.TaskTrainingSettings` by task, as released; negatives are random in all.
The paper has graded distillation for chat and lrlm too."""
