"""Prompts are read together by their beginning, their group and their length."""

from __future__ import annotations

from tandem.llm.batches import plan_batches, shared_prefixes

EXAMPLES = "an example with its query\n" * 8


def test_a_beginning_is_shared_by_as_many_as_fill_a_batch() -> None:
    prompts = [f"{EXAMPLES}document {i}" for i in range(6)] + ["short", "x" * 400]
    assert shared_prefixes(prompts, batch_size=4) == [f"{EXAMPLES}document "] * 6 + ["", ""]
    documents = [f"document {i // 3} " * 40 + str(i) for i in range(30)]
    assert shared_prefixes(documents, batch_size=8) == [""] * 30, "the three queries of a document are their batch's matter"
    assert shared_prefixes([EXAMPLES], batch_size=1) == [""]


def test_batches_have_one_beginning_and_keep_groups_together() -> None:
    lengths, groups = [9, 3, 8, 2, 5, 9], ["b", "a", "b", "a", "c", "d"]
    batches = plan_batches(lengths, groups, [""] * 6, range(6), batch_size=2)
    assert [batch.indices for batch in batches] == [[1, 3], [4, 0], [2, 5]]
    parted = plan_batches(lengths, groups, ["", "", "p", "p", "p", ""], range(6), batch_size=2)
    assert [(batch.prefix, batch.indices) for batch in parted] == [("", [1, 0]), ("", [5]), ("p", [3, 4]), ("p", [2])]
    assert plan_batches(lengths, groups, [""] * 6, [4, 1], batch_size=8)[0].indices == [1, 4]
