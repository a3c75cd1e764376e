"""Where traces come from: medreward's own, TRL's completions tables, veRL's dumps.

============================ =================================================================
medreward's trace            JSON lines with ``completion`` (`medreward.scoring.trace`); what
                             ``medreward score`` writes is read too
TRL, ``log_completions``     ``completions/completions_*.parquet``: no targets; the totals are
                             plain sums of the rewards, unless a column ``shaped`` has them
veRL, ``rollout_data_dir``   ``<step>.jsonl`` with ``output``, ``gts`` and ``score``; parts and
                             reasons where veRL dumps them (in ``validation_data_dir``)
============================ =================================================================
"""

from __future__ import annotations

import heapq
import json
import math
import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from hashlib import file_digest
from pathlib import Path
from typing import Any, TypeAlias

from medreward.errors import ConfigError, quote
from medreward.kinds.truth import target_of
from medreward.scoring.parts.base import part_names
from medreward.scoring.scorer import Scorer
from medreward.scoring.trace import MOST, TraceRow, read_rows, trace_row
from medreward.text.completion import completion_text
from medreward.text.reasons import ANSWER_REASONS, FORMAT_REASONS, RECITATION_REASONS

# TRL's columns that are no rewards; ours of `log_extra` stand among them.
_TRL_TEXT = {"step", "prompt", "completion", "advantage", "prediction", "reasons", "unread", "id"}
_VERL_KEY = re.compile(r"(.+)_\d+_\d+")  # <prompt>_<completion>_<output>
_CODES = (*ANSWER_REASONS, *FORMAT_REASONS, *RECITATION_REASONS)
_FIRST = -1  # where a row without a step stands
_Head: TypeAlias = tuple[int, int, TraceRow, Iterator[TraceRow]]


def read_trace(
    paths: Sequence[str | Path],
    skipped: list[tuple[Path, int]] | None = None,
    replaced: list[tuple[Path, int]] | None = None,
) -> Iterator[TraceRow]:
    """Yield the rows of traces by rising step, with no more than a line a file in memory.

    Args:
        paths: files, or folders of them: several processes may have written a file each.
        skipped: takes the file and the number of each line that is not JSON.
        replaced: takes the file and the number of each line that is left out since a resumed run
            has made its step again.

    Raises:
        ConfigError: if a file cannot be read or is no trace, with its name and line.

    >>> import json, tempfile
    >>> path = Path(tempfile.mkdtemp()) / "trace.jsonl"
    >>> line = {"step": 3, "task": "yes_no", "completion": "<answer>yes</answer>", "total": 0.0}
    >>> _ = path.write_text(json.dumps(line))
    >>> [row.step for row in read_trace([path])]
    [3]
    """
    waiting = deque(sorted(_starts(trace_files(paths))))
    active: list[_Head] = []
    while waiting or active:
        while waiting and (not active or waiting[0][0] <= active[0][0]):
            _, number, path = waiting.popleft()
            _push(active, number, _file_rows(path, skipped, replaced))
        _, number, row, rows = heapq.heappop(active)
        yield row
        _push(active, number, rows)


def _push(active: list[_Head], number: int, rows: Iterator[TraceRow]) -> None:
    row = next(rows, None)
    if row is not None:
        heapq.heappush(active, (_when(row), number, row, rows))


def _starts(files: Iterable[Path]) -> Iterator[tuple[int, int, Path]]:
    """Yield for each file with rows the step of its first one, a number and the file."""
    for number, path in enumerate(files):
        first = next(_file_rows(path), None)
        if first is not None:
            yield _when(first), number, path


def _when(row: TraceRow) -> int:
    return _FIRST if row.step is None else row.step


def trace_files(paths: Sequence[str | Path]) -> list[Path]:
    """Return the files behind paths: a folder stands for its JSON lines or parquet files.

    Raises:
        ConfigError: if there is no such file, or nothing to read in a folder.
    """
    files: list[Path] = []
    for path in map(Path, paths):
        if not path.exists():
            raise ConfigError(f"{path}: no such file or folder")
        inside = [*path.glob("*.jsonl"), *path.glob("*.parquet")] if path.is_dir() else [path]
        if not inside:
            raise ConfigError(f"{path}: has no .jsonl or .parquet file")
        files += inside
    _check_twice(files)
    return files


