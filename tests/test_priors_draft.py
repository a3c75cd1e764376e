"""`medreward priors draft` against a real HTTP server: what it writes, and where the key goes."""

from __future__ import annotations

import contextlib
import json
import logging
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from medreward import ConfigError, Task
from medreward.commands.cli import main
from medreward.files.chat import Endpoint, EndpointError, key_from
from medreward.priors import draft as drafting
from medreward.priors.draft import HEADER, draft, read_answer
from medreward.priors.lint import lint_card
from medreward.task.review import is_draft

KEY = "sk-secret-0123456789"
CARD = """\
# A comment that stays in this file.
name: cells
kind: classification
question: Which cell is this?
labels:
  - name: alpha
    attributes:
      - text: An alpha cell is round.
        source: ref
  - name: beta
    synonyms: [second cell]
  - gamma
references:
  ref: Author A, Author B. On the roundness of cells. Journal of Cells 1:2-3, 2020.
"""

Reply = tuple[int, dict[str, str], bytes]


def answer(content: str) -> Reply:
    body = {"choices": [{"message": {"role": "assistant", "content": content}}]}
    return 200, {}, json.dumps(body).encode()


def attributes(*texts: str) -> Reply:
    return answer(json.dumps({"attributes": texts}))


@dataclass
class Server:
    """A chat endpoint on a real socket: gives its replies in turn, the last one for ever."""

    replies: list[Reply | Callable[[BaseHTTPRequestHandler], None]]
    seen: list[dict[str, Any]] = field(default_factory=list)

    def __enter__(self) -> Server:
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), self.handler())
        self.http.daemon_threads = True
        threading.Thread(target=self.http.serve_forever, args=[0.02], daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.http.shutdown()
        self.http.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http.server_port}/v1"

    def handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                seen = {"path": self.path, "headers": dict(self.headers), **json.loads(body)}
                server.seen.append(seen)
                reply = server.replies[min(len(server.seen), len(server.replies)) - 1]
                if callable(reply):
                    reply(self)
                else:
                    send(self, *reply)

            def do_GET(self) -> None:
                server.seen.append({"path": self.path, "headers": dict(self.headers)})
                send(self, 200, {}, b"{}")

            def log_message(self, *_: object) -> None: ...

        return Handler


def send(to: BaseHTTPRequestHandler, status: int, headers: dict[str, str], body: bytes) -> None:
    to.send_response(status)
    for name, value in {**headers, "Content-Length": str(len(body))}.items():
        to.send_header(name, value)
    to.end_headers()
    to.wfile.write(body)


@pytest.fixture
def card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "cells.yaml"
    path.write_text(CARD, encoding="utf-8")
    return path


def quick(url: str, **options: Any) -> Endpoint:
    return Endpoint(url, "small model", **{"key": KEY, "pause": 0.01, "timeout": 5, **options})


# What is written


def test_missing_attributes_are_drafted_and_nothing_else_changes(card: Path) -> None:
    with Server(
        [attributes("A beta cell  is oval."), attributes("Gamma é.", "Gamma b.")]
    ) as server:
        path, count = draft(card, quick(server.url))
    assert (path, count) == (Path("cells.drafts.yaml"), 2)
    assert card.read_text(encoding="utf-8") == CARD
    old, new = Task.load(card), Task.load(path)
    assert [x.name for x in new.labels] == ["alpha", "beta", "gamma"]
    assert new.labels[0] == old.labels[0]
    assert new.labels[1].synonyms == ("second cell",)
    texts = [[s.text for s in label.attributes] for label in new.labels[1:]]
    assert texts == [["A beta cell is oval."], ["Gamma é.", "Gamma b."]]
    for statement in new.statements[1:]:
        assert is_draft(new.references[statement.source])
        assert new.references[statement.source].startswith("draft: small model, 20")
    codes = [(finding.code, finding.field) for finding in lint_card(path) if finding.error]
    places = ("labels[1].attributes[0]", "labels[2].attributes[0]", "labels[2].attributes[1]")
    assert codes == [("draft", place) for place in places]
    assert path.read_text(encoding="utf-8").startswith(HEADER)


