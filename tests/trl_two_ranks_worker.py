"""One rank of tests/test_trl_ranks.py: trains a short run and writes down what it saw itself."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from medreward_trl import reward_funcs
from medreward_trl.demo.model import END, Tiny
from tests.trl_tools import RIGHT, WRONG, make_trainer

STEPS, EACH, GROUP = 3, 6, 4  # the second of the three groups of a step spans both ranks


def learn(trainer: Any) -> None:
    """Let the model learn a right and a wrong answer, so that it writes one or the other."""
    import torch

    rows = [trainer.train_dataset[0]] * 2
    tiny = Tiny(trainer.model, trainer.processing_class)
    given = tiny.encode(rows, [f"{answer} {END}" for answer in (RIGHT, WRONG)])
    optimiser = torch.optim.AdamW(trainer.model.parameters(), lr=5e-3)
    for _ in range(40):
        trainer.model(**given, labels=given["input_ids"]).loss.backward()
        optimiser.step()
        optimiser.zero_grad()


def main() -> None:
    """Train and write this rank's completions and what the trainer logs."""
    out = Path(sys.argv[1])
    seen: list[list[Any]] = []

    def record(completions: list[Any], **columns: Any) -> list[float]:
        step = columns["trainer_state"].global_step + 1
        rows = zip(completions, columns["id"], strict=True)
        seen.extend([step, row_id, chat[-1]["content"]] for chat, row_id in rows)
        return [0.0] * len(completions)

    funcs, weights = reward_funcs("pneumoniamnist", trace=out / sys.argv[2])
    trainer = make_trainer(
        out,
        [*funcs, record],
        reward_weights=[*weights, 0.0],
        per_device_train_batch_size=EACH,
        num_generations=GROUP,
        max_completion_length=12,
        max_steps=STEPS,
        ddp_backend="gloo",
        log_completions=True,
    )
    learn(trainer)
    trainer.train()
    rank = trainer.accelerator.process_index
    found = {
        "ranks": trainer.accelerator.num_processes,
        "seen": seen,
        "logged": [entry for entry in trainer.state.log_history if "reward" in entry],
    }
    (out / f"rank{rank}.json").write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main()
