"""What prime-rl does with an environment, on verifiers' own server: run by tests/test_verifiers.py.

The server has the taskset; the orchestrator loads it a second time and sends the data of a task
with each request (prime_rl.orchestrator.envs). Prints a line of JSON a task.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any

import verifiers.v1 as vf
from verifiers.v1.serve import EnvClient

from medreward_conformance.verifiers import served


async def ask(address: str, env: Any, model_address: str) -> list[dict[str, Any]]:
    """Return what an episode of each task earns."""
    client = EnvClient(address=address)
    await client.wait_for_server_startup(timeout=600)
    found = []
    for task in list(vf.load_taskset(env.taskset)):
        episode = await client.run(
            task_data=task.data.model_dump(mode="json"),
            client=vf.EvalClientConfig(base_url=model_address, api_key_var="NO_KEY"),
            model="tiny",
            sampling=vf.SamplingConfig(),
        )
        [trace] = episode.traces
        rewards = {name: one.model_dump() for name, one in trace.rewards.items()}
        errors = [str(error) for error in trace.errors]
        found.append({"task": task.data.data_source, "errors": errors, "rewards": rewards})
    return found


def main() -> None:
    """Serve the rows and ask for an episode of each."""
    rows, model_address = sys.argv[1:]
    with served({"id": "medreward_verifiers", "rows": rows}) as (env, address):
        for line in asyncio.run(ask(address, env, model_address)):
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
    os._exit(0)  # sockets of the client are left to the process
