"""Predictions on held-out rows: scored, measured with intervals, and compared.

Completions come from a file (JSON lines or parquet with ``id`` and ``completion``, a trace, or what
`medreward.runs.generation` wrote) and belong to rows by their ids.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from medreward.data.check import ScorerOf, open_parquet, rows_in, scorers_of
from medreward.errors import ConfigError, quote
from medreward.kinds.truth import target_of
from medreward.runs.evaluation_baselines import baselines, human_ceiling
from medreward.runs.evaluation_confidence import certainties
from medreward.runs.evaluation_files import ModelAnswer, read_answers, read_completions
from medreward.runs.evaluation_metrics import (
    Difference,
    Prediction,
    confusion_counts,
    differences,
    estimates,
    holm,
    label_table,
    metrics_of,
)
from medreward.runs.evaluation_readings import NO_VALUE, predict, several_annotators
from medreward.runs.evaluation_results import ModelComparison, TaskEvaluation
from medreward.runs.evaluation_samples import join_samples
from medreward.runs.evaluation_tables import as_json, latex, markdown
from medreward.scoring.scorer import Scorer
from medreward.scoring.signatures import SignatureSet
from medreward.task.task import Task

__all__ = [
    "MISSING",
    "ModelAnswer",
    "ModelComparison",
    "Scored",
    "TaskEvaluation",
    "as_json",
    "compare",
    "compare_all",
    "evaluate",
    "latex",
    "markdown",
    "read_answers",
    "read_completions",
    "score_completions",
    "signature_of",
]

MISSING = ("error", "unread")
_MOST_NAMED = 5
_FEW = 30  # rows of which an interval says little
_PATIENTS = (
    "prepare numbers patients in rows where it knows them (--patient-column, --patient-pattern, "
    "PatientID of DICOM); else say that intervals are over images"
)


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
    completions: Mapping[str, str | Sequence[ModelAnswer]],
    scorer_of: ScorerOf | None = None,
    *,
    missing: str = "error",
    by: Sequence[str] = (),
    cluster: str | None = None,
) -> dict[str, Scored]:
    """Return the rows of each task with scored completions.

    Args:
        rows: a parquet file of rows.
        completions: id -> completion, or the samples of a row. Of several, the answer that most
            of them give counts; of places, each by itself.
        scorer_of: gives the scorer of a row; None: the card's.
        missing: "error", or "unread" for rows without a completion.
        by: fields of the rows' ``extra_info`` by which results are divided.
        cluster: the field of rows that are drawn together in intervals, such as a patient; None:
            rows of the same images are.

    Raises:
        ConfigError: if ids of rows and completions do not match, or a field is not there.

    ::

        found = score_completions("rows/test.parquet", read_completions("predictions.jsonl"))
        for evaluation in evaluate(found["pneumoniamnist"], by=["split"]):
            print(evaluation.part, evaluation.metrics[0])
    """
    scorers = scorer_of or scorers_of(None)
    tasks: dict[str, Scored] = {}
    used: dict[str, None] = {}  # in order
    absent: list[str] = []
    draws = max(
        (1 if isinstance(own, str) else len(own) for own in completions.values()), default=1
    )
    nothing = [ModelAnswer("")] * draws
    with open_parquet(rows) as file:
        bar = tqdm(total=file.metadata.num_rows, desc="scoring", unit="row", disable=None)
        for row in rows_in(file, rows):
            bar.update()
            info = row.get("extra_info") or {}
            name = _id_of(rows, len(used), info)
            if name in used:
                raise ConfigError(f"{rows}: the id {quote(name)} is there twice")
            used[name] = None
            if name not in completions:
                absent.append(name)
            bound = scorers(row["data_source"], info)
            target = target_of(bound.task, row["reward_model"]["ground_truth"])
            given = completions.get(name, nothing)
            answers = [ModelAnswer(given)] if isinstance(given, str) else given
            whole = _RowOf(
                name, bound.kind.parse(bound.task, target), info.get("knowledge") or "",
                _cluster(rows, row, name, cluster), _columns(rows, "--by", info, by),
                len(used) - 1, _shown(info.get("patient")),
            )  # fmt: skip
            own = tasks.setdefault(bound.task.name, Scored(bound, [])).predictions
            own += join_samples(bound.task, [_predicted(bound, whole, one) for one in answers])
        bar.close()
    _check_ids(rows, used, completions, absent, missing)
    for scored in tasks.values():
        _check_confidences(scored, frozenset(absent))
    return tasks


def _id_of(rows: str | Path, number: int, info: Mapping[str, Any]) -> str:
    if info.get("id") is None:
        raise ConfigError(
            f"{rows}: row {number}: extra_info has no 'id', by which completions belong to rows; "
            f"`medreward prepare` writes one"
        )
    return str(info["id"])


class _RowOf(NamedTuple):
    """What a row says of each of its completions."""

    name: str
    target: Any
    knowledge: str
    cluster: str
    columns: dict[str, str]
    place: int
    patient: str


def _predicted(bound: Scorer, row: _RowOf, answer: ModelAnswer) -> Prediction:
    found = predict(bound, row.name, answer.completion, row.target, row.knowledge)
    return found._replace(
        cluster=row.cluster,
        patient=row.patient,
        columns=row.columns,
        place=row.place,
        confidence=_confidence(bound.task, row.name, answer.confidence),
    )


def _confidence(
    task: Task, name: str, given: float | Mapping[str, float] | None
) -> float | tuple[float, ...] | None:
    """Return a confidence as metrics take it: a number, or one of each label in order."""
    if not isinstance(given, Mapping):
        return given
    try:
        by_label = {task.target_index(label): value for label, value in given.items()}
    except ConfigError as error:
        raise ConfigError(f"id {quote(name)}: confidences: {error}") from error
    lacking = [i for i in range(len(task.labels)) if i not in by_label]
    if lacking or len(by_label) < len(given):
        raise ConfigError(
            f"id {quote(name)}: confidences: each label of {task.name} has a number, once; "
            f"{quote(task.answer_name(lacking[0])) if lacking else 'one'} has "
            f"{'none' if lacking else 'two'}"
        )
    return tuple(by_label[i] for i in range(len(task.labels)))


def _check_confidences(scored: Scored, absent: frozenset[str]) -> None:
    """Make sure that all predictions have a confidence of one form, or none has.

    A row without a completion has none; it counts as 0.
    """
    there = [one for one in scored.predictions if one.id not in absent]
    forms = {type(one.confidence) for one in there}
    if len(forms) > 1:
        odd = next(
            one for one in there if not isinstance(one.confidence, type(there[0].confidence))
        )
        raise ConfigError(
            f"task {scored.bound.task.name}: the confidence of {quote(there[0].id)} is "
            f"{quote(there[0].confidence)}, that of {quote(odd.id)} {quote(odd.confidence)}; give "
            f"all rows a number, all of them confidences of labels, or none"
        )
    if forms and forms != {type(None)}:
        nothing = (0.0,) * len(scored.bound.task.labels) if forms == {tuple} else 0.0
        scored.predictions[:] = [
            one._replace(confidence=nothing) if one.id in absent else one
            for one in scored.predictions
        ]


def _columns(
    rows: str | Path, option: str, info: Mapping[str, Any], by: Sequence[str]
) -> dict[str, str]:
    for name in by:
        if name not in info:
            hint = ""
            if option == "--cluster":
                hint = f"; {_PATIENTS}"
            raise ConfigError(
                f"{option}: {rows}: extra_info has no {quote(name)}; it has {', '.join(info)}{hint}"
            )
    return {name: _shown(info[name]) for name in by}


def _shown(value: Any) -> str:
    """Return a value as the name of a part; of several kinds of nothing, one and the same."""
    is_nothing = value is None or value == "" or (isinstance(value, float) and math.isnan(value))
    return NO_VALUE if is_nothing else str(value)


def _cluster(rows: str | Path, row: Mapping[str, Any], name: str, field: str | None) -> str:
    """Return what a row is drawn together with: a field's value, or its images.

    A row without an image is alone.
    """
    if field is not None:
        info = row.get("extra_info") or {}
        value = _columns(rows, "--cluster", info, [field])[field]
        if value == NO_VALUE:
            raise ConfigError(
                f"--cluster: {rows}: the row {quote(name)} has no {quote(field)}, which each row "
                f"needs" + (f"; {_PATIENTS}" if field == "patient" else "")
            )
        return value
    digest = sha256()
    for picture in row["images"] or []:
        content = picture.get("bytes") if isinstance(picture, Mapping) else picture
        digest.update(content if isinstance(content, bytes) else str(picture).encode())
    return digest.hexdigest() if row["images"] else f"row {name}"


def _check_ids(
    rows: str | Path,
    used: Mapping[str, None],
    completions: Mapping[str, Any],
    absent: Sequence[str],
    missing: str,
) -> None:
    if not used:
        raise ConfigError(f"{rows}: there are no rows")
    surplus = [name for name in completions if name not in used]
    if surplus:
        raise ConfigError(
            f"{len(surplus)} of {len(completions)} completions are of no row of {rows}: "
            f"{_named(surplus)}. Its ids are {_named([*used])}; are they of another file of rows?"
        )
    if absent and missing != "unread":
        raise ConfigError(
            f"{len(absent)} of {len(used)} rows of {rows} have no completion: {_named(absent)}; "
            f"--missing unread counts them as answers that cannot be read"
        )


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(map(quote, names[:_MOST_NAMED])) + more


def evaluate(
    scored: Scored,
    *,
    by: Sequence[str] = (),
    resamples: int = 2000,
    seed: int = 0,
    model: str = "",
) -> list[TaskEvaluation]:
    """Return what a model's completions are worth: on all rows, and on each part of them.

    Args:
        scored: the rows of one task.
        by: the columns of predictions that divide the rows.
        resamples: how many bootstrap samples.
        seed: of these.
        model: the model's name, where there are several.

    ::

        evaluate(found["pneumoniamnist"], seed=1)[0].metrics[0]
        # Estimate(name='accuracy', value=0.9, low=0.8, high=0.975)
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
    return [one._replace(model=model) for one in found]


