"""The shaped reward of a completion or a batch: its total, or all that there is to say of it.

What they compute is in `medreward.scoring.scorer`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeGuard, overload

from medreward.errors import ConfigError, quote
from medreward.scoring.scorer import Batch, Score, TaskLike, scorer
from medreward.text.completion import ChatMessages, CompletionLike, is_chat


@overload
def explain(
    completion: str | ChatMessages,
    target: object,
    *,
    task: TaskLike,
    knowledge: str | None = None,
    **settings: Any,
) -> Score: ...
@overload
def explain(
    completion: Batch,
    target: object,
    *,
    task: TaskLike,
    knowledge: str | Sequence[str | None] | None = None,
    **settings: Any,
) -> list[Score]: ...
def explain(
    completion: CompletionLike | Batch,
    target: object,
    *,
    task: TaskLike,
    knowledge: str | Sequence[str | None] | None = None,
    **settings: Any,
) -> Score | list[Score]:
    """Score a completion, or each completion of a batch, and say why.

    Args:
        completion: a completion (a string, or TRL's chat messages), or a list of them.
        target: the truth, as for :func:`shaped_reward`.
        task: a shipped task's name, the path of a YAML card, or a `Task`.
        knowledge: the text in the prompt; None stands for the card's own, "" for none.
        **settings: a judge, and what overrides the card's reward settings.

    Returns:
        A `Score` with the total, the parts, reason codes and the signature; for a list of
        completions a list of them.

    Raises:
        ConfigError: if the task, a setting or a target is not allowed. Model text never raises.

    >>> score = explain(
    ...     "<think>Focal opacity.</think><answer>possibly pneumonia</answer>",
    ...     "pneumonia",
    ...     task="pneumoniamnist",
    ... )
    >>> score.total.__round__(3), score.reasons
    (0.2, ('label_open',))
    """
    bound = scorer(task, settings)
    if settings.get("judge") is not None and bound.judge is None:
        raise ConfigError(
            f"judge: task {quote(bound.task.name)} is {bound.task.kind}, where nothing is left "
            f"open; a judge decides on short answers"
        )
    if _is_one(completion):
        return bound.score(completion, target, knowledge)  # type: ignore[arg-type]
    completions = _rows("completions", completion)
    count = len(completions)
    texts = _per_row("knowledge", knowledge, count)
    return bound.score_group(completions, _targets(target, count), texts)


@overload
def shaped_reward(
    completion: str | ChatMessages,
    target: object,
    *,
    task: TaskLike,
    knowledge: str | None = None,
    **settings: Any,
) -> float: ...
@overload
def shaped_reward(
    completion: Batch,
    target: object,
    *,
    task: TaskLike,
    knowledge: str | Sequence[str | None] | None = None,
    **settings: Any,
) -> list[float]: ...
def shaped_reward(
    completion: CompletionLike | Batch,
    target: object,
    *,
    task: TaskLike,
    knowledge: str | Sequence[str | None] | None = None,
    **settings: Any,
) -> float | list[float]:
    """Return the shaped reward of a completion, or of each completion of a batch.

    ``w_accuracy * R_accuracy + w_format * R_format + w_recitation * δ * R_recite`` (VRFT-Aug,
    arXiv 2602.10619), in [-w_recitation, w_accuracy + w_format] for δ⁻ and in
    [0, w_accuracy + w_format + w_recitation] for δ⁺.

    Args:
        completion: a completion (a string, or TRL's chat messages), or a list of them.
        target: the truth: a label's name or index, a grade or its name, a list of boxes. For a
            list of completions a list of as many targets, or one that serves the whole group.
        task: a shipped task's name, the path of a YAML card, or a `Task`.
        knowledge: the text that was injected into the prompt; a list gives one a completion.
            None stands for the card's own, "" for none.
        **settings: ``judge``, who decides on short answers that the rules leave open
            (`medreward.scoring.judge`); the others override the card's reward settings: weights,
            delta, decay, under_grading, over_grading, preset, thresholds, beta, frame, box_quality,
            annotators, gates (see `medreward.task.settings.RewardSettings`).

    Raises:
        ConfigError: if the task, a setting or a target is not allowed. Model text never raises.

    >>> shaped_reward("<think>Dot bleeds.</think><answer>2</answer>", 2, task="retinamnist")
    1.2
    >>> group = ["<think>a</think><answer>1</answer>", "<answer>2 or 3</answer>"]
    >>> shaped_reward(group, 2, task="retinamnist")
    [0.45, 0.0]
    """
    scores = explain(completion, target, task=task, knowledge=knowledge, **settings)  # type: ignore[arg-type]
    return scores.total if isinstance(scores, Score) else [score.total for score in scores]


def _is_one(completion: CompletionLike | Batch) -> TypeGuard[CompletionLike]:
    return isinstance(completion, str) or is_chat(completion)


def _rows(what: str, values: object) -> Sequence[Any]:
    """Return `values` as a sequence of rows (a list, a tuple, an array, a column)."""
    if hasattr(values, "tolist"):
        values = values.tolist()
    if isinstance(values, Sequence) and not isinstance(values, str | bytes):
        return values
    raise ConfigError(f"{what}: {type(values).__name__} is not a string or a list of them")


def _targets(target: object, count: int) -> Sequence[object]:
    if getattr(target, "size", 0) == 1 and hasattr(target, "tolist"):
        return [target] * count
    return _per_row("targets", target, count)


def _per_row(what: str, value: object, count: int) -> Sequence[Any]:
    """Return one value a completion: `value` itself if it is a list, else `count` times `value`."""
    if not hasattr(value, "tolist") and (
        isinstance(value, str | bytes) or not isinstance(value, Sequence)
    ):
        return [value] * count
    rows = _rows(what, value)
    if len(rows) != count:
        raise ConfigError(
            f"{what}: {len(rows)} given for {count} completions; give one for each, or a single "
            f"one that serves them all"
        )
    return rows