def _check_twice(files: Sequence[Path]) -> None:
    """Raise `ConfigError` if two files hold the same, as each completion would be counted twice."""
    sizes = Counter(path.stat().st_size for path in files)
    seen: dict[bytes, Path] = {}
    for path in files:
        if sizes[path.stat().st_size] == 1 or path.stat().st_size == 0:
            continue
        with path.open("rb") as file:
            digest = file_digest(file, "sha256").digest()
        if digest in seen:
            raise ConfigError(
                f"{path} holds the same as {seen[digest]}, so that each completion would be "
                f"counted twice; name one of them"
            )
        seen[digest] = path


def rescore_row(row: TraceRow, bound: Scorer) -> TraceRow:
    """Return a row with the score that a reward gives it.

    Raises:
        ConfigError: if the row has no target, or one that is not the task's.
    """
    if row.target is None:
        raise ConfigError(
            f"id {quote(row.id)}, step {row.step}: there is no target to score against"
        )
    score = bound.score(row.completion, target_of(bound.task, row.target), row.knowledge)
    new = trace_row(score, bound.task, row.completion, row.target, row.knowledge)
    return replace(new, step=row.step, id=row.id, group=row.group, split=row.split)


def _file_rows(
    path: Path,
    skipped: list[tuple[Path, int]] | None = None,
    replaced: list[tuple[Path, int]] | None = None,
) -> Iterator[TraceRow]:
    if path.suffix == ".parquet":
        yield from _trl_rows(path)
        return
    bad: list[int] = []
    old: list[int] = []
    for row in read_rows(path, bad, old):
        try:
            yield _verl_row(row) if "output" in row else TraceRow.from_dict(row)
        except (ConfigError, TypeError) as error:
            raise ConfigError(f"{path}, line {row['line']}: {error}") from error
    if skipped is not None:
        skipped.extend((path, line) for line in bad)
    if replaced is not None:
        replaced.extend((path, line) for line in old)


def _verl_row(row: Mapping[str, Any]) -> TraceRow:
    key = row.get("uid")
    match = _VERL_KEY.fullmatch(str(key)) if key is not None else None
    correct, unreadable = row.get("correct", row.get("acc")), row.get("unreadable")
    return TraceRow(
        completion=completion_text(row["output"]),
        step=_whole(row.get("step")),
        group=str(row.get("input")) if key is None else match[1] if match else str(key),
        target=row.get("gts"),
        total=_number(row.get("score")),
        parts={
            part: value for part in part_names() if (value := _number(row.get(part))) is not None
        },
        reasons=tuple(code for code in _CODES if row.get(f"reason_{code}")),
        correct=None if _number(correct) is None else correct >= 1.0,
        unreadable=None if _number(unreadable) is None else bool(unreadable),
    )


def _number(value: Any) -> float | None:
    """Return a number as a float, and anything else as not known."""
    return float(value) if isinstance(value, int | float) and abs(value) < MOST else None


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _trl_rows(path: Path) -> Iterator[TraceRow]:
    import pyarrow.parquet as pq

    from medreward.data.parquet import batches_of, reading_parquet

    with reading_parquet(path):
        file = pq.ParquetFile(path)
        columns = file.schema_arrow.names
    try:
        with file:
            for batch in batches_of(file, path, 256):
                for row in batch:
                    yield _trl_row(row)
    except (KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"{path}: not TRL's completions table: {error}; it has {', '.join(columns)}"
        ) from error


def _trl_row(row: Mapping[str, Any]) -> TraceRow:
    rewards = {
        name: float(value)
        for name, value in row.items()
        if name not in _TRL_TEXT and isinstance(value, float) and math.isfinite(value)
    }
    total = rewards.pop("shaped", None)
    reasons = tuple(str(row.get("reasons") or "").split())
    prompt = row["prompt"]
    return TraceRow(
        completion=completion_text(row["completion"]),
        step=row["step"],
        id=row.get("id"),
        group=None if row.get("id") else prompt if isinstance(prompt, str) else json.dumps(prompt),
        total=math.fsum(rewards.values()) if total is None else total,
        parts=rewards,
        reasons=reasons,
        prediction=row.get("prediction"),
        unread=row.get("unread") or None,
        correct=reasons[0] == "correct" if reasons else None,
        unreadable=row.get("prediction") is None if reasons else None,
    )
