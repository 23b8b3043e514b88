"""Searches in a thread of their own, one at a time: the event loop stays free, and no model is asked by two threads at once."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor

from ir_measures import ScoredDoc

from tandem.interfaces import Searcher
from tandem.runs import name_texts, rank_results

__all__ = ["BusyError", "SearchQueue"]

Asked = tuple[str, int]
"""query and number of results"""


class BusyError(RuntimeError):
    """As many searches wait as may wait."""


class SearchQueue:
    """Answers queries in the order in which they come; the same query, asked while it waits, is answered once.

    Args:
        searcher: that is asked, by one thread.
        most_waiting: different searches that may wait or be under way.
        remembered: answers that are kept.
    """

    def __init__(self, searcher: Searcher, *, most_waiting: int, remembered: int) -> None:
        self.searcher, self.most_waiting, self.remembered = searcher, most_waiting, remembered
        self.waiting: dict[Asked, asyncio.Future[list[ScoredDoc]]] = {}
        self._answers: OrderedDict[Asked, list[ScoredDoc]] = OrderedDict()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="search")

    async def search(self, query: str, number: int) -> list[ScoredDoc]:
        """The first documents for a query, best first.

        Raises:
            BusyError: too many others wait.
        """
        asked = (query, number)
        if asked in self._answers:
            self._answers.move_to_end(asked)
            return self._answers[asked]
        if asked not in self.waiting:
            if len(self.waiting) >= self.most_waiting:
                raise BusyError
            future = asyncio.get_running_loop().run_in_executor(self._thread, self._search, query, number)
            self.waiting[asked] = future
            future.add_done_callback(lambda done: self._finish(asked, done))
        # Whoever gives up waiting must not take the answer from the others.
        return await asyncio.shield(self.waiting[asked])

    def close(self) -> None:
        """Let the search that is under way end, and begin no other."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _search(self, query: str, number: int) -> list[ScoredDoc]:
        ranked = rank_results(self.searcher.search(name_texts([query]), depth=number))
        return [item for items in ranked.values() for item in items[:number]]

    def _finish(self, asked: Asked, done: asyncio.Future[list[ScoredDoc]]) -> None:
        del self.waiting[asked]
        if not done.cancelled() and done.exception() is None and self.remembered:
            self._answers[asked] = done.result()
            while len(self._answers) > self.remembered:
                self._answers.popitem(last=False)
