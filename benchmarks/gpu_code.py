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

from fastgd.kernels.cuda import kernels, layout, packing
from fastgd.kernels.cuda.tile import Plan
from fastgd.kernels.records import LossRecord, Net, Rule, State
from fastgd.network.network import Network
from fastgd.training.optimizers import DEFAULT_OPTIMIZER

from .tool import ToolError, guarded

ARCHITECTURES = {"sm_80": (8, 0), "sm_90": (9, 0)}
REGISTERS = 65536  # of a multiprocessor
SHARE = 0.7  # of multiply-adds in the inner loop of a tile
T, THREADS, BLOCKS = 32, 128, 3  # of the example; the blocks of a multiprocessor
PRODUCTS = 3  # of 64 × 64 in a step


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


def kernels_to_compile(types: Any) -> list[Kernel]:
    """What trains, measures and predicts with 4-64-64-1 and the default optimizer, in tiles of T rows."""
    net, loss, rule, average = of_example()
    step = layout.step_of(net, rule, has_average=True)
    held = packing.held_of(step, average)
    shape = layout.shape_of(net, loss)
    parameters = layout.parameters_of(shape)
    tile = layout.tile_of(shape, T)
    plan = Plan(shape, parameters, tile, layout.scales_of(shape), THREADS, tile.size)
    shared = 4 * (tile.size + parameters.size)
    room = kernels.Room(True, True, shared)

    def array(real: Any, n: int) -> Any:
        return types.Array(real, n, "C")

    real, wide, whole = types.float32, types.float64, types.int64
    of_a_network = (array(real, 2), array(real, 2), array(wide, 2), array(whole, 2), array(whole, 2))
    table = (array(real, 2), array(real, 2), array(real, 1))
    training = (array(real, 3), array(real, 2), *of_a_network, array(wide, 2), *table, array(wide, 2))
    summing = (
        array(real, 3), *of_a_network, *table, array(real, 2), array(wide, 2), whole, whole, whole, wide,
    )  # fmt: skip
    updating = (
        array(real, 3), array(real, 2), array(wide, 2), array(real, 2), array(wide, 2), array(wide, 1), array(wide, 2),
        whole, wide, whole, whole,
    )  # fmt: skip
    forward = (array(real, 3), *of_a_network, array(real, 2), array(whole, 1), array(real, 2))
    made: list[tuple[str, Any, tuple[Any, ...], int, int]] = [
        ("train many steps", kernels.training_kernel(plan, step, held, room), training, PRODUCTS, shared),
        ("sum shards, backward", kernels.summing_kernel(plan, room, backward=True), summing, PRODUCTS, shared),
        ("sum shards", kernels.summing_kernel(plan, room, backward=False), summing, 1, shared),
        ("add shards", kernels.updating_kernel(plan, step, held, adds=True, moves=False), updating, 0, 0),
        ("measure the norm", kernels.norm_kernel(plan), (array(real, 2), array(wide, 2), array(wide, 1)), 0, 0),
        ("move parameters", kernels.updating_kernel(plan, step, held, adds=False, moves=True), updating, 0, 0),
        ("predict", kernels.forward_kernel(plan, room, shows=False), forward, 1, shared),
    ]
    return [
        Kernel(name, made_kernel.py_func, arguments, THREADS, BLOCKS, tiles, n_bytes)
        for name, made_kernel, arguments, tiles, n_bytes in made
    ]


def of_example() -> tuple[Net, LossRecord, Rule, State]:
    """The network, its loss, and what the default optimizer is and remembers."""
    network = Network.from_names([4, 64, 64, 1])
    net = network.new_net("auto", np.dtype(np.float32), 0)
    return (
        net, network.loss.record(net.target_std), DEFAULT_OPTIMIZER.rule(), DEFAULT_OPTIMIZER.new_state(net.parameters)
    )  # fmt: skip


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
    package, _, types, compiled = compiler(ARCHITECTURES[architecture])
    print(
        f"\n{package}, {architecture}:\n\n| kernel | registers | local, bytes | shared, bytes | FFMA | instructions |"
    )
    print("| --- | ---: | ---: | ---: | --- | ---: |")
    failures = []
    for kernel in kernels_to_compile(types):
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
