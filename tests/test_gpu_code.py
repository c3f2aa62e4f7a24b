"""The reader of GPU machine code: what it counts, what it takes for an inner loop, which targets it says are missed."""

from __future__ import annotations

import pytest

from benchmarks import gpu_code
from benchmarks.gpu_code import Code, Kernel
from benchmarks.tool import ToolError

LINES = {
    "FFMA": "FFMA R4, R5, R6, R4", "LDS": "LDS.128 R4, [R2+0x10]", "ADD": "IADD3 R2, R2, 0x1, RZ",
    "DFMA": "@P0 DFMA R4, R6, R8, R4", "BACK": "@!P0 BRA `(.L_x_2)", "OUT": "@!P1 BRA `(.L_x_1)", "ON": "BRA `(.L_x_9)",
    "EXIT": "EXIT",
}  # fmt: skip


def text(*lines, registers=48, local=0):
    """Machine code as the disassembler prints it; what ends in a colon is a label."""
    code = "".join(f"{line}\n" if line.endswith(":") else f"        /*0010*/   {LINES[line]} ;\n" for line in lines)
    numbers = "".join(
        f"//----- nvinfo : EIATTR_{name}\n\t.align\t\t4\n /*0000*/ \t.byte\t0x04\n /*0004*/ \t.word\tindex@(k)\n"
        f" /*0008*/ \t.word\t{number:#010x}\n\n\n"
        for name, number in (("REGCOUNT", registers), ("FRAME_SIZE", local), ("MIN_STACK_SIZE", 7))
    )
    return f"{numbers}.text.k:\n{code}.L_x_9:\n\t.section\t.nv.shared.k\n.nv.shared.k:\n\t.zero\t\t5248\n"


def test_what_is_read():
    code = gpu_code.read(
        text(".L_x_1:", "ADD", ".L_x_2:", "LDS", "FFMA", "FFMA", "DFMA", "BACK", "OUT", "ON", "EXIT", local=16)
    )
    assert code == Code(registers=48, local=16, shared=5248, instructions=9, loops=[(3, 5)])


def test_two_inner_loops():
    code = gpu_code.read(text(".L_x_1:", "FFMA", "OUT", ".L_x_2:", "LDS", "BACK", "EXIT"))
    assert code.loops == [(1, 2), (0, 2)]


def test_code_that_says_nothing_of_its_registers():
    with pytest.raises(ToolError, match="REGCOUNT"):
        gpu_code.read(text("EXIT").replace("REGCOUNT", "OTHER"))


KERNEL = Kernel("k", None, (), threads=256, blocks=4, tiles=1, shared=0)


@pytest.mark.parametrize(
    ("code", "failures"),
    [
        (Code(64, 0, 0, 90, [(64, 77), (1, 9)]), []),
        (Code(65, 0, 0, 90, [(64, 77)]), ["more than 64 registers"]),
        (Code(64, 8, 0, 90, [(64, 77)]), ["8 bytes of local memory"]),
        (Code(64, 0, 0, 90, [(1, 9), (64, 92)]), ["a share below 0.7"]),
        (Code(64, 0, 0, 90, []), ["a share below 0.7"]),
    ],
)
def test_missed_targets(code, failures):
    assert gpu_code.missed(KERNEL, code) == failures


@pytest.mark.parametrize(("count", "failures"), [(2, []), (3, ["a share below 0.65"])])
def test_a_share_of_its_own_in_as_many_loops_as_there_are_tiles(count, failures):
    kernel = KERNEL._replace(tiles=count, share=0.65)
    assert gpu_code.missed(kernel, Code(64, 0, 0, 900, [(64, 97), (64, 139), (64, 80)])) == failures


def test_the_worst_of_the_tiles_loops_is_shown():
    shown = gpu_code.row(KERNEL._replace(tiles=2), Code(64, 0, 8, 900, [(64, 97), (64, 139), (64, 80)]), 1.25)
    assert "| 64 of 80, 0.80; 64 of 97, 0.66 |" in shown


def test_an_architecture_that_is_none():
    with pytest.raises(ToolError, match="sm_80, sm_90"):
        gpu_code.main(["sm_10"])
