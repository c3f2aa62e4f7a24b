"""What the GPU kernels look like as machine code, for machines without a GPU: compiled, disassembled, read.

    python -m benchmarks.gpu_code            all kernels for sm_80 and sm_90; exit code 1 where a target is missed
    python -m benchmarks.gpu_code sm_90 to_  one architecture, kernels whose names begin so

Needs numba-cuda-mlir[cu13] or numba-cuda[cu13] (with NumPy below 2.5), and nvidia-cuda-nvdisasm. Targets: no local
memory, registers within budget, and multiply-adds as 0.7 of the instructions in the inner loop of every tile of 4 × 4.
"""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fastgd.kernels.cuda import products

from .tool import ToolError, guarded

ARCHITECTURES = {"sm_80": (8, 0), "sm_90": (9, 0)}
REGISTERS = 65536  # of a multiprocessor
SHARE = 0.7  # of multiply-adds in the inner loop of a tile
T = 32
FLOAT32 = np.dtype(np.float32)  # as dynamic shared memory takes it in the simulator as well


class Kernel(NamedTuple):
    """A kernel as plain Python, the types of its arguments, and what is expected of its code.

    `threads` of a block and `blocks` of a multiprocessor give the registers that a thread may have; `tiles` is how many
    loops of tiles there are in it, `shared` the bytes of dynamic shared memory at a launch.
    """

    name: str
    function: Callable[..., None]
    arguments: tuple[Any, ...]
    threads: int
    blocks: int
    tiles: int
    shared: int


class Code(NamedTuple):
    """What there is to know of a kernel's machine code: bytes, counts, and each inner loop's multiply-adds and size."""

    registers: int
    local: int
    shared: int
    instructions: int
    loops: list[tuple[int, int]]


def kernels_to_compile(cuda: Any, types: Any) -> list[Kernel]:
    """All of them: the products of 4-64-64-1 for T rows."""
    return [
        kernel
        for threads in (128, 256)
        for inputs, outputs in ((4, 64), (64, 64), (64, 1))
        for kernel in product_kernels(cuda, types, threads, inputs, outputs)
    ]


