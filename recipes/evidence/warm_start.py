"""What the warm start of a study draws: balanced labels, each level of knowledge in turn."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from medreward import Task
from medreward_trl.demo.lora_start import align, imitate_with_lora
from medreward_trl.demo.model import Tiny
from medreward_trl.demo.shared_prefix import share_prefix
from recipes.evidence.demonstrations import demonstration, place_demonstration

if TYPE_CHECKING:
    from datasets import Dataset

BATCH = 8


def warm_start(
    tiny: Tiny,
    task: Task,
    data: Mapping[str, Dataset],
    *,
    steps: int,
    seed: int,
    quoting: bool,
    beside: tuple[Task, Dataset] | None = None,
) -> Tiny:
    """Return the model after its warm start.

    Args:
        tiny: the model as it was built.
        task: the task.
        data: the rows at each level of knowledge, of the same pictures in the same order.
        steps: supervised steps.
        seed: of what is drawn.
        quoting: whether demonstrations quote the knowledge.
        beside: a task that asks for places, with its rows, which take their turn.
    """
    share_prefix(tiny.model)
    right = align(tiny, task, next(iter(data.values())), seed=seed)
    print(f"projector: {right:.3f} of the pictures are nearest to their label", flush=True)
    return supervised(tiny, data, steps=steps, seed=seed, quoting=quoting, beside=beside)


def supervised(
    tiny: Tiny,
    data: Mapping[str, Dataset],
    *,
    steps: int,
    seed: int,
    quoting: bool,
    beside: tuple[Task, Dataset] | None = None,
) -> Tiny:
    """Return the model after supervised steps; each label is as frequent as any other."""
    chance = random.Random(seed)
    rows_of_label: dict[str, list[int]] = defaultdict(list)
    for i, target in enumerate(next(iter(data.values()))["target"]):
        rows_of_label[target].append(i)

    turns = [*data.values(), *([beside[1]] if beside else [])]

    def draw(step: int) -> tuple[Sequence[Any], Sequence[str]]:
        rows = turns[step % len(turns)]
        if beside and rows is beside[1]:
            shown = [rows[chance.randrange(len(rows))] for _ in range(BATCH)]
            return shown, [place_demonstration(beside[0], row["target"]) for row in shown]
        labels = [chance.choice(sorted(rows_of_label)) for _ in range(BATCH)]
        chosen = [rows[chance.choice(rows_of_label[label])] for label in labels]
        said = [
            demonstration(label, row["knowledge"] if quoting else "", chance)
            for label, row in zip(labels, chosen, strict=True)
        ]
        return chosen, said

    return imitate_with_lora(tiny, draw, steps=steps, seed=seed)
