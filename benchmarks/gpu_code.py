"""What the GPU kernels look like as machine code, for machines without a GPU: compiled, disassembled, read.

    python -m benchmarks.gpu_code            all kernels for sm_80 and sm_90; exit code 1 where a target is missed
    python -m benchmarks.gpu_code sm_90 sum  one architecture, kernels whose names begin so

Needs numba-cuda-mlir[cu13] or numba-cuda[cu13] (with NumPy below 2.5), and nvidia-cuda-nvdisasm. Targets: no local
memory, registers within budget, and multiply-adds as 0.7 of the instructions in the inner loop of every tile of 4 × 4.
"""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fastgd.kernels.cuda import layout, packing, shim
from fastgd.kernels.cuda.tile import Plan
from fastgd.kernels.records import LossRecord, Net, Rule, State
from fastgd.network.network import Network
from fastgd.training.optimizers import DEFAULT_OPTIMIZER

from .tool import ToolError, guarded

ARCHITECTURES = {"sm_80": (8, 0), "sm_90": (9, 0)}
REGISTERS = 65536  # of a multiprocessor
SHARE = 0.7  # of multiply-adds in the inner loop of a tile
T = 32  # rows of a tile


class Kernel(NamedTuple):
    """A kernel as plain Python, the types of its arguments, and what is expected of its code.

    `threads` of a block and `blocks` of a multiprocessor give the registers that a thread may have; `tiles` is how many
    loops of tiles there are in it, in which multiply-adds are to have a `share`; `shared` are the bytes of dynamic
    shared memory at a launch.
    """

    name: str
    function: Callable[..., None]
    arguments: tuple[Any, ...]
    threads: int
    blocks: int
    tiles: int
    shared: int
    share: float = SHARE


class Example(NamedTuple):
    """A network, and a block that trains it; `tiles`, `threads`, `blocks` and `share` as in a Kernel."""

    note: str  # after the names of its kernels
    sizes: tuple[int, ...]
    dtype: str = "float32"
    activation: str = "relu"
    dropout: float = 0.0
    loss: str = "mse"
    tiles: int = 3  # forward, to inputs and to weights of the two wide layers
    threads: int = 128
    blocks: int = 3
    has_parameters: bool = True  # whether they are in shared memory
    share: float = SHARE

    def records(self) -> tuple[Net, LossRecord, Rule, State]:
        """The network, its loss, and what the default optimizer is and remembers."""
        network = Network.from_names(self.sizes, self.activation, loss=self.loss, dropout=self.dropout)
        net = network.new_net("auto", np.dtype(self.dtype), 0)
        rule, state = DEFAULT_OPTIMIZER.rule(), DEFAULT_OPTIMIZER.new_state(net.parameters)
        return net, network.loss.record(net.target_std), rule, state


EXAMPLES = (
    Example("", (4, 64, 64, 1)),
    Example(", float64", (4, 64, 64, 1), dtype="float64", blocks=1),
    Example(", gelu and dropout", (4, 64, 64, 1), activation="gelu", dropout=0.1),
    Example(", 3 classes", (4, 64, 64, 3), loss="cross_entropy"),
    Example(
        ", 4-256-256-1", (4, 256, 256, 1), tiles=4, threads=256, blocks=1, has_parameters=False, share=0.0
    ),  # shown only
)


class Code(NamedTuple):
    """What there is to know of a kernel's machine code: bytes, counts, and each inner loop's multiply-adds and size."""

    registers: int
    local: int
    shared: int
    instructions: int
    loops: list[tuple[int, int]]


def kernels_to_compile(types: Any) -> list[Kernel]:
    """What trains, measures and predicts with the first of the examples, and what trains the others."""
    first, *others = (kernels_of(example, types) for example in EXAMPLES)
    return [*first, *(kernels[0] for kernels in others)]


def kernels_of(example: Example, types: Any) -> list[Kernel]:
    """What trains (the first), measures and predicts with a network and the default optimizer, in tiles of T rows."""
    from fastgd.kernels.cuda import kernels  # which needs a package

    net, loss, rule, average = example.records()
    step = layout.step_of(net, rule, has_average=True)
    held = packing.held_of(step, average)
    shape = layout.shape_of(net, loss)
    parameters, tile = layout.parameters_of(shape), layout.tile_of(shape, T)
    first = tile.size if example.has_parameters else 0
    plan = Plan(shape, parameters, tile, layout.scales_of(shape), example.threads, first)
    shared = net.parameters.itemsize * (tile.size + example.has_parameters * parameters.size)
    room = kernels.Room(example.has_parameters, True, shared)

    def array(real: Any, n: int) -> Any:
        return types.Array(real, n, "C")

    real, wide, whole = getattr(types, example.dtype), types.float64, types.int64
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
    tiles = example.tiles
    made: list[tuple[str, Any, tuple[Any, ...], int, int]] = [
        ("train many steps", kernels.training_kernel(plan, step, held, room), training, tiles, shared),
        ("sum shards, backward", kernels.summing_kernel(plan, room, backward=True), summing, tiles, shared),
        ("sum shards", kernels.summing_kernel(plan, room, backward=False), summing, 1, shared),
        ("add shards", kernels.updating_kernel(plan, step, held, adds=True, moves=False), updating, 0, 0),
        ("measure the norm", kernels.norm_kernel(plan), (array(real, 2), array(wide, 2), array(wide, 1)), 0, 0),
        ("move parameters", kernels.updating_kernel(plan, step, held, adds=False, moves=True), updating, 0, 0),
        ("predict", kernels.forward_kernel(plan, room, shows=False), forward, 1, shared),
    ]
    block = example.threads, example.blocks
    return [
        Kernel(f"{name}{example.note}", kernel.py_func, arguments, *block, loops, n_bytes, example.share)
        for name, kernel, arguments, loops, n_bytes in made
    ]


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
            lambda kernel: bytes(
                compiler.compile_cubin(kernel.function, types.void(*kernel.arguments), **shim.OF_KERNELS[shim.MLIR])
            ),
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
    fine = [count for count, size in code.loops if count >= kernel.share * size]
    failures = []
    if code.local:
        failures.append(f"{code.local} bytes of local memory")
    if code.registers > budget:
        failures.append(f"more than {budget} registers")
    if len(fine) < kernel.tiles:
        failures.append(f"a share below {kernel.share}")
    return failures


def row(kernel: Kernel, code: Code, seconds: float) -> str:
    """A line of the table; seconds are those of the compiler."""
    of_tiles = sorted(code.loops, key=lambda loop: loop[0] / loop[1], reverse=True)[: kernel.tiles]
    shares = [f"{count} of {size}, {count / size:.2f}" for count, size in of_tiles]
    return (
        f"| {kernel.name} | {code.registers} | {code.local} | {code.shared + kernel.shared:,} | "
        f"{'; '.join(shares) or '–'} | {code.instructions:,} | {seconds:.1f} |"
    )


def report(architecture: str, prefix: str = "") -> int:
    """Print the table of one architecture; 1 where a target is missed."""
    package, _, types, compiled = compiler(ARCHITECTURES[architecture])
    print(
        f"\n{package}, {architecture}:\n\n"
        "| kernel | registers | local, bytes | shared, bytes | FFMA | instructions | compiler, CPU seconds |\n"
        "| --- | ---: | ---: | ---: | --- | ---: | ---: |"
    )
    failures = []
    for kernel in kernels_to_compile(types):
        if kernel.name.startswith(prefix):
            start = time.process_time()
            program = compiled(kernel)
            seconds = time.process_time() - start
            code = read(disassembled(program))
            print(row(kernel, code, seconds), flush=True)
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
