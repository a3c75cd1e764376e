"""verl's data set without Qwen's image resize, for models of other families.

verl passes every image through ``qwen_vl_utils``, which resizes it to multiples of Qwen's patches
and needs torchvision. That is right for Qwen-VL and wrong for a model with an image size of its
own, such as LLaVA's. Select this one with ``data.custom_cls.path=pkg://medreward_verl.dataset`` and
``data.custom_cls.name=PlainImageDataset``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from verl.utils.dataset.rl_dataset import RLHFDataset

if TYPE_CHECKING:
    from PIL.Image import Image


class PlainImageDataset(RLHFDataset):  # type: ignore[misc]
    """verl's `RLHFDataset` that hands images to the processor as they are, as RGB."""

    @classmethod
    def _process_multi_modal_info(
        cls, messages: list[dict[str, Any]], image_patch_size: Any, config: Any
    ) -> tuple[list[Image] | None, None, None]:
        """Return the images of the messages; verl asks for videos and audio too."""
        images = [
            part["image"].convert("RGB")
            for message in messages
            if not isinstance(message["content"], str)
            for part in message["content"]
            if part["type"] == "image"
        ]
        return images or None, None, None
