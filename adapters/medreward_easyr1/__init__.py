r"""medreward in EasyR1: a reward function of its batch type, loaded from this file.

``python -m medreward_easyr1`` prints the file's path::

    python3 -m verl.trainer.main \
        worker.reward.reward_function=$(python -m medreward_easyr1):compute_score \
        worker.reward.reward_function_kwargs.weights.format=0.3 \
        data.train_files=easyr1_rows/train.parquet data.prompt_key=problem data.answer_key=answer

EasyR1 hands a reward the ground truth and no other column, so the ground truth of a row is one JSON
text with task, target, knowledge and id, as ``medreward rows export --to easyr1`` writes it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from medreward import ConfigError
from medreward.files.reading import parse_json
from medreward_verl.scoring import row_scorer

__all__ = ["compute_score"]

REWARD_NAME = "medreward"
REWARD_TYPE = "batch"
_FIELDS = ("task", "target")


def compute_score(
    reward_inputs: Sequence[Mapping[str, Any]], **reward_kwargs: Any
) -> list[dict[str, float]]:
    """Return the shaped reward of each completion with its parts: EasyR1's batch reward function.

    Args:
        reward_inputs: what EasyR1 hands over: ``response``, ``response_length``, ``ground_truth``.
        **reward_kwargs: as of `medreward_verl.compute_score`: ``tasks`` for cards of your own,
            ``reasons`` to report (default: none), ``trace``, ``judge`` and reward settings.

    Returns:
        For each input ``overall``, the weighted sum; the parts; ``acc``, ``correct`` and
        ``unreadable``; and 1 or 0 for each of ``reasons``.

    Raises:
        ConfigError: if a setting is wrong, or a ground truth is not such a text, with its number in
            the batch. Model text never raises.

    >>> truth = '{"task": "retinamnist", "target": "2", "knowledge": "", "id": "a"}'
    >>> given = {"response": "<think>x</think><answer>1</answer>", "ground_truth": truth}
    >>> [result] = compute_score([given])
    >>> result["overall"], result["accuracy"], result["format"]
    (0.45, 0.25, 1.0)
    """
    scorer = row_scorer({"reasons": (), **reward_kwargs})
    rows = []
    for number, given in enumerate(reward_inputs):
        truth = _truth(number, given.get("ground_truth"))
        info = {"knowledge": truth.get("knowledge"), "id": truth.get("id")}
        try:
            rows.append(scorer.judged(truth["task"], given["response"], truth["target"], info))
        except ConfigError as error:
            raise ConfigError(f"row {number} of the batch: {error}") from error
    return [{"overall": one.pop("score"), **one} for one in scorer.results(rows)]


def _truth(number: int, text: Any) -> Mapping[str, Any]:
    """Return what the ground truth of a row holds."""
    try:
        content = parse_json(text) if isinstance(text, str) else None
    except ConfigError:
        content = None
    if not isinstance(content, dict) or not all(isinstance(content.get(k), str) for k in _FIELDS):
        raise ConfigError(
            f"row {number} of the batch: ground_truth: {text!r:.80} is not a JSON text with task "
            f"and target; EasyR1 gives a reward no other column, so write the rows with "
            f"`medreward rows export --to easyr1` and set data.answer_key=answer"
        )
    return content
