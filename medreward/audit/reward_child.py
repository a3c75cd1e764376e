"""The other end of `medreward.audit.reward_process`: calls a user's reward.

Requests come pickled on standard input, replies go as JSON to what was standard output. Both are
taken away before the reward is loaded: its own input is empty, and what it prints is kept apart, so
that it can neither read a request nor write a reply.
"""

from __future__ import annotations

import json
import os
import pickle
import struct
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from tempfile import TemporaryFile
from time import process_time
from typing import Any, BinaryIO

SIZE = struct.Struct("<Q")
_SHOWN = 200


def main() -> None:
    """Answer requests until there are no more."""
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    with open(os.devnull, "rb") as nothing, TemporaryFile() as printed:
        os.dup2(nothing.fileno(), 0)
        os.dup2(printed.fileno(), 1)
        serve(requests, replies, printed)


def serve(requests: BinaryIO, replies: BinaryIO, printed: BinaryIO) -> None:
    """Answer each request with one reply, whatever the reward does short of ending the process."""
    rewards: dict[int, Any] = {}
    while (request := read(requests)) is not None:
        kind, *arguments = pickle.loads(request)
        try:
            reply = _HANDLERS[kind](rewards, *arguments)
        except BaseException as error:  # noqa: BLE001 - also SystemExit and KeyboardInterrupt
            reply = _fail(error)
        output = _take_output(printed)
        if output and kind == "earn" and "problem" not in reply:
            problem = f"prints to standard output: {output[:_SHOWN]!r}"
            reply = {"problem": problem, "trace": "", "refused": False}
        elif output:  # a banner while modules are imported does no harm
            sys.stderr.write(output)
        write(replies, json.dumps(reply).encode())


def _load(_: dict[int, Any], path: str, signature: str | None) -> dict[str, Any]:
    from medreward.audit.user_rewards import detect_signature, resolve

    function = resolve(path)
    return {"signature": signature or detect_signature(path, function)}


def _bind(
    rewards: dict[int, Any], key: int, path: str, task: Any, signature: str
) -> dict[str, Any]:
    from medreward.audit.user_rewards import UserReward

    rewards[key] = UserReward(path, task, signature)
    return {}


def _earn(rewards: dict[int, Any], key: int, row: dict[str, Any]) -> dict[str, Any]:
    start = process_time()
    earned = rewards[key].earned(**row)
    seconds = process_time() - start
    return {"total": earned.total, "parts": dict(earned.parts), "seconds": seconds}


_HANDLERS: dict[str, Callable[..., dict[str, Any]]] = {"load": _load, "bind": _bind, "earn": _earn}


def _fail(error: BaseException) -> dict[str, Any]:
    from medreward.audit.user_rewards import ReturnError
    from medreward.errors import ConfigError

    refused = isinstance(error, ConfigError)
    # What a reward returned has no place in its code: a traceback would show ours alone.
    trace = "" if isinstance(error, ReturnError) else _format_trace(error)
    return {"problem": _describe(error), "trace": trace, "refused": refused}


def _describe(error: BaseException) -> str:
    """Return what a reward did, as what follows "the reward"."""
    from medreward.audit.user_rewards import ReturnError
    from medreward.errors import ConfigError

    if isinstance(error, SystemExit):
        return f"calls sys.exit({error.code!r})"[:_SHOWN]
    message = ""
    with suppress(Exception):  # __str__ is the reward's own code too
        message = str(error)
    if isinstance(error, ReturnError | ConfigError):
        return message
    return f"raises {type(error).__name__}" + (f": {message[:_SHOWN]}" if message else "")


def _format_trace(error: BaseException) -> str:
    with suppress(Exception):
        return "".join(traceback.format_exception(error))
    return ""


def _take_output(printed: BinaryIO) -> str:
    """Return what was printed since the last call, by Python or by code below it."""
    with suppress(Exception):  # the reward may have closed or replaced it
        sys.stdout.flush()
    printed.seek(0)
    text = printed.read(10_000)
    printed.seek(0)
    printed.truncate()
    return text.decode("utf-8", "backslashreplace")


def read(stream: BinaryIO) -> bytes | None:
    """Return the next message, or None where the other end is closed."""
    head = stream.read(SIZE.size)
    if len(head) < SIZE.size:
        return None
    (length,) = SIZE.unpack(head)
    body = stream.read(length)
    return body if len(body) == length else None


def write(stream: BinaryIO, message: bytes) -> None:
    """Send a message."""
    stream.write(SIZE.pack(len(message)) + message)
    stream.flush()
