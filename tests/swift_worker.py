"""What tests/test_swift.py runs with ms-swift's Python: its own rewards, its own GRPO trainer."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

OWN = ["medreward_correct"]


def score_known(out: Path, texts: list[str], options: list[str]) -> dict[str, Any]:
    """Let ms-swift load the plugin and its data set, and score known completions of the rows."""
    import torch
    from swift.dataset import load_dataset
    from swift.rewards import orms
    from swift.rl_core.data import GRPOSample
    from swift.rl_core.grpo_algorithm import compute_rewards_per_func
    from swift.utils import import_external_file

    import_external_file(options[1])
    names = [
        *options[options.index("--reward_funcs") + 1 : options.index("--reward_weights")],
        *OWN,
    ]
    args = SimpleNamespace(reward_weights=[*map(float, options[-3:]), 0.0])
    functions = [orms[name](args=args) for name in names]
    rows = load_dataset([str(out / "swift" / "train.jsonl")], remove_unused_columns=False)[0]
    samples = [GRPOSample.from_row(dict(row)) for row in rows]
    for sample, text in zip(samples, texts, strict=True):
        sample.messages.append({"role": "assistant", "content": text})
    table = compute_rewards_per_func(samples, functions, None, torch.device("cpu"))
    return {"names": [type(one).__name__ for one in functions], "table": table.tolist()}


def train(out: Path, options: list[str]) -> list[dict[str, Any]]:
    """Train two steps of GRPO with `swift rlhf` and return what it logs."""
    from swift.pipelines import rlhf_main

    weights = options.index("--reward_weights")
    command = {
        "rlhf_type": "grpo",
        "model": str(out / "tiny"),
        "model_type": "llava1_5_hf",
        "template": "llava1_5_hf",
        "dataset": str(out / "swift" / "train.jsonl"),
        "tuner_type": "full",
        "torch_dtype": "float32",
        "bf16": "false",
        "fp16": "false",
        "use_cpu": "true",
        "num_generations": "2",
        "per_device_train_batch_size": "4",
        "max_completion_length": "8",
        "max_steps": "2",
        "logging_steps": "1",
        "save_strategy": "no",
        "report_to": "none",
        "gradient_checkpointing": "false",
        "add_version": "false",
        "output_dir": str(out / "run"),
    }
    flags = [text for name, value in command.items() for text in (f"--{name}", value)]
    rlhf_main([*flags, *options[:weights], *OWN, *options[weights:], "0"])
    lines = (out / "run" / "logging.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def main() -> None:
    """Write what ms-swift finds."""
    from medreward_swift import swift_options

    out, texts = Path(sys.argv[1]), json.load(sys.stdin)
    options = swift_options(["retinamnist"])
    found = score_known(out, texts, options)
    (out / "trace.jsonl").unlink(missing_ok=True)
    found["logged"] = train(out, options)
    (out / "found.json").write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main()
