"""Save an untrained model of Qwen2.5-VL's type in a folder; it knows the words of given texts.

For an environment with vLLM, which brings the torchvision that Qwen's processor asks for::

    PYTHON tests/vllm_worker.py FOLDER TEXT [TEXT ...]
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from transformers import (
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2VLVideoProcessor,
)
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from medreward_trl.demo.model import CHAT_TEMPLATE, IMAGE, build


def tiny_qwen(folder: Path, texts: Sequence[str]) -> None:
    """Save an untrained model of Qwen2.5-VL's type that knows the words of `texts`."""
    tokens = build(texts, seed=0, size=28).processor.tokenizer
    marks = [f"<|{name}|>" for name in ("vision_start", "vision_end", "image_pad", "video_pad")]
    tokens.add_special_tokens({"additional_special_tokens": marks})
    start, end, image, video = tokens.convert_tokens_to_ids(marks)
    ends = {"eos_token_id": tokens.eos_token_id, "pad_token_id": tokens.pad_token_id}
    config = Qwen2_5_VLConfig(
        text_config={
            "vocab_size": len(tokens), "hidden_size": 128, "intermediate_size": 256,
            "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
            "max_position_embeddings": 2048, "bos_token_id": None, **ends,
            "rope_scaling": {"type": "mrope", "mrope_section": [4, 6, 6]},
        },
        vision_config={
            "depth": 2, "hidden_size": 128, "intermediate_size": 256, "num_heads": 4,
            "out_hidden_size": 128, "fullatt_block_indexes": [1], "window_size": 56,
        },
        image_token_id=image, video_token_id=video,
        vision_start_token_id=start, vision_end_token_id=end,
    )  # fmt: skip
    model = Qwen2_5_VLForConditionalGeneration(config)
    model.generation_config.update(**ends)
    model.save_pretrained(folder)
    Qwen2_5_VLProcessor(
        image_processor=Qwen2VLImageProcessorPil(min_pixels=56 * 56, max_pixels=112 * 112),
        tokenizer=tokens,
        video_processor=Qwen2VLVideoProcessor(),
        chat_template=CHAT_TEMPLATE.replace(IMAGE, "".join((marks[0], marks[2], marks[1]))),
    ).save_pretrained(folder)


if __name__ == "__main__":
    tiny_qwen(Path(sys.argv[1]), sys.argv[2:])