def test_what_is_asked(card: Path) -> None:
    with Server([attributes("A beta cell is oval.")]) as server:
        draft(card, quick(f"{server.url}/"))
        draft(card, quick(f"{server.url}/chat/completions", key=""), "other.yaml")
    first, _, third, _ = server.seen
    assert {seen["path"] for seen in server.seen} == {"/v1/chat/completions"}
    assert first["headers"]["Authorization"] == f"Bearer {KEY}"
    assert "Authorization" not in third["headers"]
    assert first["model"] == "small model"
    said = first["messages"][1]["content"]
    assert [message["role"] for message in first["messages"]] == ["system", "user"]
    for part in ("Which cell is this?", "alpha; beta; gamma", "Label: beta", "second cell"):
        assert part in said
    assert "Also called" not in server.seen[1]["messages"][1]["content"]  # gamma has no synonyms


def test_a_failure_on_the_way_keeps_what_was_drafted_and_can_go_on(
    card: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["priors", "draft", "--model", "m"]
    with Server([attributes("A beta cell is oval."), (400, {}, b"out of credit")]) as server:
        assert main([*command, "--task", str(card), "--endpoint", server.url]) == 2
    said = capsys.readouterr().err
    assert "HTTP 400: out of credit" in said
    assert "1 of 2 labels are in cells.drafts.yaml; --task cells.drafts.yaml --out" in said
    half = Task.load("cells.drafts.yaml")
    assert [len(label.attributes) for label in half.labels] == [1, 1, 0]
    with Server([attributes("A gamma cell is a ring.")]) as server:
        resumed = ["--task", "cells.drafts.yaml", "--out", "cells.drafts.yaml"]
        assert main([*command, *resumed, "--endpoint", server.url]) == 0
    assert len(server.seen) == 1
    assert Task.load("cells.drafts.yaml").labels[:2] == half.labels[:2]
    assert "drafted attributes of 1 labels; the card has 3 statements" in capsys.readouterr().out


def test_nothing_else_is_written_over(card: Path) -> None:
    other = card.with_name("other.yaml")
    other.write_text("precious")
    with Server([attributes("x")]) as server:
        for out in (card, other):
            before = out.read_text()
            with pytest.raises(ConfigError, match="is there already"):
                draft(card, quick(server.url), out)
            assert out.read_text() == before
    assert server.seen == []


def test_nothing_to_draft() -> None:
    nowhere = Endpoint("http://127.0.0.1:9", "m")
    with pytest.raises(ConfigError, match="nothing to draft: all its labels have attributes"):
        draft("retinamnist", nowhere)
    with pytest.raises(ConfigError, match="nothing to draft: it has no labels"):
        draft("mni152_brain_box", nowhere)


# Answers


@pytest.mark.parametrize(
    "text",
    [
        '{"attributes": ["Beta is oval."]}',
        ' \n{"attributes": ["Beta\\n is  oval."], "note": 1}',
        '```json\n{"attributes": ["Beta is oval."]}\n```',
        '<think>{"attributes": []}?</think>{"attributes": ["Beta is oval."]}',
    ],
)
def test_answers_that_are_read(text: str) -> None:
    assert read_answer(text) == ["Beta is oval."]


BAD = [
    "",
    "Beta is oval.",
    '{"attributes": ["Beta is oval."]',
    '{"attributes": "Beta is oval."}',
    '{"attributes": []}',
    '{"attributes": [1]}',
    '{"attributes": [" "]}',
    '{"attributes": ["' + "x" * 401 + '"]}',
    '["Beta is oval."]',
    "[" * 100_000,
]


@pytest.mark.parametrize("text", BAD)
def test_answers_that_are_not(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_answer(text)


def test_a_model_that_does_not_answer_in_json_is_asked_again_and_then_named(card: Path) -> None:
    with Server([answer("Sure!"), answer("{"), attributes("Beta is oval.")]) as server:
        assert draft(card, quick(server.url))[1] == 2
        assert len(server.seen) == 4
    with (
        Server([answer("Sure! Here it is")]) as server,
        pytest.raises(ConfigError, match="label 'beta': model 'small model' does not answer in JS"),
    ):
        draft(card, quick(server.url), "other.yaml")
    assert len(server.seen) == 3
    assert not Path("other.yaml").exists()


# Servers


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_a_busy_server_is_asked_again(status: int, card: Path) -> None:
    busy = (status, {"Retry-After": "0"}, b"busy")
    with Server([busy, busy, attributes("Beta is oval.")]) as server:
        assert draft(card, quick(server.url))[1] == 2
    assert len(server.seen) == 4


def test_a_server_that_stays_busy_is_given_up(card: Path) -> None:
    with (
        Server([(503, {}, b"down for <repairs>\n today")]) as server,
        pytest.raises(EndpointError, match=r"HTTP 503: down for <repairs> today \(tried 4 times\)"),
    ):
        draft(card, quick(server.url))
    assert len(server.seen) == 4


def test_pauses_double_up_to_a_bound_and_heed_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("medreward.files.chat.time.sleep", pauses.append)
    replies: list[Any] = [(429, {"Retry-After": wait}, b"") for wait in ("3", "900", "later", "")]
    with Server(replies) as server, pytest.raises(EndpointError, match="tried 6 times"):
        quick(server.url, pause=1.0, attempts=6).ask([])
    assert pauses == [3, 30, 4, 8, 16]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_a_refusal_is_final(status: int, card: Path) -> None:
    with (
        Server([(status, {}, b'{"error": "no"}')]) as server,
        pytest.raises(EndpointError, match=f'completions: HTTP {status}: {{"error": "no"}}'),
    ):
        draft(card, quick(server.url))
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>hello", b"[]", b'{"choices": []}', b'{"choices": [{"message": {}}]}', b"\xff"],
)
def test_what_is_no_chat_endpoint_is_named(body: bytes) -> None:
    with (
        Server([(200, {}, body)]) as server,
        pytest.raises(EndpointError, match="not the answer of a chat endpoint"),
    ):
        quick(server.url).ask([])


GIVEN_UP = threading.Event()
TOO_LATE = threading.Event()
LONG = 60.0  # seconds after which a server ends by itself


def silent(_: BaseHTTPRequestHandler) -> None:
    if not GIVEN_UP.wait(LONG):
        TOO_LATE.set()


def dripping(to: BaseHTTPRequestHandler) -> None:
    """Send a byte now and then, so that no single wait is long."""
    to.send_response(200)
    to.send_header("Content-Length", "1000")
    to.end_headers()
    with contextlib.suppress(OSError):
        for _ in range(int(LONG / 0.1)):
            if GIVEN_UP.wait(0.1):
                return
            to.wfile.write(b" ")
        TOO_LATE.set()


@pytest.mark.parametrize("slow", [silent, dripping])
def test_a_slow_server_is_given_up(slow: Callable[[BaseHTTPRequestHandler], None]) -> None:
    GIVEN_UP.clear()
    TOO_LATE.clear()
    with Server([slow]) as server:
        try:
            with pytest.raises(EndpointError, match=r"no answer within 0.3 s \(tried 2 times\)"):
                quick(server.url, timeout=0.3, attempts=2).ask([])
            assert not TOO_LATE.is_set()
        finally:
            GIVEN_UP.set()


def test_a_huge_answer_is_not_read_to_the_end() -> None:
    with (
        Server([(200, {}, b" " * 4_100_000)]) as server,
        pytest.raises(EndpointError, match="more than 4000000 bytes"),
    ):
        quick(server.url).ask([])


def test_a_connection_that_breaks_off_and_one_that_is_refused() -> None:
    def broken(to: BaseHTTPRequestHandler) -> None:
        to.send_response(200)
        to.send_header("Content-Length", "1000")
        to.end_headers()
        to.wfile.write(b"{")

    with Server([broken, attributes("x")]) as server:
        assert quick(server.url).ask([]) == '{"attributes": ["x"]}'
        url = server.url
    with pytest.raises(EndpointError, match=r"cannot be reached: .*refused"):
        quick(url).ask([])


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_takes_the_key_nowhere(status: int, card: Path) -> None:
    with Server([attributes("x")]) as other:
        target = f"http://localhost:{other.http.server_port}/v1/chat/completions?token={KEY}"
        with (
            Server([(status, {"Location": target}, b"")]) as server,
            pytest.raises(EndpointError, match=r"it redirects to localhost:[0-9]+, which is not f"),
        ):
            draft(card, quick(server.url))
        assert len(server.seen) == 1
        assert other.seen == []


# The key


@pytest.mark.parametrize(
    "reply",
    [
        attributes("Beta is oval."),
        attributes(f"The key is {KEY}."),
        answer(f"no JSON, {KEY}"),
        answer(json.dumps({"attributes": [KEY]}).replace("-", "\\u002d")),
        (401, {}, f"Incorrect API key provided: {KEY}".encode()),
        (500, {"Retry-After": "0", "X-Key": KEY}, f"trace: Authorization: Bearer {KEY}".encode()),
        (302, {"Location": f"http://{KEY}.example.org/"}, KEY.encode()),
        (200, {}, KEY.encode()),
    ],
)
def test_the_key_is_nowhere_but_in_the_request(
    reply: Reply,
    card: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    monkeypatch.setattr("medreward.files.chat.time.sleep", lambda _: None)
    caplog.set_level(logging.DEBUG)
    command = ["priors", "draft", "--task", str(card), "--model", "m", "--key-env", "MY_KEY"]
    with Server([reply]) as server:
        status = main([*command, "--endpoint", server.url])
    assert status == (0 if b"attributes" in reply[2] else 2)
    assert server.seen[0]["headers"]["Authorization"] == f"Bearer {KEY}"
    said = capfd.readouterr()
    written = [path.read_bytes() for path in card.parent.rglob("*") if path.is_file()]
    assert len(written) == (2 if status == 0 else 1)
    for text in (said.out, said.err, caplog.text, *map(repr, written)):
        assert KEY not in text
        assert "sk-secret" not in text


def test_the_key_in_a_process_of_its_own(card: Path) -> None:
    """As a user runs it, with debugging of the HTTP client on."""
    code = (
        "import http.client, logging, sys\n"
        "logging.basicConfig(level=logging.DEBUG)\n"
        "http.client.HTTPConnection.debuglevel = 1\n"
        "from medreward.commands.cli import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    with Server([attributes("Beta is oval.")]) as server:
        words = ["priors", "draft", "--task", str(card), "--endpoint", server.url, "--model", "m"]
        done = subprocess.run(
            [sys.executable, "-c", code, *words, "--key-env", "MY_KEY"],
            capture_output=True,
            text=True,
            env={"MY_KEY": KEY, "PATH": ""},
            check=True,
        )
    assert len(server.seen) == 2
    assert KEY not in done.stdout + done.stderr
    assert KEY not in Path("cells.drafts.yaml").read_text()


def test_the_key_is_in_no_repr() -> None:
    assert KEY not in repr(quick("http://localhost/v1"))


@pytest.mark.parametrize("value", [None, "", "  ", "sk-a\nX-Other: 1", "sk-é"])
def test_a_key_that_cannot_be_sent(value: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MY_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("MY_KEY", value)
    with pytest.raises(ConfigError, match="'MY_KEY'") as caught:
        key_from("MY_KEY")
    assert "sk-" not in str(caught.value)
    assert key_from(None) == ""


@pytest.mark.parametrize(
    ("url", "options", "message"),
    [
        ("ftp://host/v1", {}, "endpoint: 'ftp://host/v1' is not an http"),
        ("localhost:8000", {}, "is not an http"),
        ("file:///etc/passwd", {}, "is not an http"),
        ("http://[::1", {}, "not an address"),
        (f"http://user:{KEY}@host/v1", {}, "holds a user or password"),
        ("http://host", {"timeout": 0}, "timeout: 0"),
        ("http://host", {"timeout": float("nan")}, "timeout: nan"),
    ],
)
def test_wrong_endpoints_are_named(url: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        Endpoint(url, "m", **options)
    assert KEY not in str(caught.value)
    with pytest.raises(ConfigError, match="model: ' ' is no name"):
        Endpoint("http://host", " ")


def test_drafts_of_several_models_have_references_of_their_own(
    card: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drafting, "_TRIES", 1)
    with (
        Server([attributes("Beta is oval."), answer("no")]) as server,
        pytest.raises(EndpointError, match="1 of 2 labels"),
    ):
        draft(card, quick(server.url))
    with Server([attributes("Gamma is a ring.")]) as server:
        other = Endpoint(server.url, "other\nmodel")
        draft("cells.drafts.yaml", other, "cells.drafts.yaml")
    task = Task.load("cells.drafts.yaml")
    assert [s.source for s in task.statements] == ["ref", "draft", "draft_2"]
    assert task.references["draft_2"].startswith("draft: other model, 20")
