"""Where a model computes: the CPU, an NVIDIA or AMD GPU ("cuda"), or Apple's GPU ("mps")."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import torch

from seglib.errors import SeglibError, unknown_name

# Instructions with which a processor multiplies bfloat16 faster than float32.
BF16_FEATURES = {"avx512_bf16", "amx_bf16"}


def find_device(wanted: str | torch.device) -> torch.device:
    """The device of that name; "auto" is a GPU if there is one, else the CPU.

    Under torchrun each process gets the GPU of its own number.

    Raises:
        SeglibError: an unknown name, or a device that this machine does not have.
    """
    name = str(wanted)
    available = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if name == "auto":
        name = next(kind for kind in ("cuda", "mps", "cpu") if available[kind])
    kind, _, index = name.partition(":")
    if kind not in available or (index and not index.isdigit()):
        raise unknown_name("device", name, ["auto", *available])
    if not available[kind]:
        raise SeglibError(
            f"device {name!r} was requested, but PyTorch {torch.__version__} finds none here: "
            "choose auto or cpu, or install its driver and a build of PyTorch for it"
        )
    if kind != "cuda":
        return torch.device(kind)
    return _gpu(int(index or os.environ.get("LOCAL_RANK", "0")))


def _gpu(index: int) -> torch.device:
    count = torch.cuda.device_count()
    if index >= count:
        raise SeglibError(
            f"there is no GPU number {index} among the {count} of this machine: "
            "start at most one process per GPU"
        )
    return torch.device("cuda", index)


def autocast(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """The context of a forward pass: autocast to bfloat16 for "bf16", otherwise no change."""
    if precision != "bf16":
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


def has_fast_bf16(device: torch.device) -> bool:
    """Whether the device supports bfloat16 natively instead of emulating it slowly.

    A CPU supports it if it has AVX-512 BF16 or AMX; if that cannot be determined, it does not.
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and not BF16_FEATURES.isdisjoint(cpu_features())


def cpu_features() -> set[str]:
    """The instruction sets of the processor by name, as PyTorch or Linux lists them."""
    if hasattr(torch.cpu, "get_capabilities"):  # PyTorch 2.12 and newer
        return {name for name, present in torch.cpu.get_capabilities().items() if present is True}
    listing = Path("/proc/cpuinfo")
    return set(listing.read_text().split()) if listing.is_file() else set()
