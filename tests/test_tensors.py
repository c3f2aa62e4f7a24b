"""Files of arrays: whole or refused, at no greater cost than their size, and nothing else is opened."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import subprocess
import sys

import pytest
from model_files import assembled, parts, peak, same

import fastgd
from fastgd.errors import ModelFileError
from fastgd.files import tensors as tensorfile


def test_arrays_that_are_not_those_of_the_header(whole, tmp_path):
    path = tmp_path / "m"

    assembled(path, *parts(whole[1]))
    assert same(fastgd.load(path), whole[0]), "as long as nothing is changed"

    def refused(change):
        outer, inner, arrays = parts(whole[1])
        change(outer)
        assembled(path, outer, inner, arrays)
        with pytest.raises(ModelFileError):
            fastgd.load(path)

    for name, value in (
        ("dtype", "F64"), ("dtype", "I32"), ("dtype", None), ("shape", [3, 5]), ("shape", [16]), ("shape", []),
        ("shape", None),
        ("data_offsets", [0, 0]), ("data_offsets", [-60, 0]), ("data_offsets", [0]), ("data_offsets", "08"),
        ("data_offsets", [0, 1 << 70]), ("data_offsets", None), ("more", 1),
    ):  # fmt: skip
        refused(lambda outer, name=name, value=value: outer["parameters"].update({name: value}))
    refused(lambda outer: outer.pop("parameters"))
    refused(lambda outer: outer.update(more={"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}))
    refused(lambda outer: outer.update(parameters=5))
    refused(lambda outer: outer.update(parameters=outer["input_mean"], input_mean=outer["parameters"]))


def test_no_flipped_bit_changes_a_model(whole, tmp_path):
    model, path = whole
    content, damaged, refused = path.read_bytes(), tmp_path / "m", 0
    assert same(fastgd.load(path), model)
    for place in range(len(content)):
        flipped = bytearray(content)
        flipped[place] ^= 1 << place % 8
        damaged.write_bytes(flipped)
        try:
            assert same(fastgd.load(damaged), model), place
        except ModelFileError:
            refused += 1
    assert refused > 0.9 * len(content)


def test_a_file_of_any_length_is_whole_or_refused(whole, tmp_path):
    content, path = whole[1].read_bytes(), tmp_path / "m"
    for length in range(0, len(content), 7):
        path.write_bytes(content[:length])
        with pytest.raises(ModelFileError):
            fastgd.load(path)
    path.write_bytes(content + b"\0")
    with pytest.raises(ModelFileError):
        fastgd.load(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda header: header.update(layer_sizes=[4, 40_000_000, 3], activations=["identity"] * 2, dropout=[0.0] * 2),
        lambda header: header.update(layer_sizes=[40_000_000, 3]),
        lambda header: header.update(layer_sizes=[4, 40_000_000]),
        lambda header: header.update(layer_sizes=[4, 40_000_000], loss={"name": "mse"}, classes=None),
        lambda header: header.update(layer_sizes=[1 << 40, 1 << 40]),
        lambda header: header.update(dtype="float64"),
        lambda header: header["classes"].update(dtype="<U200000000"),
        lambda header: header["classes"].update(dtype="(100000000,)i8"),
    ],
    ids=range(8),
)  # fmt: skip
def test_a_promise_costs_nothing(whole, tmp_path, change):
    path = tmp_path / "m"
    outer, inner, arrays = parts(whole[1])
    change(inner)
    assembled(path, outer, inner, arrays)
    wide = (inner["classes"] or {}).get("dtype") == "<U200000000"  # but the labels are short, and that is what counts
    with contextlib.nullcontext() if wide else pytest.raises(ModelFileError):
        fastgd.load(path)
    assert peak(lambda: fastgd.load(path)) < 200 * path.stat().st_size
    for n in (5 * inner["layer_sizes"][-1], 1 << 60):  # a file whose own header promises the same
        outer["parameters"].update(shape=[n], data_offsets=[0, 4 * n])
        assembled(path, outer, inner, arrays)
        with pytest.raises(ModelFileError):
            fastgd.load(path)
        assert peak(lambda: fastgd.load(path)) < 200 * path.stat().st_size


LOAD = """
import sys, fastgd
for name in sys.argv[1:]:
    try:
        fastgd.load(name)
    except fastgd.errors.ModelFileError as error:
        print(error)
"""


def test_what_is_no_file_is_not_opened(tmp_path):
    """In a process of its own: what is opened all the same may wait for ever."""
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("fifo")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "file").write_bytes(b"")
    told = {
        "fifo": "is a device, a pipe or a socket: name a file", "link": "is a device, a pipe or a socket",
        "socket": "is a device, a pipe or a socket", "/dev/zero": "is a device, a pipe or a socket",
        "/dev/null": "is a device", ".": "is a folder: name a file", "loop": "cannot be read: Too many levels",
        "none": "is not there: name a file", "file/m": "cannot be read: Not a directory",
        "x" * 300: "cannot be read: File name too long", "file": "is truncated, or not a safetensors file",
    }  # fmt: skip
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        run = [sys.executable, "-c", LOAD, *(str(tmp_path / name) for name in told)]
        lines = subprocess.run(run, capture_output=True, text=True, timeout=60, check=True).stdout.splitlines()
    for line, message in zip(lines, told.values(), strict=True):
        assert message in line


def test_the_measure_of_memory_can_fail(whole):
    assert peak(lambda: (fastgd.load(whole[1]), bytes(10_000_000))) > 10_000_000
    assert peak(lambda: fastgd.load(whole[1])) < 200 * whole[1].stat().st_size


def test_a_huge_file_of_another_kind_is_not_read(tmp_path):
    path = tmp_path / "huge"
    for start in (b"", b"\x02" + bytes(7) + b"{}", b"PK\x03\x04" * 4, struct.pack("<Q", 90_000_000) + b"x" * 100):
        with open(path, "wb") as file:
            file.write(start)
            file.truncate(3 << 30)
        with pytest.raises(ModelFileError, match="is truncated, or not a safetensors file"):
            fastgd.load(path)
        assert peak(lambda: fastgd.load(path)) < 1 << 20


def test_a_file_that_becomes_shorter_while_it_is_read(tmp_path, monkeypatch):
    path = tmp_path / "m"
    fastgd.MLP([4, 300, 300, 1]).save(path)
    read = tensorfile.read

    def cut(*arguments):
        os.truncate(path, 100_000)
        return read(*arguments)

    monkeypatch.setattr(tensorfile, "read", cut)
    with pytest.raises(ModelFileError, match="the file became shorter while it was read"):
        fastgd.load(path)
