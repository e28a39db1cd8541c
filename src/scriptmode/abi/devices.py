"""Devices as 16 bits: ``c10::DeviceType`` in the low byte, index (0xff: none) in the high one."""

from __future__ import annotations

import torch

DEVICE_NAMES = (
    "cpu", "cuda", "mkldnn", "opengl", "opencl", "ideep", "hip", "fpga", "maia", "xla", "vulkan",
    "metal", "xpu", "mps", "meta", "hpu", "ve", "lazy", "ipu", "mtia", "privateuseone",
)  # fmt: skip
NO_INDEX = 0xFF


def device_code(device: torch.device) -> int:
    """The 16 bits of a device."""
    index = NO_INDEX if device.index is None else device.index
    # a renamed private backend goes by its new name
    kind = device.type if device.type in DEVICE_NAMES else "privateuseone"
    return DEVICE_NAMES.index(kind) | index << 8


def device_of(code: int) -> torch.device:
    """The device with these bits, given signed or unsigned."""
    name, index = DEVICE_NAMES[code & 0xFF], code >> 8 & 0xFF
    return torch.device(name) if index == NO_INDEX else torch.device(name, index)
