"""Settings of a training of tasks: what contradicts itself is an error before anything is trained."""

from __future__ import annotations

from pathlib import Path

import pytest
from makers import task_training_settings
from pydantic import ValidationError

from tandem.retrievers.task_encoder import TaskEncoderSettings
from tandem.retrievers.training.task_settings import TaskRetrieverPlan, TaskTrainingSettings
from tandem.runtime.overlays import render_profile
from tandem.runtime.params import load_params, read_params

RECIPE = Path(__file__).parents[3] / "recipes/llm_embedder"


@pytest.mark.parametrize(
    "changes",
    [{"distillation": "off"}, {"distillation": "graded", "distillation_weight": 0.0}, {"distillation": "kl", "distillation_weight": 0.0}],
)
def test_no_loss_at_all_is_an_error(changes: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=r"contrastive_weight: 0 found with distillation .*, which leaves no loss; set it above 0"):
        task_training_settings(contrastive_weight=0.0, **changes)


def test_a_task_has_its_own_values_and_the_others_of_all() -> None:
    settings = task_training_settings(overrides={"chat": {"distillation": "kl", "teacher_temperature": 0.1, "max_rows": 5}})
    chat, qa = settings.of("chat"), settings.of("qa")
    assert (chat.distillation, chat.teacher_temperature, chat.max_rows, chat.temperature) == ("kl", 0.1, 5, 0.05)
    assert (qa.distillation, qa.teacher_temperature, qa.max_rows) == ("off", 1.0, None)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ({"temperature": 0.0}, r"overrides\.chat\.temperature: Input should be greater than 0"),
        ({"batch_size": 3}, r"overrides\.chat\.batch_size: Extra inputs are not permitted"),
        ({"copies": 1.5}, r"overrides\.chat\.copies: Input should be a valid integer"),
        ({"contrastive_weight": 0.0}, r"overrides\.chat: contrastive_weight: 0 found with distillation off"),
    ],
)
def test_an_override_is_checked_like_the_settings(override: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        task_training_settings(overrides={"chat": override})


def test_what_needs_a_teacher() -> None:
    assert task_training_settings().of("qa").teacher_readers == {}
    assert task_training_settings(distillation="kl", distillation_weight=0.0).of("qa").teacher_readers == {}
    readers = (
        task_training_settings(distillation="graded", select_negative="teacher_high", teacher_scores_min=-1.0).of("qa").teacher_readers
    )
    assert readers == {"distillation": "graded", "select_negative": "teacher_high", "teacher_scores_min": -1.0}


def test_the_published_tasks_are_settings(tmp_path: Path) -> None:
    """Of the recipe's profile: six tasks, each with both instructions, which end in a space, and values that pass."""
    path = tmp_path / "params.yaml"
    path.write_text(render_profile((RECIPE / "params.yaml").read_text(), RECIPE / "profiles", "published-multi-task"))
    encoder = load_params(path, "task_encoder", TaskEncoderSettings)
    plan = TaskRetrieverPlan.model_validate(read_params(path)["retrievers"]["published"])
    settings = load_params(path, "train_task_retriever", TaskTrainingSettings).for_retriever(plan)
    assert set(encoder.instructions) == set(plan.tasks) == {"qa", "convsearch", "chat", "lrlm", "icl", "tool"}
    assert all(text.endswith(": ") for texts in encoder.instructions.values() for text in (texts.query, texts.key))
    assert len({text for texts in encoder.instructions.values() for text in (texts.query, texts.key)}) == 12
    assert {task: settings.of(task).distillation for task in plan.tasks} == {
        "qa": "graded",
        "convsearch": "off",
        "chat": "kl",
        "lrlm": "kl",
        "icl": "graded",
        "tool": "off",
    }