def _evaluation(
    bound: Scorer, predictions: Sequence[Prediction], part: str, resamples: int, seed: int
) -> TaskEvaluation:
    clusters = [one.cluster for one in predictions]
    metrics = metrics_of(bound.task, predictions)
    reasons = Counter(
        reason for one in predictions if not one.score.correct for reason in one.score.reasons
    )
    unread = Counter(one.score.reasons[0] for one in predictions if one.score.prediction is None)
    return TaskEvaluation(
        task=bound.task.name,
        part=part,
        rows=len({one.id for one in predictions}),
        signature=signature_of(predictions),
        metrics=estimates(metrics, clusters, resamples=resamples, seed=seed),
        labels=label_table(bound.task, predictions, resamples=resamples, seed=seed),
        reasons=dict(reasons.most_common()),
        baselines=baselines(bound, predictions, seed),
        unread=dict(unread.most_common()),
        notes=[*_notes(bound, predictions)],
        confusion=confusion_counts(bound.task, predictions),
        ceiling=human_ceiling(bound, predictions, resamples=resamples, seed=seed),
    )


def signature_of(predictions: Sequence[Prediction]) -> str:
    """Return the one signature of the rewards of rows, whatever the order of labels in each."""
    found = SignatureSet()
    for one in predictions:
        found.add(one.score.signature, one.knowledge)
    return "; ".join(found.texts())


