"""Predictions on held-out rows: scored, measured with intervals, and compared.

Completions come from a file (JSON lines or parquet with ``id`` and ``completion``, a trace, or what
`medreward.runs.generation` wrote) and belong to rows by their ids.
"""

from __future__ import annotations

import json
import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from medreward.data.check import ScorerOf, open_parquet, rows_in, scorers_of
from medreward.errors import ConfigError, quote
from medreward.files.reading import parse_json, read_lines
from medreward.kinds.right_answers import completion_with, right_answer
from medreward.kinds.truth import target_of
from medreward.runs.evaluation_metrics import (
    Difference,
    Estimate,
    Prediction,
    differences,
    estimates,
    label_table,
    metrics_of,
)
from medreward.scoring.scorer import Scorer

MISSING = ("error", "unread")
_MOST_NAMED = 5
_FEW = 30  # rows of which an interval says little


class TaskEvaluation(NamedTuple):
    """What a model's completions are worth on the rows of one task, or of a part of them.

    Attributes:
        task: the task's name.
        part: the part of the rows, such as "split=test"; "" for all of them.
        rows: how many rows.
        signature: of the reward that read the answers.
        metrics: each with its interval.
        labels: recall, precision and F1 of each label, where a task names labels.
        reasons: reason codes of answers that are not right, with counts.
        baselines: what answers earn that do not look at the image.
    """

    task: str
    part: str
    rows: int
    signature: str
    metrics: list[Estimate]
    labels: list[dict[str, Any]]
    reasons: dict[str, int]
    baselines: dict[str, dict[str, float]]

    def as_dict(self) -> dict[str, Any]:
        """Return it as a JSON-ready dictionary."""
        return {**self._asdict(), "metrics": [one._asdict() for one in self.metrics]}


def read_completions(path: str | Path) -> dict[str, str]:
    """Return the completion of each id in a file.

    Args:
        path: JSON lines with ``id`` and ``completion``, or a parquet file with these columns.

    Raises:
        ConfigError: if a line has neither, or an id has two completions.
    """
    path = Path(path)
    found: dict[str, str] = {}
    rows = _parquet_rows(path) if path.suffix == ".parquet" else _json_rows(path)
    for where, row in rows:
        name, text = row.get("id"), row.get("completion")
        if name is None or not isinstance(text, str):
            raise ConfigError(f"{path} {where}: no 'id' and 'completion'; it has {', '.join(row)}")
        if str(name) in found:
            raise ConfigError(
                f"{path} {where}: the id {quote(str(name))} is there twice; one completion a row "
                f"is evaluated"
            )
        found[str(name)] = text
    if not found:
        raise ConfigError(f"{path}: it has no completions")
    return found


def _json_rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for number, line in read_lines(path):
        if not line.strip():
            continue
        try:
            row = parse_json(line)
        except ConfigError as error:
            raise ConfigError(f"{path} line {number}: not JSON: {error}") from error
        if not isinstance(row, Mapping):
            raise ConfigError(f"{path} line {number}: not an object with 'id' and 'completion'")
        yield f"line {number}", row


def _parquet_rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    import pyarrow.parquet as pq

    from medreward.data.parquet import reading_parquet

    if not path.is_file():
        raise ConfigError(f"{path}: no such file")
    with reading_parquet(path):
        table = pq.read_table(path)
    for number, row in enumerate(table.to_pylist()):
        yield f"row {number}", row


class Scored(NamedTuple):
    """The rows of one task with what a model said to them.

    Attributes:
        bound: the task's scorer.
        predictions: in the order of the rows.
    """

    bound: Scorer
    predictions: list[Prediction]


def score_completions(
    rows: str | Path,
    completions: Mapping[str, str],
    scorer_of: ScorerOf | None = None,
    *,
    missing: str = "error",
    by: Sequence[str] = (),
) -> dict[str, Scored]:
    """Return the rows of each task with scored completions.

    Args:
        rows: a parquet file of rows.
        completions: id -> completion.
        scorer_of: gives the scorer of a row; None: the card's.
        missing: "error", or "unread" for rows without a completion.
        by: fields of the rows' ``extra_info`` by which results are divided.

    Raises:
        ConfigError: if ids of rows and completions do not match, or a field is not there.
    """
    scorers = scorer_of or scorers_of(None)
    tasks: dict[str, Scored] = {}
    used: set[str] = set()
    absent: list[str] = []
    with open_parquet(rows) as file:
        bar = tqdm(total=file.metadata.num_rows, desc="scoring", unit="row", disable=None)
        for row in rows_in(file, rows):
            bar.update()
            info = row.get("extra_info") or {}
            name = str(info.get("id"))
            if name in used:
                raise ConfigError(f"{rows}: the id {quote(name)} is there twice")
            used.add(name)
            if name not in completions:
                absent.append(name)
            bound = scorers(row["data_source"], info)
            target = target_of(bound.task, row["reward_model"]["ground_truth"])
            text = completions.get(name, "")
            score = bound.score(text, target, info.get("knowledge") or "")
            parsed = bound.kind.parse(bound.task, target)
            prediction = Prediction(
                name, parsed, score, _cluster(row, name), _columns(rows, info, by)
            )
            tasks.setdefault(bound.task.name, Scored(bound, [])).predictions.append(prediction)
        bar.close()
    _check_ids(rows, used, completions, absent, missing)
    return tasks


