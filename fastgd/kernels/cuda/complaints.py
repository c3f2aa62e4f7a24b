"""What the CUDA driver and its linker complain of, and what there is to do about it.

Packages pass on either a name (CUDA_ERROR_OUT_OF_MEMORY) or the driver's own words for it (out of memory).
"""

from __future__ import annotations

import re

from ...errors import pip_install

TOO_NEW = (
    "The GPU's driver does not take what the CUDA toolkit makes ({}): update the driver, or install an older toolkit, "
    f"such as by {pip_install('numba-cuda-mlir[cu12]')} where the driver is older than 580."
)
LOST = "The GPU has stopped with an error ({}), and this process can use it no more: restart the process."
# Patterns, and what is to be said; {} stands for what was found of the complaint.
COMPLAINTS = {
    "OUT_OF_MEMORY|out of memory": (
        "The GPU's memory is full ({}): train fewer rows or networks at once, or end other programs there."
    ),
    "CUDA driver library cannot be found": (
        "There is no NVIDIA driver here ({}): install one, or use device='cpu'."
    ),
    "STUB_LIBRARY|CUDA driver is a stub library": (
        "There is no NVIDIA driver here, but a stub of one ({}): install the driver, or use device='cpu'."
    ),
    "NO_DEVICE|no CUDA-capable device is detected": (
        "There is an NVIDIA driver, but no GPU that it may use ({}): look at `nvidia-smi` and at CUDA_VISIBLE_DEVICES, "
        "or use device='cpu'."
    ),
    "CUDA is disabled": "CUDA is switched off ({}): unset NUMBA_DISABLE_CUDA, or use device='cpu'.",
    "SYSTEM_DRIVER_MISMATCH|unsupported display driver / cuda driver combination": (
        "Parts of two versions of the NVIDIA driver are loaded ({}): restart the machine."
    ),
    "DEVICE_UNAVAILABLE|is/are busy or unavailable": (
        "The GPU is taken by another process ({}): wait for its end, or choose another GPU by CUDA_VISIBLE_DEVICES."
    ),
    "NOT_INITIALIZED|CUDA initialized before forking": (
        "This process was forked after the first use of the GPU ({}), which CUDA does not allow: start workers by "
        "spawn, not by fork."
    ),
    "UNSUPPORTED_PTX_VERSION|compiled with an unsupported toolchain": TOO_NEW,
    "INVALID_PTX|PTX JIT compilation failed": TOO_NEW,
    "NO_BINARY_FOR_GPU|no kernel image is available": TOO_NEW,
    "LinkerError|nvJitLinkError": TOO_NEW,
    "LAUNCH_OUT_OF_RESOURCES|too many resources requested for launch|exceeds the device maximum opt-in shared memory": (
        "A kernel needs more registers or shared memory than the GPU has for a block ({}): use device='cpu', or a "
        "smaller network."
    ),
    "ILLEGAL_ADDRESS|an illegal memory access": LOST,
    "MISALIGNED_ADDRESS|misaligned address": LOST,
    "ILLEGAL_INSTRUCTION|an illegal instruction": LOST,
    "INVALID_ADDRESS_SPACE|INVALID_PC|HARDWARE_STACK_ERROR|hardware stack error": LOST,
    "ECC_UNCORRECTABLE|uncorrectable ECC error": LOST,
    "LAUNCH_TIMEOUT|the launch timed out": LOST,
    "LAUNCH_FAILED|unspecified launch failure": LOST,
    "CONTEXT_IS_DESTROYED|context is destroyed": LOST,
}  # fmt: skip


def what_to_do(message: str) -> str | None:
    """A sentence for a message of the driver or the linker; None for what is no matter of theirs."""
    for pattern, sentence in COMPLAINTS.items():
        if found := re.search(rf"(?:CUDA_ERROR_)?(?:{pattern})", message):
            return sentence.format(found[0])
    if found := re.search(r"CUDA_ERROR_\w+|Failed to [\w ]*(?:CUDA|[Kk]ernel|shared memory)[^:]*: .+", message):
        return f"The GPU's driver reports {found[0]}: look at `nvidia-smi`, restart the process, or use device='cpu'."
    return None
