"""Work on many items in all cores, with the results in order and little in memory."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import Any, TypeVar

from medreward.errors import ConfigError

Item = TypeVar("Item")
Result = TypeVar("Result")
_CHUNK = 8  # items that go to a worker at once
_AHEAD = 4  # chunks a worker that wait or are done, at most


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def ordered_map(
    function: Callable[[Item], Result], items: Iterable[Item], *, workers: int
) -> Generator[Result, None, None]:
    """Yield `function` of each item in the items' order.

    With more than one worker the function and items are pickled, and items are taken a few ahead.

    Raises:
        ConfigError: if a worker process dies, such as for want of memory.
    """
    if workers <= 1:
        yield from map(function, items)
        return
    source = iter(items)
    chunks = iter(lambda: list(islice(source, _CHUNK)), [])
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, initializer=_end_with_parent) as pool:
        waiting: deque[Future[list[Result]]] = deque()
        try:
            for chunk in chunks:
                waiting.append(pool.submit(_work, function, chunk))
                if len(waiting) >= workers * _AHEAD:
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
        except BrokenProcessPool as error:
            raise ConfigError("a worker process died; is there enough memory?") from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _work(function: Callable[[Any], Any], chunk: list[Any]) -> list[Any]:
    return [function(item) for item in chunk]


def _end_with_parent() -> None:
    """Have a worker end when its parent is killed, instead of waiting for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: Any) -> None:
    parent.join()
    os._exit(1)
