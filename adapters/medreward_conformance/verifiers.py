"""verifiers' environment server and client, as its evaluation and prime-rl use them."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any

from medreward import Task
from medreward.data.parquet import write_parquet
from medreward_conformance.known import PROMPT, TASK, known_completions, read_calls
from medreward_conformance.protocol import Call, Observation, Sent

OUT, FAILS = "MEDREWARD_PROBE_OUT", "MEDREWARD_PROBE_FAILS"
_MODULE = "medreward_conformance_taskset"  # a taskset's id has no dots
_PROBE = """from medreward_conformance.verifiers_probe import ProbeTaskset

__all__ = ["ProbeTaskset"]
"""


def observe() -> Observation:
    """Run an episode of each known completion, with a server of texts in the model's place.

    What a model's tokens become is the business of that server, so nothing is said of them.
    """
    sent = [one._replace(ended=False) for one in known_completions()]
    seen = Observation(f"verifiers {version('verifiers')}, environment server", sent)
    with TemporaryDirectory() as folder, _endpoint(sent) as address:
        out = Path(folder)
        (out / f"{_MODULE}.py").write_text(_PROBE, encoding="utf-8")
        rows = list(dict.fromkeys(one.group for one in sent))
        write_parquet(out / "rows.parquet", map(_row, rows))
        sys.path.insert(0, folder)
        given = {OUT: str(out / "calls.jsonl"), "MEDREWARD_PROBE_KEY": "none", FAILS: ""}
        try:
            with _variables(given):
                episodes = _episodes(out / "rows.parquet", address, sent)
            seen.calls = _keyed(read_calls(out / "calls.jsonl"))
            seen.scores = {key: _score(episode) for key, episode in episodes.items()}
            with _variables({**given, FAILS: "1"}):
                [failed] = _episodes(out / "rows.parquet", address, sent[:1]).values()
            seen.failure = _failure(failed)
        finally:
            sys.path.remove(folder)
    return seen


def _failure(episode: Any) -> str:
    """Say what became of an episode whose reward raised."""
    [trace] = episode.traces
    if any("the probe fails" in str(error) for error in trace.errors):
        return "a reward that raises goes on: the episode has an error and its reward is left out"
    return f"a reward that raises goes on with {_score(episode)}"


def _score(episode: Any) -> float:
    [trace] = episode.traces
    found = trace.rewards.get("medreward")
    return float("nan") if found is None else float(found.score)


def _row(group: str) -> dict[str, Any]:
    info = {"id": group, "split": "train", "knowledge": "", "transforms": None}
    return {
        "data_source": TASK,
        "prompt": [{"role": "user", "content": f"{PROMPT} Row {group}."}],
        "images": [],
        "ability": Task.load(TASK).kind,
        "reward_model": {"style": "rule", "ground_truth": "2"},
        "extra_info": info,
    }


def _keyed(calls: Sequence[Call]) -> list[Call]:
    """Number the completions of a row as they arrive: episodes are run one after the other."""
    counts: Counter[str | None] = Counter()
    found = []
    for call in calls:
        arrivals = []
        for one in call.arrivals:
            arrivals.append(one._replace(key=f"{one.group}-{counts[one.group]}"))
            counts[one.group] += 1
        found.append(call._replace(arrivals=tuple(arrivals)))
    return found


@contextmanager
def served(taskset: Mapping[str, str]) -> Iterator[tuple[Any, str]]:
    """Serve a taskset with verifiers' own server; yield its environment and its address."""
    from verifiers.v1.serve import env_config_data, serve_env
    from verifiers.v1.utils.loaders import resolve_env_config

    agent = {"harness": {"id": "null"}, "runtime": {"type": "subprocess"}}
    env = resolve_env_config({"taskset": dict(taskset), "agent": agent})
    context = multiprocessing.get_context("spawn")
    addresses = context.Queue()
    given = {"max_workers": 1, "address": "tcp://127.0.0.1:0", "address_queue": addresses}
    given["config_data"] = env_config_data(env)
    server = context.Process(target=serve_env, kwargs=given, daemon=True)
    server.start()
    try:
        yield env, addresses.get(timeout=600)
    finally:
        server.terminate()
        server.join()


def _episodes(rows: Path, model_address: str, sent: Sequence[Sent]) -> dict[Any, Any]:
    """Return an episode of each completion."""
    with served({"id": _MODULE, "rows": str(rows)}) as (env, address):
        return asyncio.run(_asked(address, env, model_address, sent))


async def _asked(
    address: str, env: Any, model_address: str, sent: Sequence[Sent]
) -> dict[Any, Any]:
    import verifiers.v1 as vf
    from verifiers.v1.serve import EnvClient

    client = EnvClient(address=address)
    await client.wait_for_server_startup(timeout=600)
    tasks = {task.data.id: task for task in vf.load_taskset(env.taskset)}
    endpoint = vf.EvalClientConfig(base_url=model_address, api_key_var="MEDREWARD_PROBE_KEY")
    return {
        one.key: await client.run(
            task_data=tasks[one.group].data.model_dump(mode="json"),
            client=endpoint,
            model="known",
            sampling=vf.SamplingConfig(),
        )
        for one in sent
    }


@contextmanager
def _variables(given: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables, which processes that are started inherit."""
    before = {name: os.environ.get(name) for name in given}
    os.environ.update(given)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _endpoint(sent: Sequence[Sent]) -> Iterator[str]:
    """Serve the known texts on this machine, by the row that a prompt names."""
    texts = {f"Row {one.group}.": one.text for one in sent}

    class KnownTexts(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            prompt = json.dumps(asked["messages"], ensure_ascii=False)
            [text] = [text for row, text in texts.items() if row in prompt]
            self._answer(text, streamed=bool(asked.get("stream")))

        def _answer(self, text: str, *, streamed: bool) -> None:
            message = {"role": "assistant", "content": text}
            usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
            given: dict[str, Any] = {"id": "x", "created": 0, "model": "known", "usage": usage}
            choice = {"index": 0, "finish_reason": "stop"}
            if streamed:
                given |= {"object": "chat.completion.chunk"}
                given["choices"] = [{**choice, "delta": message}]
                content, kind = f"data: {json.dumps(given)}\n\ndata: [DONE]\n\n", "event-stream"
            else:
                given |= {"object": "chat.completion", "choices": [{**choice, "message": message}]}
                content, kind = json.dumps(given), "json"
            self.send_response(200)
            where = "text" if streamed else "application"
            self.send_header("Content-Type", f"{where}/{kind}")
            self.send_header("Content-Length", str(len(content.encode())))
            self.end_headers()
            self.wfile.write(content.encode())

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), KnownTexts)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        thread.join()
