"""The trace of a run: what the policy wrote and what it earned, one completion a line of JSON.

============== ==================================================================================
``step``       the update for which the completion was sampled, counted from 1; null: not known
``id``         the row's name; completions of one step and id are a group
``group``      optional: tells groups apart where the id does not (veRL's uid)
``split``      optional: the row's split, where the trainer scores held-out rows as well
``task``       the task's name
``target``     the ground truth as text (`medreward.kinds.truth.ground_truth`)
``completion`` the completion as the model wrote it
``knowledge``  the text injected into the prompt; null: the card's own
============== ==================================================================================

and `Score.as_dict`: ``total``, ``parts``, ``reasons``, ``prediction``, ``correct``, ``signature``,
and ``unread``, the first thing in the answer that was not understood, where there is one.

A line ``{"resumed_after": 3}`` says that the run went on from the checkpoint of step 3: the steps
after it are made again, so that lines of later steps that stand above it do not count any more.
`read_rows` leaves them out; nothing is ever removed from the file. ``"other_settings": true``
beside it says that the lines above were scored by other settings: it is another run, or one that
was changed.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Any, TypeAlias
from zlib import crc32

from medreward.checks import number, whole
from medreward.errors import ConfigError, expected, quote
from medreward.files.reading import parse_json
from medreward.kinds.truth import ground_truth
from medreward.scoring.scorer import Score
from medreward.task.task import Task

ON_ERROR = ("raise", "warn")
_OPTIONAL = ("group", "split", "unread")
MAX_BYTES = 2**30
MOST = 1e12  # a number beyond is no reward
RESUMED, OTHER_SETTINGS = "resumed_after", "other_settings"
_TAIL = 2**20  # bytes from the end, in which the last line is looked for
_RANK = "{rank}"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TraceRow:
    """A completion of a trace; None where the source does not say (see the module)."""

    completion: str
    step: int | None = None
    id: str | None = None
    group: str | None = None
    split: str | None = None
    task: str | None = None
    target: Any = None
    knowledge: str | None = None
    total: float | None = None
    parts: Mapping[str, float] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()
    prediction: str | None = None
    correct: bool | None = None
    signature: str | None = None
    unread: str | None = None
    unreadable: bool | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the row as a JSON-ready dictionary, optional fields only where they are known."""
        values = {name: getattr(self, name) for name in self.__slots__ if name != "unreadable"}
        values |= {"parts": dict(self.parts), "reasons": list(self.reasons)}
        return {k: v for k, v in values.items() if v is not None or k not in _OPTIONAL}

    @classmethod
    def from_dict(cls, row: Mapping[str, Any]) -> TraceRow:
        """Return the row that a dictionary holds; fields that are not the trace's are left out.

        Raises:
            ConfigError: if there is no text under ``completion``, or a field is of a wrong type.

        >>> TraceRow.from_dict({"completion": "Hm", "step": 3, "policy": "a"}).step
        3
        """
        if not isinstance(row.get("completion"), str):
            raise ConfigError(
                f"field 'completion' is missing or no text; there is {', '.join(row)}"
            )
        known = {name: row[name] for name in cls.__slots__ if row.get(name) is not None}
        for name, right in _RIGHT.items():
            if name in known and not right(known[name]):
                raise ConfigError(
                    f"field {quote(name)}: {quote(str(known[name])[:60])} is of a wrong type"
                )
        for name in ("id", "group", "split", "task", "prediction", "signature", "unread"):
            if name in known:
                known[name] = str(known[name])
        known["reasons"] = tuple(known.get("reasons", ()))
        if "total" in known and "unreadable" not in known:
            known["unreadable"] = known.get("prediction") is None
        return cls(**known)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < MOST


_RIGHT: Mapping[str, Callable[[Any], bool]] = {
    "step": lambda step: isinstance(step, int) and not isinstance(step, bool),
    "total": _is_number,
    "parts": lambda parts: isinstance(parts, Mapping) and all(map(_is_number, parts.values())),
    "reasons": lambda codes: (
        isinstance(codes, list | tuple) and all(isinstance(code, str) for code in codes)
    ),
    "knowledge": lambda text: isinstance(text, str),
    "correct": lambda correct: isinstance(correct, bool),
    "unreadable": lambda unreadable: isinstance(unreadable, bool),
}


def trace_row(
    score: Score, task: Task, completion: str, target: Any, knowledge: str | None, **place: Any
) -> TraceRow:
    """Return the row of a score.

    Args:
        score: what the completion earns.
        task: the task by which it was scored.
        completion: its text.
        target: the truth, as the task or a row has it.
        knowledge: the text injected into the prompt; the card's own is written as None.
        **place: ``step``, ``id``, ``group`` and ``split``, as far as they are known.

    >>> from medreward import explain
    >>> card = Task.load("yes_no")
    >>> text = "<think>x</think><answer>yes</answer>"
    >>> trace_row(explain(text, "no", task=card), card, text, "no", "", step=1).reasons
    ('wrong_label',)
    """
    fields = score._asdict() | {"unread": score.unread or None}
    return TraceRow(
        completion=completion,
        task=task.name,
        target=target if isinstance(target, str) else ground_truth(task, target),
        knowledge=None if knowledge == task.knowledge_text() else knowledge,
        unreadable=score.prediction is None,
        **fields,
        **place,
    )