def _notes(bound: Scorer, predictions: Sequence[Prediction]) -> Iterator[str]:
    """Yield what a reader of the numbers should know."""
    yield from _notes_of_intervals(predictions)
    yield from _notes_of_unread(bound.task, predictions)
    counts = Counter(one.id for one in predictions)
    samples = predictions[0].samples
    if samples is not None:
        yield (
            f"The answer to a row is the one that most of its {samples.total} samples give; pass@1 "
            f"is their mean accuracy."
        )
    elif counts.most_common(1)[0][1] > 1:
        yield (
            f"Each of the {counts.most_common(1)[0][1]} samples of a row counts as an answer: "
            f"places are not voted on."
        )
    several = several_annotators(predictions)
    if several:
        whose = "their consensus" if bound.settings.annotators == "consensus" else "the first one's"
        yield (
            f"{several} rows have the boxes of several annotators. Metrics by IoU and of points "
            f"are held against {whose}; mean credit goes by the setting annotators: "
            f"{bound.settings.annotators}."
        )


def _notes_of_intervals(predictions: Sequence[Prediction]) -> Iterator[str]:
    """Yield where intervals are narrower than they should be."""
    rows = len({one.id for one in predictions})
    clusters = len({one.cluster for one in predictions})
    if rows < _FEW:
        yield f"Only {rows} rows: the intervals say little."
    elif clusters < _FEW:
        yield f"The rows are drawn in only {clusters} clusters: the intervals say little."
    by_patient: dict[str, set[str]] = defaultdict(set)
    for one in predictions:
        if one.patient != NO_VALUE:
            by_patient[one.patient].add(one.cluster)
    split = sum(len(own) > 1 for own in by_patient.values())
    if split:
        yield (
            f"{split} of {len(by_patient)} patients have several images, which intervals and tests "
            f"take for independent, so that they are too narrow; --cluster patient draws the rows "
            f"of a patient together."
        )
    unread = sum(one.score.prediction is None for one in predictions)
    for name, count in (
        ("right", sum(one.score.correct for one in predictions)),
        ("unreadable", unread),
    ):
        if count in (0, len(predictions)):
            yield (
                f"{'All' if count else 'No'} answers are {name}: a bootstrap interval of this "
                f"share has no width, and the true share may be off by about "
                f"{min(1.0, 3 / clusters):.2g} (the rule of three)."
            )