def product_kernels(cuda: Any, types: Any, threads: int, inputs: int, outputs: int) -> list[Kernel]:
    """Each product of one layer, between a copy into shared memory and a copy back."""
    pitch = {width: width + 4 if width % 32 == 0 else -(-width // 4) * 4 for width in (inputs, outputs)}
    x, z = 0, T * pitch[inputs]
    w = z + T * pitch[outputs]
    b = w + inputs * pitch[outputs]
    size = b + pitch[outputs]
    shapes = products.Shapes(T, threads, inputs, outputs, pitch[inputs], pitch[outputs], pitch[outputs])
    phases = {
        "forward": products.forward(shapes, x, w, b, z),
        "to_inputs": products.to_inputs(shapes, z, w, x),
        "to_weights": products.to_weights(shapes, x, z, w, b),
    }
    tiles = int(inputs == outputs == 64)
    return [
        Kernel(
            f"{name} {inputs}-{outputs}, {threads} threads",
            in_shared_memory(cuda, phase, size, threads, name == "to_weights"),
            (types.float32[::1], types.boolean),
            threads, 1024 // threads, tiles, 4 * size,
        )
        for name, phase in phases.items()
    ]  # fmt: skip


def in_shared_memory(cuda: Any, plain: Callable[..., None], size: int, threads: int, goes_on: bool) -> Callable:
    """A kernel that runs a phase on a buffer in shared memory; its `fresh` is for phases that can go on from before."""
    phase, mask = cuda.jit(device=True)(plain), threads - 1

    def run(tid, shared, fresh):
        phase(tid, shared, shared, shared)

    def run_or_go_on(tid, shared, fresh):
        phase(tid, shared, shared, shared, fresh)

    whole = cuda.jit(device=True)(run_or_go_on if goes_on else run)

    def kernel(numbers, fresh):
        shared = cuda.shared.array(0, FLOAT32)
        tid = cuda.threadIdx.x & mask
        i = tid
        while i < size:
            shared[i] = numbers[i]
            i += threads
        cuda.syncthreads()
        whole(tid, shared, fresh)
        cuda.syncthreads()
        i = tid
        while i < size:
            numbers[i] = shared[i]
            i += threads

    return kernel


def compiler(capability: tuple[int, int]) -> tuple[str, Any, Any, Callable[[Kernel], bytes]]:
    """The package's name, its `cuda` and its types, and what makes machine code of a kernel.

    Both packages ask the device for its compute capability as soon as a kernel calls a function, so they get an answer
    from here.
    """
    if importlib.util.find_spec("numba_cuda_mlir"):
        from numba_cuda_mlir import compiler, cuda, tools, types

        tools._cached_cc = capability
        return (
            "numba-cuda-mlir",
            cuda,
            types,
            lambda kernel: bytes(compiler.compile_cubin(kernel.function, types.void(*kernel.arguments))),
        )
    if importlib.util.find_spec("numba_cuda"):
        from numba import cuda, types
        from numba.cuda import codegen, dispatcher

        class Device:
            compute_capability = capability

        def compiled(kernel: Kernel) -> bytes:
            program = cuda.jit(kernel.function)
            program.compile(kernel.arguments)
            (overload,) = program.overloads.values()
            return bytes(overload._codelibrary.get_cubin(capability).code)

        dispatcher.get_current_device = lambda: Device
        dispatcher._Kernel.bind = lambda self: None  # which loads it into the device
        codegen.CUDACodeLibrary._ensure_cc = lambda self, cc: cc or capability
        return "numba-cuda", cuda, types, compiled
    raise ToolError("There is no compiler for GPUs here: pip install 'numba-cuda-mlir[cu13]' nvidia-cuda-nvdisasm.")


def disassembled(program: bytes) -> str:
    """A kernel's machine code as text."""
    found = [path for place in sys.path for path in Path(place or ".").glob("nvidia/cu*/bin/nvdisasm")]
    if not found:
        raise ToolError("There is no disassembler here: pip install nvidia-cuda-nvdisasm.")
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(program)
        file.flush()
        return subprocess.run([found[0], file.name], check=True, capture_output=True, text=True).stdout


def read(text: str) -> Code:
    """What disassembled code says of one kernel; an inner loop is one that no other loop is within."""
    instructions: list[str] = []
    labels: dict[str, int] = {}
    for line in text.splitlines():
        if label := re.match(r"(\.L_x_\w+):", line):
            labels[label[1]] = len(instructions)
        elif instruction := re.match(r"\s+/\*[0-9a-f]+\*/\s+([^.\s].*?)\s*;", line):
            instructions.append(instruction[1])
    jumps = [(re.search(r"\bBRA\b.*`\((\.L_x_\w+)\)", each), i) for i, each in enumerate(instructions)]
    loops = [(labels[jump[1]], i) for jump, i in jumps if jump and labels.get(jump[1], i) < i]
    inner = [(a, b) for a, b in loops if not any(a <= c and d <= b and (a, b) != (c, d) for c, d in loops)]
    shared = re.search(r"^\.nv\.shared\.\S+:\n\s*\.zero\s+(\d+)", text, re.MULTILINE)
    return Code(
        registers=attribute(text, "REGCOUNT"),
        local=attribute(text, "FRAME_SIZE"),
        shared=int(shared[1]) if shared else 0,
        instructions=len(instructions),
        loops=[(sum(map(multiplies_and_adds, instructions[a : b + 1])), b + 1 - a) for a, b in inner],
    )


def attribute(text: str, name: str) -> int:
    """The largest number of this name that the code carries, for a kernel or for a function that it calls."""
    found = re.findall(rf"EIATTR_{name}\b(?:.*\n)*?.*\.word\s+index@.*\n.*\.word\s+(0x[0-9a-f]+)", text)
    if not found:
        raise ToolError(f"The machine code does not say its {name}.")
    return max(int(number, 16) for number in found)


def multiplies_and_adds(instruction: str) -> bool:
    """Whether it is a multiply-add of floating-point numbers."""
    return re.search(r"\b[FD]FMA\b", instruction) is not None


def missed(kernel: Kernel, code: Code) -> list[str]:
    """The targets that a kernel's code misses, in words."""
    budget = REGISTERS // (kernel.threads * kernel.blocks)
    tiles = sorted(code.loops, reverse=True)[: kernel.tiles]
    failures = []
    if code.local:
        failures.append(f"{code.local} bytes of local memory")
    if code.registers > budget:
        failures.append(f"more than {budget} registers")
    if len(tiles) < kernel.tiles or any(count < SHARE * size for count, size in tiles):
        failures.append(f"a share below {SHARE}")
    return failures


def row(kernel: Kernel, code: Code) -> str:
    """A line of the table."""
    shares = [f"{count} of {size}, {count / size:.2f}" for count, size in sorted(code.loops, reverse=True)]
    return (
        f"| {kernel.name} | {code.registers} | {code.local} | {code.shared + kernel.shared:,} | "
        f"{'; '.join(shares[: kernel.tiles]) or '–'} | {code.instructions:,} |"
    )


def report(architecture: str, prefix: str = "") -> int:
    """Print the table of one architecture; 1 where a target is missed."""
    package, cuda, types, compiled = compiler(ARCHITECTURES[architecture])
    print(
        f"\n{package}, {architecture}:\n\n| kernel | registers | local, bytes | shared, bytes | FFMA | instructions |"
    )
    print("| --- | ---: | ---: | ---: | --- | ---: |")
    failures = []
    for kernel in kernels_to_compile(cuda, types):
        if kernel.name.startswith(prefix):
            code = read(disassembled(compiled(kernel)))
            print(row(kernel, code), flush=True)
            failures += [f"{kernel.name}: {failure}" for failure in missed(kernel, code)]
    print("".join(f"\nMissed: {failure}." for failure in failures) or "\nAll targets are met.")
    return int(bool(failures))


def main(arguments: list[str]) -> int:
    """Every architecture in a process of its own, because a compiled function stays what it is for one."""
    if arguments:
        if arguments[0] not in ARCHITECTURES:
            raise ToolError(f"The first argument is an architecture, not {arguments[0]!r}: {', '.join(ARCHITECTURES)}.")
        return report(*arguments[:2])
    command = [sys.executable, "-m", "benchmarks.gpu_code"]
    return max(subprocess.run([*command, name]).returncode for name in ARCHITECTURES)


if __name__ == "__main__":
    sys.exit(guarded("gpu_code", lambda: main(sys.argv[1:])))
