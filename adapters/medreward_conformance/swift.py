"""ms-swift's GRPO trainer, one step of ``swift rlhf``, on a tiny model."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from medreward_conformance.known import PROMPT
from medreward_conformance.protocol import Observation
from medreward_conformance.sampled import (
    COPIES,
    LENGTH,
    OPENS,
    ROWS,
    SIZE,
    SPECIAL,
    SamplingProbe,
    as_sent,
    columns_of,
    own_rows,
    recorded,
    tiny_model,
)
from medreward_trl.demo.model import END, save


def observe() -> Observation:
    """Train one step of GRPO with the probe as its reward, and another with one that fails.

    The template opens ``<think>`` by ``--response_prefix``.
    """
    tiny = tiny_model()
    tokenizer = tiny.processor.tokenizer
    seen = Observation(
        f"ms-swift {version('ms-swift')}, swift rlhf --rlhf_type grpo",
        special_tokens=SPECIAL,
        end_tokens=(END,),
        prefill=OPENS,
    )
    with TemporaryDirectory() as folder:
        save(tiny, Path(folder) / "tiny")
        with recorded(type(tiny.model)) as generated:
            probe = _train(folder, tokenizer.eos_token_id, fails=False)
        seen.sent = as_sent(tokenizer, generated)
        seen.calls = probe.calls
        own_rows(seen)
        seen.scores = _logged_scores(seen, Path(folder) / "run" / "completions.jsonl")
        try:
            _train(folder, tokenizer.eos_token_id, fails=True)
        except RuntimeError as error:
            seen.failure = "stops" if "the probe fails" in str(error) else repr(error)[:200]
        else:
            seen.failure = "a reward that raises goes on"
    return seen


def _train(folder: str, end: int, *, fails: bool) -> SamplingProbe:
    from PIL import Image
    from swift.pipelines import rlhf_main
    from swift.rewards import orms

    probe = SamplingProbe(end, "response_token_ids", fails=fails)
    orms["probe"] = lambda args=None: probe
    data = Path(folder) / "rows.jsonl"
    lines = []
    for i in range(ROWS):
        image = Path(folder) / f"{i}.png"
        Image.new("RGB", (SIZE, SIZE), (60 * i, 0, 0)).save(image)
        messages = [{"role": "user", "content": f"<image>{PROMPT}"}]
        lines.append({"messages": messages, "images": [str(image)], **columns_of(i)})
    data.write_text("\n".join(map(json.dumps, lines)) + "\n", encoding="utf-8")
    options: dict[str, Any] = {
        "rlhf_type": "grpo",
        "model": f"{folder}/tiny",
        "model_type": "llava1_5_hf",
        "template": "llava1_5_hf",
        "response_prefix": OPENS,
        "dataset": data,
        "reward_funcs": "probe",
        "tuner_type": "full",
        "torch_dtype": "float32",
        "bf16": "false",
        "fp16": "false",
        "use_cpu": "true",
        "num_generations": COPIES,
        "per_device_train_batch_size": ROWS * COPIES,
        "max_completion_length": LENGTH,
        "max_steps": 1,
        "logging_steps": 1,
        "log_completions": "true",
        "save_strategy": "no",
        "report_to": "none",
        "gradient_checkpointing": "false",
        "add_version": "false",
        "output_dir": f"{folder}/run",
    }
    rlhf_main([text for name, value in options.items() for text in (f"--{name}", str(value))])
    return probe


def _logged_scores(seen: Observation, path: Path) -> dict[Any, float] | None:
    """Return the rewards in ms-swift's own table of completions, by the texts in it."""
    if not path.exists():
        return None
    line = json.loads(path.read_text(encoding="utf-8").splitlines()[0])
    names = [name for name in line if name.lower().endswith("probe")]
    if not names:
        return None
    by_text = dict(zip(line["completion"], line[names[0]], strict=True))
    arrived = {one.key: one.text for call in seen.calls for one in call.arrivals}
    return {key: float(by_text[text]) for key, text in arrived.items() if text in by_text}
