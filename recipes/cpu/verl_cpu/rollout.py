"""A rollout that samples with ``transformers``: server, replica and adapter for verl."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Any, NamedTuple

import ray
import torch
from transformers import AutoModelForImageTextToText, AutoProcessor
from verl.workers.rollout import base
from verl.workers.rollout.replica import RolloutReplica, RolloutReplicaRegistry, TokenOutput

NAME = "transformers"
BATCH = 128  # sequences that are sampled together
WAIT = 0.02  # seconds in which requests gather into a batch


class _Request(NamedTuple):
    tokens: list[int]
    images: list[Any]
    sampling: dict[str, Any]
    answer: asyncio.Future[TokenOutput]


class Server:
    """Holds a copy of the policy and samples from it, many requests at a time."""

    def __init__(self, path: str, processor: Any, response_length: int) -> None:
        self.model = AutoModelForImageTextToText.from_pretrained(path).eval()
        self.processor = processor
        self.response_length = response_length
        self.step: int | None = None
        self._waiting: list[_Request] = []

    async def generate(
        self,
        request_id: str,
        prompt_ids: list[int],
        sampling_params: dict[str, Any],
        image_data: list[Any] | None = None,
        **_: Any,
    ) -> TokenOutput:
        """Return the tokens sampled after a prompt."""
        loop = asyncio.get_running_loop()
        request = _Request(prompt_ids, image_data or [], sampling_params, loop.create_future())
        if not self._waiting:
            loop.call_later(WAIT, self._sample_waiting)
        self._waiting.append(request)
        return await request.answer

    def load(self, weights: dict[str, torch.Tensor], step: int | None) -> None:
        """Take over the policy's weights.

        Raises:
            RuntimeError: if names or shapes are not the model's.
        """
        self.model.load_state_dict(weights, strict=True)
        self.step = step

    def nothing(self) -> None:
        """Sleep and wake up: there is no device memory to give back."""

    def _sample_waiting(self) -> None:
        requests, self._waiting = self._waiting, []
        for start in range(0, len(requests), BATCH):
            chunk = requests[start : start + BATCH]
            try:
                outputs = self._sample(chunk)
            except RuntimeError as error:
                for request in chunk:
                    request.answer.set_exception(error)
                continue
            for request, tokens in zip(chunk, outputs, strict=True):
                output = TokenOutput(token_ids=tokens, stop_reason="completed")
                output.extra_fields["global_steps"] = self.step
                request.answer.set_result(output)

    def _sample(self, requests: list[_Request]) -> list[list[int]]:
        tokenizer = self.processor.tokenizer
        padded = tokenizer.pad({"input_ids": [r.tokens for r in requests]}, return_tensors="pt")
        images = [image for request in requests for image in request.images]
        pixels = self.processor.image_processor(images, return_tensors="pt")["pixel_values"]
        with torch.no_grad():
            sequences = self.model.generate(
                input_ids=padded["input_ids"],
                attention_mask=padded["attention_mask"],
                pixel_values=pixels,
                max_new_tokens=self.response_length,
                # An image mark in an answer would want an image of its own when it is trained on.
                suppress_tokens=[self.model.config.image_token_id],
                **_sampling(requests[0].sampling),
            )
        sampled = sequences[:, padded["input_ids"].shape[1] :].tolist()
        return [_until(tokens, tokenizer.eos_token_id) for tokens in sampled]


def _sampling(params: dict[str, Any]) -> dict[str, Any]:
    """Return verl's sampling parameters as transformers' (a step's requests share them)."""
    if params["temperature"] == 0:
        return {"do_sample": False}
    top_k = max(params["top_k"], 0)  # verl writes "all" as -1
    return {
        "do_sample": True,
        "temperature": params["temperature"],
        "top_p": params["top_p"],
        "top_k": top_k,
    }


def _until(tokens: list[int], end: int) -> list[int]:
    """Return the tokens up to the end mark, with it."""
    return tokens[: tokens.index(end) + 1] if end in tokens else tokens


class Replica(RolloutReplica):  # type: ignore[misc]
    """One server actor."""

    async def launch_servers(self) -> None:
        """Start the server."""
        path = self.model_config.path
        processor = AutoProcessor.from_pretrained(path)
        name = f"{NAME}_server_{self.replica_rank}"
        server = (
            ray.remote(_Actor)
            .options(name=name, max_concurrency=self.max_concurrency, num_cpus=0)
            .remote(path, processor, self.config.response_length)
        )
        await server.nothing.remote()
        self.servers = [server]
        self._server_handle, self._server_address = server, name


class _Actor(Server):
    """The server with verl's names for what a real engine has to do, all of them asynchronous."""

    async def wake_up(self, **_: Any) -> None:
        """Do nothing."""

    async def sleep(self, **_: Any) -> None:
        """Do nothing."""

    async def clear_kv_cache(self) -> None:
        """Do nothing: no cache is kept between requests."""


class Adapter(base.BaseRollout):  # type: ignore[misc]
    """Hands the trainer's weights to the server."""

    async def resume(self, tags: list[str]) -> None:
        """Do nothing: the server's weights stay in memory."""

    async def release(self) -> None:
        """Do nothing."""

    async def update_weights(
        self,
        weights: Generator[tuple[str, torch.Tensor], None, None],
        global_steps: int | None = None,
        **_: Any,
    ) -> None:
        """Send all weights at once; the model is tiny."""
        server = ray.get_actor(f"{NAME}_server_0")
        tensors = {name: tensor.detach().cpu().clone() for name, tensor in weights}
        await server.load.remote(tensors, global_steps)


RolloutReplicaRegistry.register(NAME, lambda: Replica)
base._ROLLOUT_REGISTRY[(NAME, "async")] = f"{__name__}.{Adapter.__name__}"
