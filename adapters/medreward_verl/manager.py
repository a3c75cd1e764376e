"""A veRL reward manager that decodes and scores together what comes in together.

veRL's contract is one sample a call: `RewardManagerBase.run_single`. A reward worker starts the
calls of a batch as tasks of one event loop, so the manager holds each call back until the loop has
started all that are waiting, then decodes their tokens with one `batch_decode` and scores them in
one pass. Where samples come in one by one (streamed from the rollout), a group is as large as what
arrived while the last one was being scored.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from verl.experimental.reward_loop.reward_manager.base import RewardManagerBase

from medreward import ConfigError
from medreward_verl.scoring import PlacedRow, row_scorer

if TYPE_CHECKING:
    from verl import DataProto


class _Call(NamedTuple):
    """A sample that waits for its score."""

    tokens: Any
    data_source: str
    ground_truth: Any
    extra_info: Mapping[str, Any]
    place: Mapping[str, Any]
    answer: asyncio.Future[dict[str, Any]]


class MedRewardManager(RewardManagerBase):  # type: ignore[misc]
    """medreward as a veRL reward manager.

    ``reward.reward_manager.source=importlib``,
    ``reward.reward_manager.module.path=pkg://medreward_verl.manager`` and
    ``reward.reward_manager.name=MedRewardManager`` select it; its settings are
    ``+reward.custom_reward_function.reward_kwargs.*``, those of `medreward_verl.compute_score`,
    and it returns the same scores and keys.

    Raises:
        ConfigError: if a setting is not allowed, or a reward function is configured as well.
    """

    def __init__(self, config: Any, tokenizer: Any, compute_score: Any, **_: Any) -> None:
        super().__init__(config, tokenizer, compute_score)
        function: Any = config.reward.get("custom_reward_function") or {}
        if function.get("path"):
            raise ConfigError(
                f"reward.custom_reward_function.path: {function['path']!r} is set, but "
                f"MedRewardManager scores by itself; give one of the two"
            )
        self._rows = row_scorer(function.get("reward_kwargs") or {})
        self._waiting: list[_Call] = []

    async def run_single(self, data: DataProto) -> dict[str, Any]:
        """Return ``reward_score`` and ``reward_extra_info`` of a sample, by its last output."""
        loop = asyncio.get_running_loop()
        call = _call(data, loop.create_future())
        if not self._waiting:
            loop.call_soon(self._score_waiting)
        self._waiting.append(call)
        return await call.answer

    def _score_waiting(self) -> None:
        calls, self._waiting = self._waiting, []
        texts = self.tokenizer.batch_decode([c.tokens for c in calls], skip_special_tokens=True)
        judged: list[tuple[_Call, PlacedRow]] = []
        for call, text in zip(calls, texts, strict=True):
            if call.answer.cancelled():
                continue
            try:
                judged.append((call, self._judged(call, text)))
            except ConfigError as error:  # a wrong row fails by itself, not with its neighbours
                call.answer.set_exception(error)
        try:
            results = self._rows.results([row for _, row in judged])
        except ConfigError as error:  # the trace cannot be written
            for call, _ in judged:
                call.answer.set_exception(error)
            return
        for (call, _), result in zip(judged, results, strict=True):
            call.answer.set_result({"reward_score": result["score"], "reward_extra_info": result})

    def _judged(self, call: _Call, text: str) -> PlacedRow:
        return self._rows.judged(
            call.data_source, text, call.ground_truth, call.extra_info, **call.place
        )


def _call(data: DataProto, answer: asyncio.Future[dict[str, Any]]) -> _Call:
    responses, mask = data.batch["responses"][-1], data.batch["attention_mask"][-1]
    length = int(mask[-len(responses) :].sum())
    row = {name: values[-1] for name, values in data.non_tensor_batch.items()}
    return _Call(
        tokens=responses[:length].tolist(),
        data_source=row["data_source"],
        ground_truth=row["reward_model"]["ground_truth"],
        extra_info=row.get("extra_info") or {},
        place=_place(row),
        answer=answer,
    )


def _place(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the step and the prompt that verl's trainer names beside the data set's columns."""
    step, uid = row.get("global_steps"), row.get("uid")
    named = {
        "step": None if step is None else int(step),
        "group": None if uid is None else str(uid),
    }
    return {name: value for name, value in named.items() if value is not None}
