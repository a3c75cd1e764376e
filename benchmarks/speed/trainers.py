"""What the way through TRL and through veRL adds to the reward."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.speed.measure import REPEATS, Pair, Row, compared, equal
from benchmarks.speed.whole import step
from medreward import Task, shaped_reward
from medreward.scoring.scorer import Scorer


def as_trl_calls(completions: list[str], targets: list[int], task: Task) -> list[float]:
    """Call every reward function with the columns by keyword, as `GRPOTrainer` does, and add up."""
    from medreward_trl import reward_funcs

    funcs, weights = reward_funcs(task)
    chats = [[{"role": "assistant", "content": text}] for text in completions]
    prompts = [[{"role": "user", "content": "Which grade?"}]] * len(completions)
    columns: dict[str, Any] = {"target": [str(target) for target in targets]}
    parts = [func(prompts=prompts, completions=chats, **columns) for func in funcs]
    return [
        sum(weight * value for weight, value in zip(weights, row, strict=True))
        for row in zip(*parts, strict=True)
    ]


def rows(short: bool) -> Iterator[Row]:
    completions, targets, task = step(4 if short else 64)
    count = len(completions)
    alone = partial(shaped_reward, completions, targets, task=task)
    pair = Pair(
        lambda: as_trl_calls(completions, targets, task),
        alone,
        equal(1e-12),
        count,
        "the reward itself",
        alone,
    )
    names = "TRL's call path, three functions", f"{count} completions", "`shaped_reward` alone"
    yield compared(names, pair, 0 if short else REPEATS)
    scorer = Scorer(task)
    pair = Pair(
        lambda: [scorer.score(*row).total for row in zip(completions, targets, strict=True)],
        alone,
        equal(0),
        count,
        "the reward itself",
        alone,
    )
    names = (
        "one call a sample, as verl does",
        f"{count} completions",
        "`shaped_reward` of the batch",
    )
    yield compared(names, pair, 0 if short else REPEATS)


def verl(workers: int = 1, prompts: int = 64) -> dict[str, float]:
    """Return seconds a sample through verl's `RewardLoopManager` on Ray, and the reward's own."""
    from benchmarks import verl_workers as loop

    task = Task.load("retinamnist")
    knowledge = task.knowledge_text()
    tokenizer = loop.bpe_tokenizer(knowledge.split())
    ids = loop.completions(knowledge.split(), tokenizer, prompts * loop.GROUP)
    row = {
        "data_source": "retinamnist",
        "reward_model": {"style": "rule", "ground_truth": "2"},
        "extra_info": {"knowledge": knowledge},
    }
    with tempfile.TemporaryDirectory() as folder, loop.cluster():
        tokenizer.save_pretrained(Path(folder))
        data = loop.batch(ids, row)
        shared = [f"actor_rollout_ref.model.path={folder}", f"reward.num_workers={workers}"]
        ways = {"function": loop.FUNCTION, "manager": loop.MANAGER}
        return {name: 1 / loop.rate([*way, *shared], data) for name, way in ways.items()}
