"""The taskset for verifiers, in verifiers' own evaluation, where it is installed.

Set MEDREWARD_VERIFIERS to the Python of an environment with verifiers, uv and medreward[data]'s
pyarrow and Pillow. A server on this machine stands in the model's place.
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from medreward import ConfigError, shaped_reward
from medreward.data.parquet import write_parquet
from medreward.kinds.right_answers import completion_with
from medreward_verifiers.prompts import chat_messages
from tests.trainer_rows import ANSWERS, TARGETS, target_rows

ROOT = Path(__file__).parent.parent
# What the model of the test says: of four answers one is wrong, and one has no tags.
SAID = {
    name: text if name == "short_answer" else completion_with(text)
    for name, text in zip(TARGETS, ("1", *ANSWERS[1:4]), strict=True)
}


def test_pictures_stand_in_the_places_of_their_marks() -> None:
    [row] = [one for one in target_rows("test") if one["data_source"] == "retinamnist"]
    [message] = chat_messages(row)
    kinds = [part["type"] for part in message["content"]]
    assert kinds == ["image_url", "text"]
    assert message["content"][0]["image_url"]["url"].startswith("data:image/png;base64,")
    told = {"role": "system", "content": "You read fundus photographs."}
    two = {**row, "images": row["images"] * 2, "prompt": [told, {"role": "user"}]}
    two["prompt"][1]["content"] = "First <image> then <image> which?"
    system, user = chat_messages(two)
    assert system == told
    assert [part.get("text") for part in user["content"]] == [
        "First ",
        None,
        " then ",
        None,
        " which?",
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": []}, "1 marks <image> for 0 images"),
        ({"images": [{"bytes": b"nothing", "path": None}]}, r"images\[0\]: "),
    ],
)
def test_wrong_pictures_are_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        chat_messages({**target_rows("test")[0], **change})


class Endpoint(BaseHTTPRequestHandler):
    """Answers a chat completion by the number in the image's red channel."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        message = {"role": "assistant", **reply(asked["messages"])}
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        given = {"id": "x", "created": 0, "model": "tiny", "usage": usage}
        choice: dict[str, Any] = {"index": 0, "finish_reason": "stop"}
        if asked.get("stream"):
            given |= {"object": "chat.completion.chunk", "choices": [{**choice, "delta": message}]}
            content, kind = f"data: {json.dumps(given)}\n\ndata: [DONE]\n\n", "text/event-stream"
        else:
            given |= {"object": "chat.completion", "choices": [{**choice, "message": message}]}
            content, kind = json.dumps(given), "application/json"
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content.encode())))
        self.end_headers()
        self.wfile.write(content.encode())

    def log_message(self, *_: Any) -> None:
        return


def reply(messages: list[dict[str, Any]]) -> dict[str, str]:
    """Return what the model says to a picture; of one, a server has parsed the reasoning out.

    What has no picture is asked of a judge.
    """
    import base64
    import io

    pictures = [
        part["image_url"]["url"]
        for message in messages
        if isinstance(message["content"], list)
        for part in message["content"]
        if part["type"] == "image_url"
    ]
    if not pictures:
        return {"content": '{"same": true}'}
    [picture] = pictures
    content = base64.b64decode(picture.partition("base64,")[2])
    red = Image.open(io.BytesIO(content)).convert("RGB").getpixel((0, 0))[0]
    name = list(TARGETS)[red]
    if name == "multiple_choice":
        return {"reasoning_content": "A scanner.", "content": "<answer>B</answer>"}
    return {"content": SAID[name]}


@contextmanager
def endpoint() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        thread.join()


