"""The products of a dense layer, as a GPU's threads share them out: every bit is that of a plain sum in order, whatever
the number of threads and the order in which they come, and no number beyond the layer's is touched.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
import pytest

from fastgd.kernels.cuda import products
from fastgd.kernels.cuda.products import Shapes

WIDTHS = (*range(1, 10), 16, 17, 31, 64)
GAP = 3  # numbers between one matrix and the next that are nobody's


class Layer(NamedTuple):
    """A layer's arrays in one buffer, where each of them begins, and which places in it are theirs."""

    shapes: Shapes
    memory: np.ndarray
    first: dict[str, int]
    places: dict[str, np.ndarray]

    def view(self, name: str) -> np.ndarray:
        return self.memory[self.places[name]]


def layer(T, NT, I, O, dtype=np.float32, seed=0):
    """x (T, I), w (I, O), b (O,) and z (T, O) with NaN between them and beyond the columns of each."""
    pitches = {"x": -(-I // 4) * 4 + 4, "w": -(-O // 4) * 4, "z": -(-O // 4) * 4 + 8}
    sizes = {"z": (T, O), "x": (T, I), "w": (I, O), "b": (O,)}
    first, places, at = {}, {}, GAP
    for name, size in sizes.items():
        first[name] = at
        columns = np.arange(size[-1])
        places[name] = at + (np.arange(size[0])[:, None] * pitches[name] + columns if len(size) == 2 else columns)
        at = int(places[name].max()) + 1 + GAP
    memory = np.full(at, np.nan, dtype)
    random = np.random.default_rng(seed)
    for place in places.values():
        memory[place] = random.normal(size=place.shape)
    shapes = Shapes(T, NT, I, O, pitches["x"], pitches["w"], pitches["z"])
    return Layer(shapes, memory, first, places)


def added(total, terms):
    """The terms added to a total one after the other, each sum and product rounded."""
    for term in terms:
        total = total + term
    return total


# For each product: its phase for a layer, the arrays it reads, those it writes, and the values that these then have.


def forward(one):
    return products.forward(one.shapes, one.first["x"], one.first["w"], one.first["b"], one.first["z"])


def forward_values(one, order=1):
    x, w, b = one.view("x"), one.view("w"), one.view("b")
    terms = [x[:, k : k + 1] * w[k] for k in range(one.shapes.I)]
    return {"z": added(np.broadcast_to(b, (one.shapes.T, one.shapes.O)), terms[::order])}


def to_inputs(one):
    return products.to_inputs(one.shapes, one.first["z"], one.first["w"], one.first["x"])


def to_inputs_values(one, order=1):
    dz, w = one.view("z"), one.view("w")
    terms = [dz[:, j : j + 1] * w[:, j] for j in range(one.shapes.O)]
    return {"x": added(np.zeros((one.shapes.T, one.shapes.I), dz.dtype), terms[::order])}


def to_weights(one):
    return products.to_weights(one.shapes, one.first["x"], one.first["z"], one.first["w"], one.first["b"])


def fresh_weights_values(one, order=1, start=0):
    x, dz = one.view("x"), one.view("z")
    terms = [x[r][:, None] * dz[r] for r in range(one.shapes.T)]
    zero = one.memory.dtype.type(0)
    return {
        "w": added(start * one.view("w") if start else zero, terms[::order]),
        "b": added(start * one.view("b") if start else zero, list(dz[::order])),
    }


def more_weights_values(one, order=1):
    return fresh_weights_values(one, order, start=1)


PRODUCTS = {
    "forward": (forward, ("x", "w", "b"), (), forward_values),
    "to_inputs": (to_inputs, ("z", "w"), (), to_inputs_values),
    "fresh to_weights": (to_weights, ("x", "z"), (True,), fresh_weights_values),
    "more to_weights": (to_weights, ("x", "z", "w", "b"), (False,), more_weights_values),
}


class Watched:
    """Memory that complains of every reading and writing outside of given places."""

    def __init__(self, memory, readable, writable):
        self.memory, self.readable, self.writable = memory, set(readable), set(writable)

    def __getitem__(self, place):
        assert place in self.readable, f"read at {place}"
        return self.memory[place]

    def __setitem__(self, place, value):
        assert place in self.writable, f"written at {place}"
        self.memory[place] = value


def places_of(one, names):
    return np.concatenate([one.places[name].ravel() for name in names]).tolist() if names else []


def orders(NT):
    threads = np.arange(NT)
    return threads, threads[::-1], np.random.default_rng(NT).permutation(NT)


def run(phase, one, memory, last, threads):
    for tid in threads:
        phase(int(tid), memory, memory, memory, *last)


def differences(product, one, order_of_sums=1, compiled=False, threads=None):
    """Run a product's phase; the places where its memory is not what sums in order make of it."""
    make, reads, last, values = PRODUCTS[product]
    expected = values(one, order_of_sums)
    whole = one.memory.copy()
    for name, value in expected.items():
        whole[one.places[name]] = value
    memory = one.memory.copy()
    phase = numba.njit(make(one)) if compiled else make(one)
    # to_weights reads what it has written only where it adds, and then each place before it writes it.
    watched = memory if compiled else Watched(memory, places_of(one, reads), places_of(one, expected))
    run(phase, one, watched, last, orders(one.shapes.NT)[2] if threads is None else threads)
    bits = f"u{memory.itemsize}"
    return np.flatnonzero(memory.view(bits) != whole.view(bits))


@pytest.mark.parametrize("product", PRODUCTS)
@pytest.mark.parametrize("I", WIDTHS)
def test_every_pair_of_widths(product, I):
    for O in WIDTHS:
        for T, NT in ((4, 10), (8, 32)):
            assert differences(product, layer(T, NT, I, O, seed=I)).size == 0, (T, NT, O)


@pytest.mark.parametrize("product", PRODUCTS)
@pytest.mark.parametrize("NT", [1, 8, 10, 32, 128, 256])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_number_of_threads_in_every_order(product, NT, dtype):
    for T, I, O in ((32, 6, 9), (8, 17, 16), (4, 5, 1)):
        for threads in orders(NT):
            assert differences(product, layer(T, NT, I, O, dtype), threads=threads).size == 0, (T, I, O)


COMPILED = (
    (32, 128, 64, 64, np.float32), (32, 256, 4, 64, np.float32), (32, 128, 64, 1, np.float32),
    (8, 10, 17, 31, np.float32), (32, 256, 31, 17, np.float64), (4, 1, 9, 6, np.float32),
)  # fmt: skip


@pytest.mark.parametrize("product", PRODUCTS)
@pytest.mark.parametrize(("T", "NT", "I", "O", "dtype"), COMPILED)
def test_compiled_for_the_cpu(product, T, NT, I, O, dtype):
    assert differences(product, layer(T, NT, I, O, dtype), compiled=True).size == 0


def test_arrays_of_their_own():
    one = layer(8, 8, 6, 5)
    x, w, z = one.memory.copy(), one.memory.copy(), one.memory.copy()
    phase = forward(one)
    for tid in range(8):
        phase(tid, x, w, z)
    np.testing.assert_array_equal(z[one.places["z"]], forward_values(one)["z"])
    np.testing.assert_array_equal(x, one.memory)
    np.testing.assert_array_equal(w, one.memory)


@pytest.mark.parametrize("product", PRODUCTS)
@pytest.mark.parametrize("NT", [1, 256])  # in tiles, and one by one
def test_sums_in_another_order_are_told_apart(product, NT):
    assert differences(product, layer(8, NT, 17, 9), order_of_sums=-1).size > 0


@pytest.mark.parametrize("product", PRODUCTS)
@pytest.mark.parametrize("NT", [1, 256])
@pytest.mark.parametrize("beyond", ["T", "I", "O"])
def test_a_step_beyond_the_layer_is_noticed(product, NT, beyond):
    one = layer(8, NT, 6, 9)
    grown = one.shapes._replace(**{beyond: getattr(one.shapes, beyond) + (4 if beyond == "T" else 1)})
    _, reads, last, values = PRODUCTS[product]
    watched = Watched(one.memory, places_of(one, reads), places_of(one, values(one)))
    phase = PRODUCTS[product][0](one._replace(shapes=grown))
    with pytest.raises(AssertionError, match=r"(read|written) at"):
        run(phase, one, watched, last, range(NT))


@pytest.mark.parametrize("product", PRODUCTS)
def test_a_thread_that_is_missing_is_noticed(product):
    assert differences(product, layer(8, 8, 6, 9), threads=range(1, 8)).size > 0