class TraceWriter:
    """Appends rows to a trace; any number of threads and processes may write to one file.

    Each call takes a lock on the file, appends its lines with one write and lets go, so that lines
    never mix and a kill can tear the last line only; the next writer starts on a line of its own.
    A write that fails leaves no half line. Across machines the file's system has to lock
    (``flock``); otherwise give each machine a file.

    Args:
        path: the file; its folder is made, and an old file is continued. ``{rank}`` in it stands
            for the process's number in a distributed run (the variable ``RANK``, else 0), where
            each is to have a file of its own; readers take several.
        every: write the steps 1, 1 + every, 1 + 2 every, … only; where no step is known, one id in
            `every`.
        share: the share of groups to write, in (0, 1]; a group is written whole or not at all, and
            all processes choose the same ones.
        max_bytes: the size beyond which nothing more is written; training goes on.
        on_error: what a full disk or another fault of the file does: "raise" ends the run with a
            `ConfigError` that names it, "warn" logs it once and goes on; lines are lost until
            writing works again.

    Raises:
        ConfigError: if an argument is not allowed, or the file cannot be written to.

    >>> import tempfile
    >>> from medreward import Task, explain
    >>> path = Path(tempfile.mkdtemp()) / "trace.jsonl"
    >>> text, task = "<think>x</think><answer>yes</answer>", Task.load("yes_no")
    >>> score = explain(text, "no", task=task)
    >>> TraceWriter(path).write([trace_row(score, task, text, "no", None, step=1, id="train-7")])
    1
    """

    def __init__(
        self,
        path: str | Path,
        *,
        every: int = 1,
        share: float = 1.0,
        max_bytes: int = MAX_BYTES,
        on_error: str = "raise",
    ) -> None:
        self.path = Path(str(path).replace(_RANK, os.environ.get("RANK") or "0"))
        self.is_one_ranks = _RANK in str(path)
        self.every = whole("trace.every", every, 1)
        self.share = number("trace.share", share, 1e-9, 1.0)
        self.max_bytes = whole("trace.max_bytes", max_bytes, 1)
        if on_error not in ON_ERROR:
            raise expected("trace.on_error", on_error, ON_ERROR)
        self.on_error = on_error
        self.full = False
        self.lost = 0
        self._append([])

    def wants(self, step: int | None, group: str | None) -> bool:
        """Tell whether the rows of this step and group are among those to write."""
        if step is not None and (step - 1) % self.every:
            return False
        share = self.share if step is not None else self.share / self.every
        return share >= 1.0 or crc32(f"{step} {group}".encode(errors="replace")) < share * 2**32

    def write(self, rows: Iterable[TraceRow], *, all_steps: bool = False) -> int:
        """Append those of the rows that are wanted; return how many were written.

        Args:
            rows: the rows.
            all_steps: do not leave out steps by `every`: an evaluation has steps of its own.
        """
        if self.full:
            return 0
        first = 1 if all_steps else None  # a step that `every` never leaves out
        chosen = (
            row for row in rows if self.wants(row.step and (first or row.step), row.group or row.id)
        )
        lines = [_line(row) for row in chosen]
        return self._append(lines) if lines else 0

    def mark_resumed(self, step: int, signatures: Iterable[str] = ()) -> None:
        """Note that the run goes on from the checkpoint of `step`: later steps are made again.

        Args:
            step: the last update of the checkpoint.
            signatures: `Score.signature` of the run's tasks. Where the file's last line has none of
                them, the note says so.
        """
        mark: dict[str, Any] = {RESUMED: step}
        ours = {_settings_of(one) for one in signatures}
        if self.full:
            return
        last = self._last_signature()
        if ours and last is not None and _settings_of(last) not in ours:
            mark[OTHER_SETTINGS] = True
        self._append([json.dumps(mark).encode() + b"\n"])

    def _last_signature(self) -> str | None:
        """Return the signature of the last line that has one, None if there is none."""
        try:
            with self.path.open("rb") as file:
                file.seek(max(0, self.path.stat().st_size - _TAIL))
                lines = file.read().splitlines()
        except OSError:
            return None
        found = ((_object(line) or {}).get("signature") for line in reversed(lines))
        return next((one for one in found if isinstance(one, str)), None)

    def _append(self, lines: Sequence[bytes]) -> int:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with _locked(self.path) as file:
                written = _appended(file, b"".join(lines), self.max_bytes)
        except OSError as error:
            self._failed(error, len(lines))
            return 0
        if not written:
            self.full = True
            _log.warning("trace %s: has reached %d bytes and ends here", self.path, self.max_bytes)
            return 0
        if self.lost:
            _log.warning("trace %s: %d lines were lost; it goes on", self.path, self.lost)
            self.lost = 0
        return len(lines)

    def _failed(self, error: OSError, count: int) -> None:
        message = f"trace {self.path}: cannot be written: {error.strerror or error}"
        if self.on_error == "raise":
            raise ConfigError(
                f"{message}; make room, trace less (every, share), or set trace.on_error: warn to "
                f"go on without"
            ) from error
        if not self.lost:
            _log.warning("%s; the run goes on without", message)
        self.lost += max(1, count)


