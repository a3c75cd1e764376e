"""LLaVA in verl, which knows processors by class name and refuses LLaVA's.

verl then goes on without a processor. Data set and agent loop are verl's own, given the processor.
"""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import ray
from transformers import AutoProcessor
from verl.experimental.agent_loop.agent_loop import AgentLoopOutput, register
from verl.experimental.agent_loop.single_turn_agent_loop import SingleTurnAgentLoop
from verl.trainer.ppo.v1.agent_loop_tq import AgentLoopManagerTQ, AgentLoopWorkerTQ

from medreward_verl.dataset import PlainImageDataset

_Worker: Any = AgentLoopWorkerTQ.__ray_metadata__.modified_class.__ray_actor_class__


class LlavaDataset(PlainImageDataset):
    """The data set, with the processor that lies beside the tokenizer."""

    def __init__(self, data_files: Any, tokenizer: Any, *, processor: Any, **rest: Any) -> None:
        found = processor or AutoProcessor.from_pretrained(tokenizer.name_or_path)
        super().__init__(data_files=data_files, tokenizer=tokenizer, processor=found, **rest)


class LlavaWorker(_Worker):  # type: ignore[misc]
    """verl's agent loop worker, with the model's processor."""

    def __init__(self, config: Any, *rest: Any) -> None:
        super().__init__(config, *rest)
        self.processor = AutoProcessor.from_pretrained(config.actor_rollout_ref.model.path)


class LlavaManager(AgentLoopManagerTQ):  # type: ignore[misc]
    """verl's agent loop manager, with workers that have the processor."""

    def __init__(self, *rest: Any, **named: Any) -> None:
        super().__init__(*rest, **named)
        self.agent_loop_workers_class = ray.remote(LlavaWorker)


@register("llava_agent")
class LlavaAgentLoop(SingleTurnAgentLoop):  # type: ignore[misc]
    """verl's single turn, with the prompt's tokens from the processor."""

    async def run(self, sampling_params: dict[str, Any], **kwargs: Any) -> AgentLoopOutput:
        """Sample one answer to a row's prompt."""
        messages = list(kwargs["raw_prompt"])
        media = await self.process_multi_modal_info(messages)
        text = self.processor.apply_chat_template(messages, add_generation_prompt=True)
        inputs = self.processor(text=[text], images=media["images"])
        prompt = list(map(int, inputs["input_ids"][0]))
        output = await self.server_manager.generate(
            request_id=uuid4().hex,
            prompt_ids=prompt,
            sampling_params=sampling_params,
            image_data=media["images"],
        )
        return AgentLoopOutput(
            prompt_ids=prompt,
            response_ids=output.token_ids,
            response_mask=[1] * len(output.token_ids),
            multi_modal_data=media,
            num_turns=2,
            metrics={"generate_sequences": 0.0, "tool_calls": 0.0},
            extra_fields=output.extra_fields,
        )
