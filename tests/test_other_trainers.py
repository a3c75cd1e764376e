"""The snippets of docs/how-to/other-trainers.md, called as these trainers call a reward.

MEDREWARD_SKYRL names a Python with skyrl-gym; the other trainers are not installed.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from medreward import shaped_reward
from medreward.kinds.right_answers import completion_with

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "how-to" / "other-trainers.md").read_text(encoding="utf-8")
ROW = {"task": "retinamnist", "target": "2", "knowledge": "", "id": "a"}
LABEL = json.dumps(ROW)
RIGHT, NEAR = completion_with("2"), completion_with("1")
TOTALS = [shaped_reward(text, "2", task="retinamnist", knowledge="") for text in (RIGHT, NEAR)]
PROMPT = "<|im_start|>user\n<image>Write <answer>2</answer>.<|im_end|>\n<|im_start|>assistant\n"


def snippet(trainer: str) -> str:
    [code] = re.findall(rf"^## {trainer}\n.*?^```py\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    assert len([line for line in code.splitlines() if line.strip()]) < 25
    return str(code)


def defined(trainer: str, name: str) -> Any:
    names: dict[str, Any] = {}
    exec(compile(snippet(trainer), trainer, "exec"), names)
    return names[name]


@pytest.mark.parametrize("group", [False, True])
def test_slime(group: bool) -> None:
    function = defined("slime", "custom_rm")
    samples = [SimpleNamespace(response=text, label=LABEL, metadata={}) for text in (RIGHT, NEAR)]

    async def call() -> list[float]:
        if group:  # --group-rm
            return list(await function(None, samples))
        return list(await asyncio.gather(*(function(None, sample) for sample in samples)))

    assert asyncio.run(call()) == TOTALS


def test_areal() -> None:
    function = defined("AReaL", "reward_fn")
    columns = {**ROW, "messages": "", "images": []}
    found = [function(PROMPT, text + "<|im_end|>", [1], [2], **columns) for text in (RIGHT, NEAR)]
    assert found == TOTALS


def test_openrlhf() -> None:
    pytest.importorskip("torch")
    function = defined("OpenRLHF", "reward_func")
    expanded = PROMPT.replace("<image>", "<|image_pad|>" * 4)  # as in the decoded tokens
    for text, total in zip((RIGHT, NEAR), TOTALS, strict=True):
        found = function([f"{expanded}{text}<|im_end|>"], [PROMPT], [LABEL])  # batches of one
        assert found["rewards"].tolist() == pytest.approx([total])
        assert set(found) == {"rewards", "scores", "extra_logs"}
    # The prompt's own example of an answer earns nothing, nor does a query without a turn.
    assert function([expanded], [PROMPT], [LABEL])["rewards"].tolist() == [0.0]
    assert function(["<answer>2</answer>"], [PROMPT], [LABEL])["rewards"].tolist() == [0.0]


def test_skyrl_compiles() -> None:
    compile(snippet("SkyRL"), "SkyRL", "exec")


@pytest.mark.skipif(
    "MEDREWARD_SKYRL" not in os.environ, reason="MEDREWARD_SKYRL names no Python with skyrl-gym"
)
def test_skyrl(tmp_path: Path) -> None:
    (tmp_path / "my_reward.py").write_text(snippet("SkyRL"), encoding="utf-8")
    code = (
        "import json, my_reward, skyrl_gym, sys\n"
        "extras = {'reward_spec': {'method': 'rule', 'ground_truth': sys.argv[1]}}\n"
        "made = skyrl_gym.make('medreward', env_config={}, extras=extras)\n"
        "made.init([{'role': 'user', 'content': 'x'}])\n"
        "print(json.dumps([made.step(text)['reward'] for text in sys.argv[2:]]))\n"
    )
    done = subprocess.run(
        [os.environ["MEDREWARD_SKYRL"], "-c", code, LABEL, RIGHT, NEAR],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout.splitlines()[-1]) == TOTALS