TraceLike: TypeAlias = str | Path | Mapping[str, Any] | TraceWriter


def trace_writer(trace: TraceLike | None) -> TraceWriter | None:
    """Return the writer of a setting: a path, a mapping of `TraceWriter`'s arguments, or None.

    Raises:
        ConfigError: if the setting is not allowed.
    """
    if trace is None or isinstance(trace, TraceWriter):
        return trace
    if isinstance(trace, str | Path):
        return TraceWriter(trace)
    if not isinstance(trace, Mapping) or "path" not in trace:
        raise ConfigError(f"trace: {quote(trace)} is neither a path nor a mapping with a path")
    for name in trace:
        if name not in _SETTINGS:
            raise expected("trace", name, _SETTINGS)
    return TraceWriter(**trace)


_SETTINGS = ("path", "every", "share", "max_bytes", "on_error")


def read_rows(
    path: str | Path, skipped: list[int] | None = None, replaced: list[int] | None = None
) -> Iterator[dict[str, Any]]:
    """Yield the objects of a JSON lines file with their line's number under ``"line"``.

    Args:
        path: the file.
        skipped: takes the numbers of the lines that are not JSON, such as the last line of a
            process that was killed.
        replaced: takes the numbers of the lines that are left out since a resumed run has made
            their steps again.

    Raises:
        ConfigError: if the file cannot be read, or none of its lines is an object.
    """
    found, bad = 0, 0
    skipped = [] if skipped is None else skipped
    replaced = [] if replaced is None else replaced
    try:
        marks = _marks(path)
        with open(path, "rb") as file:
            for count, line in enumerate(file, start=1):
                row = _object(line)
                if row is None:
                    bad += bool(line.strip())
                    skipped += [count] if line.strip() else []
                    continue
                found += 1
                if RESUMED in row:
                    continue
                if _is_replaced(row.get("step"), count, marks):
                    replaced.append(count)
                else:
                    yield row | {"line": count}
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from error
    if bad and not found:
        raise ConfigError(f"{path}: none of its {bad} lines is a JSON object")


def _marks(path: str | Path) -> list[tuple[int, int]]:
    """Return the line numbers and steps of the places where a run was resumed, the last first."""
    if not Path(path).is_file():  # a pipe can be read once only
        return []
    found: list[tuple[int, int]] = []
    start = b'{"%s"' % RESUMED.encode()
    with open(path, "rb") as file:
        for count, line in enumerate(file, start=1):
            step = (_object(line) or {}).get(RESUMED) if line.startswith(start) else None
            if isinstance(step, int):
                found.insert(0, (count, step))
    return found


def _is_replaced(step: object, line: int, marks: Sequence[tuple[int, int]]) -> bool:
    """Whether a run that was resumed below this line has made its step again."""
    if not marks or not isinstance(step, int):
        return False
    return any(step > resumed for _, resumed in takewhile(lambda mark: mark[0] > line, marks))


def _settings_of(signature: str) -> str:
    """Return a signature without the knowledge, which differs from row to row."""
    return signature.partition("|knowledge:")[0]


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        row = parse_json(line.decode(errors="replace"), finite=False)
    except ConfigError:
        return None
    return row if isinstance(row, dict) else None


def _line(row: TraceRow) -> bytes:
    text = json.dumps(row.as_dict(), ensure_ascii=False) + "\n"
    return text.encode(errors="backslashreplace")  # a lone surrogate becomes JSON's own escape


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    """Open a file for appending and hold its lock."""
    file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file
    finally:
        os.close(file)


def _appended(file: int, data: bytes, max_bytes: int) -> bool:
    """Append all of the data or nothing; tell whether there was room below `max_bytes`."""
    size = os.fstat(file).st_size
    if data and size and os.pread(file, 1, size - 1) != b"\n":
        data = b"\n" + data  # a writer was killed within its line
    if size + len(data) > max_bytes:
        return False
    try:
        done = 0
        while done < len(data):
            done += os.write(file, data[done:])
    except OSError:
        with suppress(OSError):
            os.ftruncate(file, size)
        raise
    return True
