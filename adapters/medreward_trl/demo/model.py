"""A tiny vision-language model of the LLaVA type, built from its configuration.

It has the parts of a real one (CLIP vision tower, projector, Llama, chat template, processor) and
trains from scratch in seconds. Its tokens are words: what the texts of a task need and no more.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers
from transformers import (
    AutoModelForImageTextToText,
    AutoProcessor,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)

try:
    from transformers import CLIPImageProcessorPil
except ImportError:  # before transformers 5 the plain one needs no torchvision
    from transformers import CLIPImageProcessor as CLIPImageProcessorPil

IMAGE, PAD, END, UNKNOWN = "<image>", "<pad>", "<end>", "<unknown>"
USER, ASSISTANT = "<user>", "<assistant>"
# Words like any other for the tokenizer: decoding without special tokens keeps them.
TAGS = ("<think>", "</think>", "<answer>", "</answer>")
_PIECE = r"</?\w+>|\w+|[^\w\s]"
PATCH = 14
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<user> ' if message['role'] == 'user' else '<assistant> ' }}"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}"
    "{{ '<image> ' if part['type'] == 'image' else part['text'] }}"
    "{% endfor %}{% endif %}"
    "{{ ' ' if message['role'] == 'user' else ' <end>' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<assistant>' }}{% endif %}"
)


class Tiny(NamedTuple):
    """A model and its processor."""

    model: Any
    processor: Any

    def encode(self, rows: Iterable[Any], completions: Sequence[str] | None = None) -> Any:
        """Return the model inputs of rows (columns prompt and image), padded on the left.

        `completions` are appended to the prompts.
        """
        rows = list(rows)
        prompts = [
            self.processor.apply_chat_template(row["prompt"], add_generation_prompt=True)
            for row in rows
        ]
        texts = [a + b for a, b in zip(prompts, completions or [""] * len(rows), strict=True)]
        images = [row["image"].convert("RGB") for row in rows]
        return self.processor(images=images, text=texts, padding=True, return_tensors="pt")


def build(
    texts: Iterable[str], *, seed: int, size: int, mean: float = 0.3, std: float = 0.3
) -> Tiny:
    """Return an untrained model for `size`-pixel images that knows the words of `texts`.

    Pixels in [0, 1] are normalised by `mean` and `std`, which have to fit the images: a model this
    small does not learn to see through a large offset.
    """
    torch.manual_seed(seed)
    processor = _processor(texts, size, mean, std)
    tokenizer = processor.tokenizer
    text = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=512,
        attention_dropout=0.0,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    vision = CLIPVisionConfig(
        hidden_size=96,
        intermediate_size=192,
        num_hidden_layers=3,
        num_attention_heads=4,
        image_size=size,
        patch_size=PATCH,
        projection_dim=96,
        attention_dropout=0.0,
    )
    config = LlavaConfig(
        vision_config=vision,
        text_config=text,
        image_token_index=tokenizer.convert_tokens_to_ids(IMAGE),
        vision_feature_layer=-1,
        vision_feature_select_strategy="default",
        image_seq_length=(size // PATCH) ** 2,
    )
    model = LlavaForConditionalGeneration(config)
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    return Tiny(model, processor)


def save(tiny: Tiny, folder: Path) -> None:
    """Write model and processor so that `load`, or transformers' Auto classes, read them."""
    tiny.model.save_pretrained(folder)
    tiny.processor.save_pretrained(folder)


def load(folder: Path) -> Tiny:
    """Read what `save` wrote."""
    return Tiny(
        AutoModelForImageTextToText.from_pretrained(folder), AutoProcessor.from_pretrained(folder)
    )


def _processor(texts: Iterable[str], size: int, mean: float, std: float) -> LlavaProcessor:
    images = CLIPImageProcessorPil(
        do_resize=False,
        do_center_crop=False,
        size={"shortest_edge": size},
        crop_size={"height": size, "width": size},
        image_mean=[mean] * 3,
        image_std=[std] * 3,
    )
    return LlavaProcessor(
        image_processor=images,
        tokenizer=_tokenizer(texts),
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        image_token=IMAGE,
        chat_template=CHAT_TEMPLATE,
    )


def _tokenizer(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    words = sorted({word for text in texts for word in re.findall(_PIECE, text.lower())})
    special = [PAD, END, UNKNOWN, IMAGE, USER, ASSISTANT]
    vocabulary = [*special, *TAGS, *(word for word in words if word not in TAGS)]
    backend = Tokenizer(
        models.WordLevel({word: i for i, word in enumerate(vocabulary)}, unk_token=UNKNOWN)
    )
    backend.normalizer = normalizers.Lowercase()
    backend.pre_tokenizer = pre_tokenizers.Split(Regex(_PIECE), "removed", invert=True)
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token=PAD,
        eos_token=END,
        unk_token=UNKNOWN,
        additional_special_tokens=[IMAGE, USER, ASSISTANT],
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )
