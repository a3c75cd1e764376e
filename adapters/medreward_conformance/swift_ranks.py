"""ms-swift in several processes: ``torch.distributed.run`` on the CPU, as its command does it.

A stub stands in place of the model's sampling and writes completions that are known; what follows
is ms-swift's own. The module is also what each process runs:
``python -m medreward_conformance.swift_ranks FOLDER``.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from medreward_conformance.known_ranks import (
    COPIES,
    GROUPS,
    STEPS,
    TASK,
    TRACE,
    KnownWriter,
    check_count,
    columns_of,
    known_text,
    launch,
    logged_rewards,
    probe_into,
    read_ranks,
    write_rank,
)
from medreward_conformance.ranks import Ranks, Sampled
from medreward_conformance.sampled import TEMPLATE
from medreward_swift import swift_options

_SIZE = 28
_SHOWN = ("medreward_correct", "medreward_unreadable")
_METRICS = ("reward", "reward_std", "frac_reward_zero_std")


def observe_ranks(count: int) -> Ranks:
    """Train a short run in several processes and in one, and return what both did.

    Args:
        count: how many processes; the completions of a step are the same for any.

    Raises:
        ConfigError: if the processes fail, with the end of what they said.
    """
    check_count(count)
    module = "medreward_conformance.swift_ranks"
    with TemporaryDirectory() as folder:
        out = Path(folder)
        _write_inputs(out)
        for name, number in (("ranks", count), ("alone", 1)):
            (out / name).mkdir()
            command = ["torch.distributed.run", "--standalone", "--nproc_per_node", str(number)]
            launch([*command, "-m", module, str(out / name)])
        alone = json.loads((out / "alone" / "rank0.json").read_text(encoding="utf-8"))
        return read_ranks(out / "ranks", count, alone["logged"])


def _write_inputs(out: Path) -> None:
    """Write the model, the pictures and the rows, the same for every process."""
    from PIL import Image

    from medreward_trl.demo.model import build, save

    rows = range(STEPS * GROUPS)
    texts = [known_text(row, copy) for row in rows for copy in range(COPIES)]
    prompts = [f"row{row}?" for row in rows]
    save(build([*texts, *prompts, TEMPLATE], seed=0, size=_SIZE), out / "tiny")
    lines = []
    for row in rows:
        image = out / f"{row}.png"
        Image.new("RGB", (_SIZE, _SIZE), (30 * row, 0, 0)).save(image)
        messages = [{"role": "user", "content": f"<image>row{row}?"}]
        lines.append(json.dumps({"messages": messages, "images": [str(image)], **columns_of(row)}))
    (out / "rows.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def train(out: Path, count: int) -> dict[str, Any]:
    """Train in this process, one of `count`; return what its model and its reward saw."""
    os.environ["MEDREWARD_SETTINGS"] = json.dumps({"trace": str(out / TRACE)})
    from swift.pipelines import rlhf_main
    from swift.rewards import orms
    from transformers import LlavaForConditionalGeneration

    calls: list[list[Sampled]] = []

    orms["probe"] = lambda args=None: probe_into(calls)
    sent = _write_known(LlavaForConditionalGeneration, out.parent / "tiny")
    history = rlhf_main(_options(out, count))["log_history"]
    return {"sent": sent, "calls": calls, "logged": logged_rewards(history, _METRICS)}


def _options(out: Path, count: int) -> list[str]:
    reward = swift_options([TASK])
    weights = reward.index("--reward_weights")
    options = {
        "rlhf_type": "grpo",
        "model": out.parent / "tiny",
        "model_type": "llava1_5_hf",
        "template": "llava1_5_hf",
        "dataset": out.parent / "rows.jsonl",
        "tuner_type": "full",
        "torch_dtype": "float32",
        "bf16": "false",
        "fp16": "false",
        "use_cpu": "true",
        "ddp_backend": "gloo",
        "num_generations": COPIES,
        "per_device_train_batch_size": GROUPS * COPIES // count,
        "max_completion_length": 64,
        "max_steps": STEPS,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
        "gradient_checkpointing": "false",
        "add_version": "false",
        "output_dir": out / "run",
    }
    flags = [text for name, value in options.items() for text in (f"--{name}", str(value))]
    names, numbers = reward[:weights], reward[weights:]
    return [*flags, *names, *_SHOWN, "probe", *numbers, *(["0"] * (len(_SHOWN) + 1))]


def _write_known(model_class: Any, model: Path) -> list[Sampled]:
    """Let models of a class write `known_text`; return the list of what they write."""
    from transformers import AutoProcessor

    writer = KnownWriter(AutoProcessor.from_pretrained(model).tokenizer)

    def generate(_model: Any, **given: Any) -> Any:
        return {"sequences": writer.behind(given["input_ids"])}

    model_class.generate = generate
    return writer.sent


def main() -> None:
    """Run one process of `observe_ranks`."""
    out, rank = Path(sys.argv[1]), int(os.environ["RANK"])
    write_rank(out, rank, train(out, int(os.environ["WORLD_SIZE"])))


if __name__ == "__main__":
    main()
