"""EasyR1's own reward manager, from a checkout on the path: its package is called verl too."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from medreward_conformance.known import (
    BOX,
    END,
    PREFILL,
    TASK,
    byte_tokenizer,
    known_completions,
    padded,
    read_calls,
    sent_scores,
    token_ids,
)
from medreward_conformance.protocol import Observation, Sent


def observe() -> Observation:
    """Score known completions in EasyR1's AutoRewardManager with a reward of its batch type."""
    sent = known_completions()
    seen = Observation(
        "EasyR1, AutoRewardManager with a batch reward",
        sent,
        special_tokens=(BOX,),
        end_tokens=(END,),
        prefill=PREFILL,
    )
    with TemporaryDirectory() as folder:
        out = Path(folder) / "calls.jsonl"
        seen.scores = sent_scores(sent, _scores(sent, {"out": str(out)}))
        seen.calls = read_calls(out)
    try:
        _scores(sent, {"fails": True})
    except Exception as error:  # noqa: BLE001 - whatever EasyR1 makes of it
        seen.failure = "stops" if "the probe fails" in str(error) else repr(error)[:200]
    else:
        seen.failure = "a reward that raises goes on"
    return seen


def _scores(sent: list[Sent], settings: dict[str, Any]) -> list[float]:
    import numpy as np
    from tensordict import TensorDict
    from verl.protocol import DataProto
    from verl.workers.reward.config import RewardConfig
    from verl.workers.reward.function import AutoRewardManager

    tokenizer = byte_tokenizer([BOX])
    responses, mask = padded([token_ids(tokenizer, one) for one in sent], tokenizer.pad_token_id)
    truths: Any = np.empty(len(sent), dtype=object)
    truths[:] = [
        json.dumps({"task": TASK, "target": "2", "knowledge": "", "id": s.group, "key": s.key})
        for s in sent
    ]
    batch = DataProto(
        TensorDict({"responses": responses, "response_mask": mask}, len(sent)),
        {"ground_truth": truths},
    )
    probe = Path(__file__).with_name("easyr1_probe.py")
    config = RewardConfig(reward_function=f"{probe}:compute_score", reward_function_kwargs=settings)
    config.post_init()
    tensor, _ = AutoRewardManager(config, tokenizer).compute_reward(batch)
    return [float(value) for value in tensor.sum(-1)]
