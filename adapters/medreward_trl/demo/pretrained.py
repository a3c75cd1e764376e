"""A pretrained vision-language model of 139 M parameters without any hub.

SmolLM2-135M-Instruct reads what EfficientNet-Lite0 sees, through a projector that is new and has
to be trained: transformers' LlavaForConditionalGeneration, which TRL and peft take as it is.
"""

from __future__ import annotations

import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    CLIPImageProcessorPil,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
)

from medreward import ConfigError
from medreward_trl.demo.efficientnet import read_tower
from medreward_trl.demo.model import IMAGE, PAD, Tiny
from medreward_trl.demo.weights import INSTALL, LANGUAGE, VISION, find_weights

SIZE = 224  # pixels a side
GRID = 3  # tokens a side
TURN_END = "<|im_end|>"
# The picture stands after the text, so that prompts of one task begin with the same tokens.
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' }}"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] if part['type'] == 'text' %}{{ part['text'] | trim }}"
    "{% endfor %}"
    "{% for part in message['content'] if part['type'] == 'image' %}{{ '\n<image>' }}{% endfor %}"
    "{% endif %}{{ '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
# What EfficientNet-Lite was trained with: (x - 127) / 128 of pixels from 0 to 255.
_MEAN, _DEVIATION = 127 / 255, 128 / 255
_BICUBIC = 3


def build_smollm2(*, seed: int = 0) -> Tiny:
    """Return the model, whose projector is drawn by `seed`, and its processor.

    Raises:
        ConfigError: if weights, or the package that reads them, are not there.
    """
    language, vision = find_weights(LANGUAGE), find_weights(VISION)
    torch.manual_seed(seed)
    where = {"pretrained_model_name_or_path": str(language.parent), "gguf_file": language.name}
    try:
        tokenizer = AutoTokenizer.from_pretrained(**where, padding_side="left")
        text = AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32)
    except ImportError as error:
        raise ConfigError(
            f"model smollm2: the package gguf is not here, which reads {language.name}: {INSTALL}"
        ) from error
    # The file names the token that begins a turn as the one that ends a text.
    tokenizer.eos_token = TURN_END
    tokenizer.add_special_tokens({"pad_token": PAD, "additional_special_tokens": [IMAGE]})
    _extend(text, len(tokenizer))
    text.config.pad_token_id = tokenizer.pad_token_id
    tower = read_tower(vision, grid=GRID, size=SIZE)
    config = LlavaConfig(
        vision_config=tower.config,
        text_config=text.config,
        image_token_index=tokenizer.convert_tokens_to_ids(IMAGE),
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
        image_seq_length=GRID**2,
        tie_word_embeddings=True,
    )
    model = LlavaForConditionalGeneration(config)
    model.model.language_model.load_state_dict(text.model.state_dict(), strict=True)
    model.model.vision_tower.load_state_dict(tower.state_dict(), strict=True)
    model.tie_weights()
    model.generation_config.bos_token_id = None
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    return Tiny(model.eval(), _processor(tokenizer))


@torch.no_grad()  # type: ignore[untyped-decorator]
def _extend(text: AutoModelForCausalLM, count: int) -> None:
    """Give new tokens the mean embedding, before the configuration of the whole is made."""
    known = text.get_input_embeddings().weight.shape[0]
    text.resize_token_embeddings(count, mean_resizing=False)
    rows = text.get_input_embeddings().weight
    rows[known:] = rows[:known].mean(0)


def _processor(tokenizer: AutoTokenizer) -> LlavaProcessor:
    images = CLIPImageProcessorPil(
        do_resize=True,
        size={"height": SIZE, "width": SIZE},
        resample=_BICUBIC,
        do_center_crop=False,
        crop_size={"height": SIZE, "width": SIZE},
        image_mean=[_MEAN] * 3,
        image_std=[_DEVIATION] * 3,
        do_convert_rgb=True,
    )
    return LlavaProcessor(
        image_processor=images,
        tokenizer=tokenizer,
        patch_size=SIZE // GRID,
        vision_feature_select_strategy="full",
        num_additional_image_tokens=0,
        image_token=IMAGE,
        chat_template=CHAT_TEMPLATE,
    )
