"""Users' rewards in a process of their own, so that nothing they do ends or fools the command.

A reward is somebody's code. It may call ``sys.exit(0)`` or ``os._exit(0)``, hang, crash the
interpreter or print into a report, and a command that ran it in its own process would stop with
status 0 and look as if all had passed. Here each of these is a `RewardError` that says what the
reward did. A process that ends or exceeds its time is started again, `RESTARTS` times.

medreward's own reward needs none of this and stays in the calling process.
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import RLock, Thread
from time import monotonic
from typing import Any
from weakref import WeakValueDictionary, finalize

from medreward.audit.reward_child import read, write
from medreward.audit.user_rewards import OWN, SIGNATURES, Earned, Reward, load_reward
from medreward.checks import number
from medreward.errors import ConfigError, expected, quote
from medreward.task.task import Task
from medreward.text.completion import CompletionLike

TIME_LIMIT = 60.0
RESTARTS = 3
# Loading a reward may import a large library: it gets this many limits, and no less than one of
# `TIME_LIMIT`.
_LOADING = 5
_POLL = 0.5
# Modules are looked for where we look for them.
_MAIN = "import sys; sys.path[:] = {!r}; from medreward.audit.reward_child import main; main()"


class RewardError(Exception):
    """A user's reward did not give one finite number; the message says what it did instead.

    Attributes:
        trace: the traceback in the reward's process, "" where there is none.
    """

    def __init__(self, message: str, trace: str = "") -> None:
        super().__init__(message)
        self.trace = trace

    def __reduce__(self) -> tuple[type[RewardError], tuple[str, str]]:
        return type(self), (str(self), self.trace)


def load_isolated(
    path: str,
    task: str | Path | Task,
    *,
    signature: str | None = None,
    settings: Mapping[str, Any] | None = None,
    time_limit: float = TIME_LIMIT,
) -> Reward:
    """Return the reward at `path` as `load_reward` does, a user's in a process of its own.

    Args:
        path: "shaped", which stays in this process, or where a user's reward is.
        task: a shipped task's name, the path of a card, or a `Task`.
        signature: how to call it; None to read it off the parameters.
        settings: override the card's reward settings, for medreward's own reward.
        time_limit: seconds that the reward may take for one completion.

    Raises:
        ConfigError: if there is no such reward, it cannot be loaded, or a value is not allowed.

    >>> reward = load_isolated("shaped", "retinamnist")
    >>> reward("<think>Dot bleeds.</think><answer>2</answer>", "2")
    1.2
    """
    if path == OWN or settings:  # with settings, load_reward refuses all but our own
        return load_reward(path, task, signature=signature, settings=settings)
    loaded = task if isinstance(task, Task) else Task.load(task)
    return IsolatedReward(path, loaded, signature, time_limit)


class IsolatedReward(Reward):
    """A user's reward, called in another process; all tasks under one path share that process."""

    def __init__(
        self,
        path: str,
        task: Task,
        signature: str | None = None,
        time_limit: float = TIME_LIMIT,
    ) -> None:
        if signature is not None and signature not in SIGNATURES:
            raise expected("signature", signature, SIGNATURES)
        self.name = path
        self.task = task
        self.process = _share_process(path, signature, number("time limit", time_limit, 0.1, 1e6))
        self.signature = self.process.signature

    def __reduce__(self) -> tuple[type[IsolatedReward], tuple[str, Task, str, float]]:
        return type(self), (self.name, self.task, self.signature, self.process.time_limit)

    def clock(self) -> float:
        """Return the processor time that the reward has used, in seconds."""
        return self.process.seconds

    def earned(
        self,
        completion: CompletionLike,
        target: object,
        *,
        prompt: str | None = None,
        knowledge: str | None = None,
        columns: Mapping[str, Any] | None = None,
    ) -> Earned:
        """Return what the function gives (see `Reward.earned`).

        Raises:
            RewardError: if it gives no finite number, raises, prints, exits, crashes or hangs.
        """
        row = {
            "completion": completion,
            "target": target,
            "prompt": prompt,
            "knowledge": knowledge,
            "columns": columns,
        }
        return self.process.earn(self.task, row)


class RewardProcess:
    """A process that calls one reward function, started again where the function ends it.

    Raises:
        ConfigError: if the function cannot be loaded.
    """

    def __init__(self, path: str, signature: str | None, time_limit: float) -> None:
        self.path = path
        self.signature = signature or ""
        self.time_limit = time_limit
        self.seconds = 0.0
        self._lock = RLock()
        self._child: _Child | None = None
        self._tasks: dict[int, Task] = {}
        self._ends: list[str] = []
        try:
            self._start()
        except RewardError as error:
            raise ConfigError(f"reward {quote(path)} cannot be loaded: it {error}") from error

    @property
    def given_up(self) -> bool:
        """Whether the process has ended so often that it is not started again."""
        return len(self._ends) > RESTARTS

    def earn(self, task: Task, row: dict[str, Any]) -> Earned:
        """Return what the function gives for one completion of a task."""
        with self._lock:
            if self._child is None:
                self._restart()
            self._know(task)
            reply = self._asked(self.time_limit, "earn", id(task), row)
        self.seconds += reply["seconds"]
        return Earned(reply["total"], reply["parts"])

    def _restart(self) -> None:
        if self.given_up:
            raise RewardError(
                f"was not called again, since it had to be started {len(self._ends)} times: it "
                f"{self._ends[-1]}"
            )
        self._start()

    def _start(self) -> None:
        self._child = _Child()
        self._tasks = {}
        signature = self.signature or None
        limit = max(TIME_LIMIT, self.time_limit * _LOADING)
        reply = self._asked(limit, "load", self.path, signature)
        self.signature = reply["signature"]

    def _know(self, task: Task) -> None:
        """Send a task once; it is kept, so that its id stays its own."""
        if id(task) not in self._tasks:
            self._tasks[id(task)] = task
            self._asked(
                max(TIME_LIMIT, self.time_limit), "bind", id(task), self.path, task, self.signature
            )

    def _asked(self, limit: float, *request: Any) -> dict[str, Any]:
        assert self._child is not None  # noqa: S101 - for the type checker
        try:
            reply = self._child.ask(request, limit)
        except RewardError as error:
            self._ends.append(str(error))
            self._child = None
            raise
        if reply.get("refused"):
            raise ConfigError(reply["problem"])
        if "problem" in reply:
            raise RewardError(reply["problem"], reply["trace"])
        return reply


_PROCESSES: WeakValueDictionary[tuple[str, str | None, float], RewardProcess] = (
    WeakValueDictionary()
)


def _share_process(path: str, signature: str | None, time_limit: float) -> RewardProcess:
    """Return the process of a reward, the same one as long as somebody uses it and it works."""
    key = (path, signature, time_limit)
    found = _PROCESSES.get(key)
    if found is None or found.given_up:
        found = _PROCESSES[key] = RewardProcess(*key)
    return found


class _Child:
    """One process, and the thread that reads its replies so that waiting can end in time."""

    def __init__(self) -> None:
        # A session of its own: Ctrl-C is for us, and what it has started ends with it.
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-c", _MAIN.format(sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self.replies: SimpleQueue[bytes | None] = SimpleQueue()
        Thread(target=_forward, args=(self.process, self.replies), daemon=True).start()
        self.close = finalize(self, _end, self.process)

    def ask(self, request: tuple[Any, ...], limit: float) -> dict[str, Any]:
        """Return the reply to a request.

        Raises:
            RewardError: if there is none within so many seconds, or the process has ended.
        """
        reply = None
        with suppress(OSError):  # a broken pipe: it has ended
            write(self.process.stdin, pickle.dumps(request))  # type: ignore[arg-type]
            reply = self._next(limit)
        if reply is None:
            self._wait()
            raise RewardError(_describe_end(self.process.returncode))
        return dict(json.loads(reply))

    def _next(self, limit: float) -> bytes | None:
        end = monotonic() + limit
        while True:
            with suppress(Empty):
                return self.replies.get(timeout=max(0.0, min(_POLL, end - monotonic())))
            if self.process.poll() is not None and self.replies.empty():
                return None
            if monotonic() >= end:
                self.close()
                raise RewardError(
                    f"gives no result within {limit:g} s (--time-limit sets what is allowed for "
                    f"one completion)"
                )

    def _wait(self) -> None:
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(_POLL * 10)
        self.close()


def _forward(process: subprocess.Popen[bytes], replies: SimpleQueue[bytes | None]) -> None:
    reply: bytes | None = b""
    while reply is not None:
        try:
            reply = read(process.stdout)  # type: ignore[arg-type]
        except (OSError, ValueError):  # closed while we read
            reply = None
        replies.put(reply)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process and what it has started."""
    if process.poll() is None:
        with suppress(OSError):
            if hasattr(os, "killpg"):
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()
        process.wait()
    with suppress(OSError):
        process.stdin.close()  # type: ignore[union-attr]


def _describe_end(status: int | None) -> str:
    if status is not None and status < 0:
        name = signal.Signals(-status).name if -status in set(signal.Signals) else str(-status)
        return f"crashes: its process was ended by signal {name}"
    return f"ends its process with status {status}, as os._exit does"