def run_there(folder: Path, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder, with the environment of verifiers."""
    python = Path(os.environ["MEDREWARD_VERIFIERS"])
    return subprocess.run(
        command,
        env={
            **os.environ,
            "PATH": os.pathsep.join([str(python.parent), os.environ["PATH"]]),
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "adapters")]),
            "NO_KEY": "none",
        },
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def evaluate(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run verifiers' own evaluation on the rows of a folder."""
    python = Path(os.environ["MEDREWARD_VERIFIERS"])
    with endpoint() as address:
        return run_there(
            folder,
            [
                str(python.parent / "vf-eval"),
                "medreward_verifiers",
                *("--env.taskset.rows", str(folder)),
                *("--env.agent.harness.id", "null"),
                *("--env.agent.runtime.type", "subprocess"),
                *("--client.base-url", address, "--client.api-key-var", "NO_KEY"),
                *("--model", "tiny", "--no-push", "--output-dir", str(folder / "out")),
                *options,
            ],
        )


needs_verifiers = pytest.mark.skipif(
    "MEDREWARD_VERIFIERS" not in os.environ,
    reason="MEDREWARD_VERIFIERS names no Python with verifiers",
)


def traces(folder: Path) -> dict[str, dict[str, Any]]:
    [path] = folder.glob("out/*/traces.jsonl")
    found = [json.loads(line)["traces"][0] for line in path.read_text().splitlines()]
    return {trace["task"]["data"]["data_source"]: trace for trace in found}


@needs_verifiers
def test_verifiers_own_evaluation(tmp_path: Path) -> None:
    write_parquet(tmp_path / "test.parquet", target_rows("test"))
    done = evaluate(tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    found = traces(tmp_path)
    assert list(found) != []
    for name, target in TARGETS.items():
        trace = found[name]
        assert trace["errors"] == []
        text = SAID[name]
        if name == "multiple_choice":
            text = "<think>A scanner.</think><answer>B</answer>"
        total = shaped_reward(text, target, task=name, knowledge="")
        assert trace["rewards"] == {"medreward": {"score": pytest.approx(total), "weight": 1.0}}
        assert trace["task"]["key"] == f"test/{name}"
        assert {"accuracy", "format", "recitation", "correct", "unreadable"} == set(
            trace["metrics"]
        )
    assert found["retinamnist"]["metrics"]["correct"] == 0.0
    assert found["bccd"]["metrics"]["correct"] == 1.0


@needs_verifiers
def test_settings_and_faults_of_rows(tmp_path: Path) -> None:
    retina = [row for row in target_rows("test") if row["data_source"] == "retinamnist"]
    write_parquet(tmp_path / "test.parquet", retina)
    done = evaluate(tmp_path, "--env.taskset.task.settings", '{"decay": "linear"}')
    assert done.returncode == 0, done.stderr[-3000:]
    [trace] = traces(tmp_path).values()
    assert trace["rewards"]["medreward"]["score"] == pytest.approx(0.95)
    wrong = tmp_path / "wrong"
    wrong.mkdir()
    write_parquet(wrong / "test.parquet", [{**retina[0], "data_source": "nobodys"}])
    done = evaluate(wrong)
    assert done.returncode != 0
    assert "test.parquet row 0: data_source: 'nobodys' is not one of" in done.stdout + done.stderr


@needs_verifiers
def test_a_judge_decides_on_each_row_or_the_run_ends(tmp_path: Path) -> None:
    [short] = [row for row in target_rows("test") if row["data_source"] == "short_answer"]
    truth = {**short["reward_model"], "ground_truth": '["left hemithorax"]'}
    other = {**short, "reward_model": truth}
    write_parquet(tmp_path / "test.parquet", [other])
    with endpoint() as address:
        judge = {"url": address, "model": "judge"}
        settings = {"judge": judge, "completion_format": "answer_only"}
        done = evaluate(tmp_path, "--env.taskset.task.settings", json.dumps(settings))
    assert done.returncode == 0, done.stderr[-3000:]
    [trace] = traces(tmp_path).values()
    assert trace["errors"] == []
    assert trace["metrics"]["accuracy"] == 1.0
    silent = {**judge, "on_error": "none"}
    done = evaluate(tmp_path, "--env.taskset.task.settings", json.dumps({"judge": silent}))
    assert done.returncode != 0
    assert "judge: on_error: verifiers needs a number for every row" in done.stdout + done.stderr


@needs_verifiers
def test_an_environment_server_as_prime_rl_asks_it(tmp_path: Path) -> None:
    write_parquet(tmp_path / "test.parquet", target_rows("test"))
    python = Path(os.environ["MEDREWARD_VERIFIERS"])
    with endpoint() as address:
        worker = str(ROOT / "tests" / "verifiers_env_worker.py")
        done = run_there(tmp_path, [str(python), worker, str(tmp_path), address])
    assert done.returncode == 0, done.stderr[-3000:]
    found = {one["task"]: one for one in map(json.loads, done.stdout.splitlines())}
    assert {*found} == {*TARGETS}
    for name, target in TARGETS.items():
        text = SAID[name]
        if name == "multiple_choice":
            text = "<think>A scanner.</think><answer>B</answer>"
        total = shaped_reward(text, target, task=name, knowledge="")
        assert found[name]["errors"] == []
        assert found[name]["rewards"]["medreward"]["score"] == pytest.approx(total)
