"""EfficientNet-Lite0 as a vision tower of transformers: a grid of tokens of a picture.

The architecture is that of Tan & Le (ICML 2019) in the Lite0 form of TensorFlow's model garden: no
squeeze-and-excitation, ReLU6, and a stem and a head that are not scaled.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from transformers import AutoConfig, AutoModel, PreTrainedConfig, PreTrainedModel
from transformers import initialization as init
from transformers.modeling_outputs import BaseModelOutput

FEATURES = 1280
_STEM = 32
# Repeats, kernel, stride of the first, expansion, channels of each stage.
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
# The names in the published file -> ours.
_OUTER = {
    "_conv_stem": "stem.conv",
    "_bn0": "stem.norm",
    "_conv_head": "head.conv",
    "_bn1": "head.norm",
}
_INNER = {
    "_expand_conv": "expand.conv",
    "_bn0": "expand.norm",
    "_depthwise_conv": "depthwise.conv",
    "_bn1": "depthwise.norm",
    "_project_conv": "project.conv",
    "_bn2": "project.norm",
}


class EfficientNetTowerConfig(PreTrainedConfig):  # type: ignore[misc]
    """The tower's configuration: pixels a side, tokens a side, numbers a token."""

    model_type = "medreward_efficientnet_lite0"
    base_config_key = "vision_config"
    image_size: int = 224
    grid: int = 3
    hidden_size: int = FEATURES


class _ConvNorm(nn.Module):  # type: ignore[misc]
    """A convolution padded as TensorFlow pads (SAME), batch normalisation and, if asked, ReLU6."""

    def __init__(
        self, channels: tuple[int, int], kernel: int, stride: int, groups: int, clipped: bool
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(*channels, kernel, stride, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(channels[1], eps=1e-3)
        self.kernel, self.stride, self.clipped = kernel, stride, clipped

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        height, width = (self._missing(side) for side in x.shape[-2:])
        x = functional.pad(x, (width // 2, width - width // 2, height // 2, height - height // 2))
        x = self.norm(self.conv(x))
        return functional.relu6(x) if self.clipped else x

    def _missing(self, side: int) -> int:
        """Return how many pixels a side lacks for ceil(side / stride) places of the kernel."""
        return max((math.ceil(side / self.stride) - 1) * self.stride + self.kernel - side, 0)


class _Block(nn.Module):  # type: ignore[misc]
    """An inverted residual block: expand, filter each channel, project; added where shapes fit."""

    def __init__(self, given: int, made: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = given * expansion
        self.expand = _ConvNorm((given, inner), 1, 1, 1, True) if expansion > 1 else nn.Identity()
        self.depthwise = _ConvNorm((inner, inner), kernel, stride, inner, True)
        self.project = _ConvNorm((inner, made), 1, 1, 1, False)
        self.adds = stride == 1 and given == made

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.project(self.depthwise(self.expand(x)))
        return x + y if self.adds else y


class EfficientNetTower(PreTrainedModel):  # type: ignore[misc]
    """Pictures -> (pictures, grid * grid, 1280) features, centred and scaled by two buffers.

    Batch statistics are frozen: the tower stays in evaluation, also while the rest trains.
    """

    config_class = EfficientNetTowerConfig
    base_model_prefix = "tower"
    main_input_name = "pixel_values"
    input_modalities = ("image",)
    _no_split_modules = ["_Block"]  # noqa: RUF012 - transformers wants a list

    def __init__(self, config: EfficientNetTowerConfig) -> None:
        super().__init__(config)
        self.stem = _ConvNorm((3, _STEM), 3, 2, 1, True)
        blocks, given = [], _STEM
        for repeats, kernel, stride, expansion, made in _STAGES:
            for i in range(repeats):
                blocks.append(_Block(given, made, kernel, 1 if i else stride, expansion))
                given = made
        self.blocks = nn.Sequential(*blocks)
        self.head = _ConvNorm((given, FEATURES), 1, 1, 1, True)
        self.register_buffer("centre", torch.zeros(FEATURES))
        self.register_buffer("scale", torch.ones(FEATURES))
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        # transformers' own functions leave what was loaded alone; those of torch do not, and a
        # model that is read again would lose its batch statistics.
        if isinstance(module, nn.Conv2d):
            init.kaiming_normal_(module.weight)
        elif isinstance(module, nn.BatchNorm2d):
            for ones in (module.weight, module.running_var):
                init.ones_(ones)
            for zeros in (module.bias, module.running_mean, module.num_batches_tracked):
                init.zeros_(zeros)
        elif isinstance(module, EfficientNetTower):
            init.zeros_(module.centre)
            init.ones_(module.scale)

    def train(self, mode: bool = True) -> EfficientNetTower:
        """Stay in evaluation."""
        del mode
        super().train(False)
        return self

    def features(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """Return the features of each place of the grid as they are."""
        x = self.head(self.blocks(self.stem(pixel_values.to(self.stem.conv.weight.dtype))))
        x = functional.adaptive_avg_pool2d(x, self.config.grid)
        return x.flatten(2).transpose(1, 2)

    def forward(self, pixel_values: torch.Tensor, **_: Any) -> BaseModelOutput:
        """Return the features, centred and scaled."""
        x = (self.features(pixel_values) - self.centre) / self.scale
        return BaseModelOutput(last_hidden_state=x, hidden_states=(x,))

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def standardise(self, features: torch.Tensor) -> None:
        """Set the two buffers so that such features have mean 0 and deviation 1."""
        flat = features.reshape(-1, FEATURES)
        self.centre.copy_(flat.mean(0))
        self.scale.copy_(flat.std(0).clamp(min=1e-3))


def read_tower(path: Path, *, grid: int, size: int) -> EfficientNetTower:
    """Return the tower with the weights of a published file, which has to fit name by name."""
    tower = EfficientNetTower(EfficientNetTowerConfig(grid=grid, image_size=size))
    published = torch.load(path, map_location="cpu", weights_only=True)
    ours = {
        _our_name(name): value for name, value in published.items() if not name.startswith("_fc")
    }
    tower.load_state_dict({**ours, "centre": tower.centre, "scale": tower.scale}, strict=True)
    tower.eval()
    return tower


def _our_name(name: str) -> str:
    first, *rest = name.split(".")
    if first == "_blocks":
        number, layer, *rest = rest
        return ".".join(["blocks", number, _INNER[layer], *rest])
    return ".".join([_OUTER[first], *rest])


AutoConfig.register(EfficientNetTowerConfig.model_type, EfficientNetTowerConfig)
AutoModel.register(EfficientNetTowerConfig, EfficientNetTower)