def _notes_of_unread(task: Task, predictions: Sequence[Prediction]) -> Iterator[str]:
    """Yield what answers that cannot be read do to the numbers."""
    unread = [one for one in predictions if one.score.prediction is None]
    if 2 * len(unread) > len(predictions):
        reason, count = Counter(one.score.reasons[0] for one in unread).most_common(1)[0]
        yield (
            f"{len(unread)} of {len(predictions)} answers cannot be read ({reason} {count}): do "
            f"--completion-format and --model-profile fit what the model writes?"
        )
    sure = certainties(task, predictions)
    if sure is None:
        return
    pairs = zip(sure, predictions, strict=True)
    unsure = sum(not own and one.score.prediction is None for own, one in pairs)
    if unsure:
        yield (
            f"{unsure} answers that cannot be read have the confidence 0 and are wrong: AUROC of "
            f"right answers and expected calibration error are the better for them."
        )


def compare(
    one: Scored, other: Scored, *, resamples: int = 2000, seed: int = 0
) -> list[Difference]:
    """Return how the completions of two models differ on the same rows of a task.

    Args:
        one: the first model's.
        other: the second one's, taken from the first.
        resamples: how many samples of each kind.
        seed: of both.

    Raises:
        ConfigError: if they are not of the same rows.

    ::

        for change in compare(tuned["pneumoniamnist"], base["pneumoniamnist"]):
            print(change.name, change.value, change.low, change.high, change.adjusted)
    """
    names = [[p.id for p in scored.predictions] for scored in (one, other)]
    if names[0] != names[1]:
        raise ConfigError("the two sets of completions are not of the same rows")
    first, second = (metrics_of(own.bound.task, own.predictions) for own in (one, other))
    shared = {metric.name for metric in first} & {metric.name for metric in second}
    first, second = ([own for own in each if own.name in shared] for each in (first, second))
    clusters = [p.cluster for p in one.predictions]
    return differences(first, second, clusters, resamples=resamples, seed=seed)


def _left_out(one: Scored, other: Scored) -> list[str]:
    """Return the names of the metrics that only one of two models has."""
    first, second = (
        [metric.name for metric in metrics_of(own.bound.task, own.predictions)]
        for own in (one, other)
    )
    return [
        name for name in dict.fromkeys([*first, *second]) if (name in first) != (name in second)
    ]


def compare_all(
    models: Mapping[str, Mapping[str, Scored]], *, resamples: int = 2000, seed: int = 0
) -> list[ModelComparison]:
    """Return how each two models differ on each task; p is corrected for all of a task's.

    Args:
        models: by name, the rows of each task with what the model said to them.
        resamples: how many samples of each kind.
        seed: of both.

    Raises:
        ConfigError: if they are not of the same rows.
    """
    found: list[ModelComparison] = []
    for task in next(iter(models.values()), {}):
        pairs = [*combinations(models, 2)]
        changes = [
            compare(models[one][task], models[other][task], resamples=resamples, seed=seed)
            for one, other in pairs
        ]
        values = [change.p for own in changes for change in own]
        count, adjusted = sum(not math.isnan(p) for p in values), iter(holm(values))
        found += [
            ModelComparison(
                task,
                *pair,
                [one._replace(adjusted=next(adjusted)) for one in own],
                resamples,
                count,
                _left_out(*(models[name][task] for name in pair)),
            )
            for pair, own in zip(pairs, changes, strict=True)
        ]
    return found
