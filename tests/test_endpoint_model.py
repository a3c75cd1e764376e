"""A model behind a chat endpoint: asked as it would be asked here, and what a server may do."""

from __future__ import annotations

import base64
import json
import sys
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from transformers.utils.import_utils import is_serve_available

from medreward import Task
from medreward.commands.cli import main
from medreward.data.check import open_parquet, rows_in
from medreward.files.chat import Endpoint, EndpointError
from medreward.runs.endpoint_model import EndpointModel
from medreward.runs.generation import GREEDY, Sampling
from tests.evaluation_rows import write_rows
from tests.serving import picture_rows, serving, tiny_model
from tests.test_priors_draft import Reply, Server, answer, send

TASK = Task.load("pneumoniamnist")
SAID = "<think>Clear.</think><answer>normal</answer>"


def model(server: Server, **options: Any) -> EndpointModel:
    return EndpointModel(Endpoint(server.url, "small", pause=0.01, timeout=5, **options), 20)


def rows_of(path: Path) -> list[dict[str, Any]]:
    with open_parquet(path) as file:
        return [*rows_in(file, path)]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A tiny vision-language model and the address at which transformers serves it."""
    folder = tiny_model(tmp_path / "model")
    command = [Path(sys.executable).with_name("transformers"), "serve", folder, "--device", "cpu"]
    with serving([*map(str, command), "--dtype", "float32"], tmp_path / "serve.log") as url:
        yield url, folder


@pytest.mark.skipif(
    not is_serve_available(), reason="transformers serve needs openai, of the extra dev"
)
def test_a_served_model_answers_as_it_does_here(
    served: tuple[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url, folder = served
    rows = picture_rows(tmp_path)
    given = ["evaluate", str(rows), "--model", str(folder), "--max-new-tokens", "6"]
    given += ["--resamples", "100", "--batch", "2"]
    here, there = tmp_path / "here.jsonl", tmp_path / "there.jsonl"
    assert main([*given, "--completions", str(here)]) == 0
    assert main([*given, "--completions", str(there), "--endpoint", url]) == 0
    assert "4 new completions" in capsys.readouterr().out
    assert there.read_text() == here.read_text()
    assert any(json.loads(line)["completion"] for line in here.read_text().splitlines())
    drawn = tmp_path / "drawn.jsonl"
    given += ["--completions", str(drawn), "--endpoint", url, "--samples", "3"]
    assert main(given) == 0
    texts = [json.loads(line)["completion"] for line in drawn.read_text().splitlines()]
    assert len(texts) == 12
    assert len(set(texts)) > 4
    assert "are all the same" not in capsys.readouterr().out


def test_a_row_is_asked_with_its_images_in_their_places(tmp_path: Path) -> None:
    (row,) = rows_of(write_rows(tmp_path, TASK, ["normal"]))
    pictures = []
    for colour in ("red", "blue"):
        file = BytesIO()
        Image.new("RGB", (3, 2), colour).save(file, "PNG")
        pictures.append({"bytes": file.getvalue()})
    (asked,) = row["prompt"]
    assert asked["content"].count("<image>") == 1
    rows = [
        {**row, "images": pictures, "prompt": [{**asked, "content": f"<image>{asked['content']}"}]}
    ]
    with Server([answer(SAID)]) as server:
        assert [*model(server).complete(rows, GREEDY)] == [SAID]
    (seen,) = server.seen
    assert (seen["model"], seen["max_tokens"], seen["temperature"]) == ("small", 20, 0.0)
    parts = [part for one in seen["messages"] for part in one["content"]]
    urls = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
    for url, shade in zip(urls, ((255, 0, 0), (0, 0, 255)), strict=True):
        kind, _, content = url.partition(",")
        assert kind == "data:image/png;base64"
        with Image.open(BytesIO(base64.b64decode(content))) as image:
            assert (image.size, image.getpixel((0, 0))) == ((3, 2), shade)
    texts = "".join(part["text"] for part in parts if part["type"] == "text")
    assert "<image>" not in texts
    assert TASK.question in texts


def test_completions_stand_in_the_order_of_rows_and_samples_have_seeds_of_their_own(
    tmp_path: Path,
) -> None:
    rows = rows_of(write_rows(tmp_path, TASK, ["normal", "pneumonia"] * 3))

    def echo(to: BaseHTTPRequestHandler) -> None:
        asked = server.seen[-1]
        time.sleep(0.02 * (asked["seed"] % 3))  # so that answers overtake each other
        send(to, *answer(f"{asked['seed']}"))

    with Server([echo]) as server:
        first = [*model(server).complete(rows, Sampling(2, 0.7, 5))]
        assert len(set(first)) == 12
        assert {asked["temperature"] for asked in server.seen} == {0.7}
        singly = [*model(server).complete(rows[2:3], Sampling(2, 0.7, 5))]
    assert singly == first[4:6]  # of a run that goes on


REASONED: Callable[[str], Reply] = lambda field: (  # noqa: E731
    200, {},
    json.dumps({"choices": [{"message": {"content": None, field: "The lung is clear."}}]}).encode(),
)  # fmt: skip


@pytest.mark.parametrize("field", ["reasoning", "reasoning_content"])
def test_reasoning_that_the_server_took_out_is_an_error(field: str, tmp_path: Path) -> None:
    rows = rows_of(write_rows(tmp_path, TASK, ["normal"]))
    with Server([REASONED(field)]) as server, pytest.raises(EndpointError) as caught:
        [*model(server).complete(rows, GREEDY)]
    assert "start it without a reasoning parser" in str(caught.value)
    assert "'The lung is clear.'" in str(caught.value)


def test_no_text_is_an_error_and_a_busy_server_is_asked_again(tmp_path: Path) -> None:
    rows = rows_of(write_rows(tmp_path, TASK, ["normal"]))
    nothing = json.dumps({"choices": [{"message": {"content": None}}]}).encode()
    with (
        Server([(200, {}, nothing)]) as server,
        pytest.raises(EndpointError, match="small: content: None is not a text"),
    ):
        [*model(server).complete(rows, GREEDY)]
    with Server([(503, {}, b"loading"), answer(SAID)]) as server:
        assert [*model(server).complete(rows, GREEDY)] == [SAID]
        assert len(server.seen) == 2


def test_the_command_keeps_what_was_answered_before_an_endpoint_failed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = write_rows(tmp_path, TASK, ["normal", "pneumonia"] * 2)
    made = tmp_path / "c.jsonl"
    given = ["evaluate", str(rows), "--completions", str(made), "--resamples", "100"]
    monkeypatch.setenv("A_KEY", "s3cret-token")
    with Server([answer(SAID), answer(SAID), (400, {}, b"too long: s3cret-token")]) as server:
        given += ["--endpoint", server.url]
        assert main(given) == 2
        assert "--endpoint: add --model NAME" in capsys.readouterr().err
        given += ["--model", "small", "--key-env", "A_KEY"]
        assert main(given) == 2
        said = capsys.readouterr().err
        assert "HTTP 400: too long: [key]" in said
        assert server.seen[0]["headers"]["Authorization"] == "Bearer s3cret-token"
        assert len(made.read_text().splitlines()) == 2
        server.replies = [answer(SAID)]
        assert main(given) == 0
    assert "2 new completions" in capsys.readouterr().out
    assert [json.loads(line)["id"] for line in made.read_text().splitlines()] == [
        f"r{i}" for i in range(4)
    ]
    assert "s3cret" not in made.read_text()


def test_a_server_that_draws_nothing_is_remarked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = write_rows(tmp_path, TASK, ["normal", "pneumonia"])
    with Server([answer(SAID)]) as server:
        given = ["evaluate", str(rows), "--completions", str(tmp_path / "c.jsonl"), "--model", "m"]
        given += ["--endpoint", server.url, "--resamples", "100", "--samples", "2"]
        assert main(given) == 0
    assert "the 2 samples of each row are all the same" in capsys.readouterr().out
