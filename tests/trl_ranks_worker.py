"""One rank of tests/test_trl_trainer.py: started by torchrun; writes what TRL would log."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from medreward_trl import reward_funcs
from tests.trl_tools import RIGHT, WRONG, make_trainer, score_batch

CASES = {"differ": ([RIGHT, RIGHT], [WRONG, WRONG]), "same": ([RIGHT, RIGHT], [RIGHT, RIGHT])}


def main() -> None:
    """Score groups that span the ranks, then train a step from a state as after a checkpoint."""
    out = Path(sys.argv[1])
    funcs, weights = reward_funcs("pneumoniamnist", trace=out / "trace.jsonl")
    trainer = make_trainer(
        out,
        funcs,
        reward_weights=weights,
        per_device_train_batch_size=2,
        num_generations=4,
        ddp_backend="gloo",
    )
    rank = trainer.accelerator.process_index
    found = {}
    for finished, (name, texts) in enumerate(CASES.items(), start=3):
        trainer.state.global_step = finished
        score_batch(trainer, texts[rank])
        found[name] = {key: values[-1] for key, values in trainer._pending_metrics.items()}
        trainer._pending_metrics.clear()
        trainer._pending_extra_logs.clear()
    trainer.state.global_step = 0
    trainer.train()
    found["logged"] = trainer.state.log_history[0]
    (out / f"rank{rank}.json").write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main()
