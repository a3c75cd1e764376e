"""A small text model, rows and rewards for trainers that are started by a command.

``python -m tests.trainers_text_model FOLDER`` writes them.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.trl_versions_worker import PROMPT, tiny

REWARDS = """from medreward_trl import reward_funcs

funcs, weights = reward_funcs("pneumoniamnist", trace="trace.jsonl")
accuracy, format_, recitation = funcs
"""


def write(folder: Path) -> None:
    """Write ``model/``, ``rows.jsonl`` and ``my_rewards.py``."""
    model, tokenizer = tiny()
    model.save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    columns = {"task": "pneumoniamnist", "target": "normal", "knowledge": "", "split": "train"}
    rows = [json.dumps({"prompt": PROMPT, "id": f"row{i}", **columns}) for i in range(4)]
    (folder / "rows.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    (folder / "my_rewards.py").write_text(REWARDS, encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