def _columns(rows: str | Path, info: Mapping[str, Any], by: Sequence[str]) -> dict[str, str]:
    for name in by:
        if name not in info:
            raise ConfigError(
                f"--by: {rows}: extra_info has no {quote(name)}; it has {', '.join(info)}"
            )
    return {name: str(info[name]) for name in by}


def _cluster(row: Mapping[str, Any], name: str) -> str:
    """Return what tells a row's images from others; a row without an image is alone."""
    digest = sha256()
    for picture in row["images"] or []:
        content = picture.get("bytes") if isinstance(picture, Mapping) else picture
        digest.update(content if isinstance(content, bytes) else str(picture).encode())
    return digest.hexdigest() if row["images"] else f"row {name}"


def _check_ids(
    rows: str | Path,
    used: set[str],
    completions: Mapping[str, str],
    absent: Sequence[str],
    missing: str,
) -> None:
    surplus = [name for name in completions if name not in used]
    if surplus:
        raise ConfigError(
            f"{len(surplus)} of {len(completions)} completions are of no row of {rows}: "
            f"{_named(surplus)}; are they of another file of rows?"
        )
    if absent and missing != "unread":
        raise ConfigError(
            f"{len(absent)} of {len(used)} rows of {rows} have no completion: {_named(absent)}; "
            f"--missing unread counts them as answers that cannot be read"
        )


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more


def evaluate(
    scored: Scored, *, by: Sequence[str] = (), resamples: int = 2000, seed: int = 0
) -> list[TaskEvaluation]:
    """Return what a model's completions are worth: on all rows, and on each part of them.

    Args:
        scored: the rows of one task.
        by: the columns of predictions that divide the rows.
        resamples: how many bootstrap samples.
        seed: of these.
    """
    found = [_evaluation(scored.bound, scored.predictions, "", resamples, seed)]
    for column in by:
        parts: dict[str, list[Prediction]] = defaultdict(list)
        for one in scored.predictions:
            parts[one.columns[column]].append(one)
        found += [
            _evaluation(scored.bound, own, f"{column}={value}", resamples, seed)
            for value, own in sorted(parts.items())
        ]
    return found


def _evaluation(
    bound: Scorer, predictions: Sequence[Prediction], part: str, resamples: int, seed: int
) -> TaskEvaluation:
    clusters = [one.cluster for one in predictions]
    metrics = metrics_of(bound.task, predictions)
    reasons = Counter(
        reason for one in predictions if not one.score.correct for reason in one.score.reasons
    )
    return TaskEvaluation(
        task=bound.task.name,
        part=part,
        rows=len(predictions),
        signature=bound.signature(""),
        metrics=estimates(metrics, clusters, resamples=resamples, seed=seed),
        labels=label_table(bound.task, predictions),
        reasons=dict(reasons.most_common()),
        baselines=_baselines(bound, predictions, seed),
    )


def _baselines(
    bound: Scorer, predictions: Sequence[Prediction], seed: int
) -> dict[str, dict[str, float]]:
    """Return the metrics of the most frequent right answer, and of right answers of other rows."""
    answers = [right_answer(bound.task, one.target, bound.settings) for one in predictions]
    most = Counter(answers).most_common(1)[0][0]
    shuffled = answers[:]
    random.Random(seed).shuffle(shuffled)
    found = {}
    for name, said in (
        (f"always {most[:60]!r}, the most frequent right answer", [most] * len(answers)),
        ("the right answers of the rows, shuffled", shuffled),
    ):
        texts = [
            completion_with(one, completion_format=bound.settings.completion_format) for one in said
        ]
        scores = [
            bound.score(text, one.target, "") for text, one in zip(texts, predictions, strict=True)
        ]
        own = [p._replace(score=score) for p, score in zip(predictions, scores, strict=True)]
        found[name] = {
            metric.name: float(metric.compute(metric.features.sum(axis=0)))
            for metric in metrics_of(bound.task, own)
        }
    return found


