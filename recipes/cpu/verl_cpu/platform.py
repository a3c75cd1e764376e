"""The CPU as a verl platform. `VERL_PLATFORM=cpu` selects it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import psutil
import torch
from verl.plugin.platform.platform_base import PlatformBase
from verl.plugin.platform.platform_manager import PlatformRegistry


class _Device(ModuleType):
    """`torch.cpu` with the names that verl expects of every device module."""

    def __getattr__(self, name: str) -> Any:
        return getattr(torch.cpu, name)

    def empty_cache(self) -> None:
        """Do nothing: there is no device cache."""

    def get_device_name(self, device: Any = None) -> str:
        """Return a name that is in none of verl's tables of device speeds."""
        return "cpu"

    def _resident(self, device: Any = None) -> int:
        return int(psutil.Process().memory_info().rss)

    memory_allocated = max_memory_allocated = _resident
    memory_reserved = max_memory_reserved = _resident

    def mem_get_info(self, device: Any = None) -> tuple[int, int]:
        """Return the free and the total bytes of main memory."""
        memory = psutil.virtual_memory()
        return int(memory.available), int(memory.total)

    def reset_peak_memory_stats(self, device: Any = None) -> None:
        """Do nothing: the operating system keeps the peak."""


_DEVICE = _Device("verl_cpu.device")


@PlatformRegistry.register(platform="cpu")
class PlatformCPU(PlatformBase):  # type: ignore[misc]
    """One process, one CPU device. Ray counts workers by pretended GPUs (``num_gpus``)."""

    device_name = "cpu"
    vendor_name = "cpu"
    device_module = _DEVICE

    def is_available(self) -> bool:
        """Return True."""
        return True

    def current_device(self) -> Any:
        """Return the device itself: verl hands it to ``Tensor.to``, where 0 would be a GPU."""
        return torch.device("cpu")

    def device_count(self) -> int:
        """Return 1."""
        return 1

    def set_device(self, device_index: int) -> None:
        """Do nothing."""

    def synchronize(self, device_index: int | None = None) -> None:
        """Do nothing: CPU work is done when the call returns."""

    def manual_seed(self, seed: int) -> None:
        """Seed torch."""
        torch.manual_seed(seed)

    manual_seed_all = manual_seed

    def set_allocator_settings(self, settings: str) -> None:
        """Do nothing."""

    def empty_cache(self) -> None:
        """Do nothing."""

    def get_device_capability(self, device_index: int = 0) -> tuple[None, None]:
        """Return nothing, as verl does without a GPU."""
        return None, None

    def communication_backend_name(self) -> str:
        """Return gloo, once there is a process group.

        verl asks for the name to write ``cpu:gloo,cpu:gloo``, which torch refuses, and to make a
        group unless there is one.
        """
        if "MASTER_ADDR" in os.environ and not torch.distributed.is_initialized():
            torch.distributed.init_process_group("gloo")
        return "gloo"

    def visible_devices_envvar(self) -> str:
        """Return the variable that Ray sets for a pretended GPU."""
        return "CUDA_VISIBLE_DEVICES"

    @contextmanager
    def nvtx_range(self, msg: str) -> Iterator[None]:
        """Do nothing around the block."""
        yield

    def profiler_start(self) -> None:
        """Do nothing."""

    def profiler_stop(self) -> None:
        """Do nothing."""

    def ray_resource_name(self) -> str:
        """Return the resource by which Ray counts workers."""
        return "GPU"

    def ray_noset_envvars(self) -> list[str]:
        """Return none."""
        return []

    def is_ipc_supported(self) -> bool:
        """Return False: weights go through Ray's object store."""
        return False

    def cudart(self) -> None:
        """Return nothing."""