def compare(
    one: Scored, other: Scored, *, resamples: int = 2000, seed: int = 0
) -> list[Difference]:
    """Return how the completions of two models differ on the same rows of a task.

    Raises:
        ConfigError: if they are not of the same rows.
    """
    names = [[p.id for p in scored.predictions] for scored in (one, other)]
    if names[0] != names[1]:
        raise ConfigError("the two sets of completions are not of the same rows")
    first, second = (metrics_of(own.bound.task, own.predictions) for own in (one, other))
    clusters = [p.cluster for p in one.predictions]
    return differences(first, second, clusters, resamples=resamples, seed=seed)


# Reports


def markdown(
    evaluations: Sequence[TaskEvaluation], changes: Mapping[str, Sequence[Difference]]
) -> str:
    """Return evaluations and comparisons as Markdown, for a paper's appendix or an issue."""
    lines = ["# Evaluation", ""]
    for one in evaluations:
        lines += [f"## {one.task}{f', {one.part}' if one.part else ''} ({one.rows} rows)", ""]
        if one.rows < _FEW:
            lines += [f"Only {one.rows} rows: the intervals say little.", ""]
        names = [metric.name for metric in one.metrics]
        lines += ["| | " + " | ".join(names) + " |", "|---|" + "---:|" * len(names)]
        cells = [f"{m.value:.3f} ({m.low:.3f} to {m.high:.3f})" for m in one.metrics]
        lines.append("| completions | " + " | ".join(cells) + " |")
        for name, values in one.baselines.items():
            lines.append(f"| {name} | " + " | ".join(f"{values[n]:.3f}" for n in names) + " |")
        lines += ["", *_label_lines(one), *_reason_lines(one), f"`{one.signature}`", ""]
    for task, found in changes.items():
        lines += [f"## {task}: first less second", "", _DIFFERENCES]
        lines += [
            f"| {d.name} | {d.value:+.3f} ({d.low:+.3f} to {d.high:+.3f}) | {d.p:.4f} | "
            f"{d.adjusted:.4f} |"
            for d in found
        ]
        lines.append("")
    lines.append(_NOTE)
    return "\n".join(lines) + "\n"


_DIFFERENCES = "| metric | difference | p | p, Holm |\n|---|---:|---:|---:|"
_NOTE = (
    "In brackets: 95 % percentile bootstrap over images. p: two-sided permutation test, the two "
    "models exchanged image by image; Holm's correction is for the metrics of one table."
)


def _label_lines(one: TaskEvaluation) -> list[str]:
    if not one.labels:
        return []
    lines = ["| label | rows | recall | precision | F1 |", "|---|---:|---:|---:|---:|"]
    for row in one.labels:
        cells = ["" if row[k] is None else f"{row[k]:.3f}" for k in ("recall", "precision", "f1")]
        lines.append(f"| {row['label']} | {row['rows']} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def _reason_lines(one: TaskEvaluation) -> list[str]:
    if not one.reasons:
        return []
    named = ", ".join(f"{code} {count}" for code, count in one.reasons.items())
    return [f"Not right: {named}.", ""]


def latex(evaluations: Sequence[TaskEvaluation]) -> str:
    """Return the metrics of evaluations as rows of a LaTeX table: value and interval."""
    lines = []
    for one in evaluations:
        name = _tex(f"{one.task} {one.part}".strip())
        cells = [f"${m.value:.3f}$ \\footnotesize[{m.low:.3f}, {m.high:.3f}]" for m in one.metrics]
        heads = " & ".join(_tex(m.name) for m in one.metrics)
        lines += [f"% {heads}", f"{name} & {one.rows} & " + " & ".join(cells) + r" \\"]
    return "\n".join(lines) + "\n"


def _tex(text: str) -> str:
    return "".join(f"\\{c}" if c in "_%&#$" else c for c in text)


def as_json(
    evaluations: Sequence[TaskEvaluation], changes: Mapping[str, Sequence[Difference]], **more: Any
) -> str:
    """Return everything as JSON."""
    content = {
        **more,
        "evaluations": [one.as_dict() for one in evaluations],
        "differences": {task: [d._asdict() for d in found] for task, found in changes.items()},
    }
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"
