"""Two rivals in pure NumPy: a plain textbook version, and one tuned with buffers that are allocated once.

Both have one function for each stage of a step, work on whole batches, and start from the same weights on the same
tables, walked in the same order.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from .cases import Case
from .problems import LEARNING_RATE, Tables

ACTIVATIONS = {
    "relu": (lambda z: np.maximum(z, 0), lambda a: (a > 0).astype(a.dtype)),
    "tanh": (np.tanh, lambda a: 1 - a * a),
    "sigmoid": (lambda z: 1 / (1 + np.exp(-z)), lambda a: a * (1 - a)),
    "gelu": (lambda z: 0.5 * z * (1 + np.tanh(0.7978845608 * (z + 0.044715 * z**3))), None),  # forward only
}


def split(case: Case, vector: Any) -> list[Any]:
    """Parameters or a gradient in our order, as arrays: all weights, then all biases."""
    weights, biases, start = [], [], 0
    for n_in, n_out in pairwise(case.sizes):
        weights.append(vector[start : start + n_in * n_out].reshape(n_in, n_out).copy())
        biases.append(vector[start + n_in * n_out : start + n_in * n_out + n_out].copy())
        start += n_in * n_out + n_out
    return weights + biases


class Textbook:
    """As one would write it on a slide: every line makes new arrays."""

    name = "NumPy, textbook"
    workspace_bytes = 0

    def __init__(self, case: Case, data: Tables, parameters: Any) -> None:
        self.case, self.data = case, data
        self.real = np.dtype(case.dtype).type
        self.activation, self.slope = ACTIVATIONS[case.activation]
        parts = split(case, parameters)
        self.weights, self.biases = parts[: len(parts) // 2], parts[len(parts) // 2 :]
        self.first = [np.zeros_like(p) for p in self.weights + self.biases]
        self.second = [np.zeros_like(p) for p in self.weights + self.biases]
        self.t = 0

    def gather(self, order: Any) -> None:
        """The rows of a batch."""
        self.a = [self.data.X[order]]
        self.y = self.data.Y[order]

    def forward(self) -> None:
        """Every layer's outputs."""
        self.a = self.a[:1]
        for weights, biases in zip(self.weights[:-1], self.biases[:-1], strict=True):
            self.a.append(self.activation(self.a[-1] @ weights + biases))
        self.a.append(self.a[-1] @ self.weights[-1] + self.biases[-1])

    def loss(self) -> float:
        """The loss, and its gradient in the outputs."""
        p, n = self.a[-1], len(self.y)
        if self.case.loss == "cross_entropy":
            e = np.exp(p - p.max(axis=1, keepdims=True))
            probabilities = e / e.sum(axis=1, keepdims=True)
            labels = self.y[:, 0].astype(np.int64)
            value = -np.log(probabilities[np.arange(n), labels]).mean()
            probabilities[np.arange(n), labels] -= 1
            self.delta = probabilities / self.real(n)
            return float(value)
        error = p - self.y
        self.delta = self.real(2) * error / self.real(error.size)
        return float(np.mean(error**2))

    def backward(self) -> None:
        """The gradient of every weight."""
        delta = self.delta
        d_weights, d_biases = [], []
        for layer in range(len(self.weights) - 1, -1, -1):
            if layer < len(self.weights) - 1:
                delta = delta * self.slope(self.a[layer + 1])
            d_weights.insert(0, self.a[layer].T @ delta)
            d_biases.insert(0, delta.sum(axis=0))
            if layer:
                delta = delta @ self.weights[layer].T
        self.gradients = d_weights + d_biases

    def update(self) -> None:
        """A step of the optimizer."""
        self.t += 1
        rate = self.real(LEARNING_RATE)
        for i, (p, g) in enumerate(zip(self.weights + self.biases, self.gradients, strict=True)):
            if self.case.optimizer == "SGD":
                p -= rate * g
            elif self.case.optimizer == "momentum":
                self.first[i] = self.real(0.9) * self.first[i] + g
                p -= rate * self.first[i]
            else:  # Adam
                self.first[i] = self.real(0.9) * self.first[i] + self.real(0.1) * g
                self.second[i] = self.real(0.999) * self.second[i] + self.real(0.001) * g * g
                root = np.sqrt(self.second[i]) / self.real(np.sqrt(1 - 0.999**self.t)) + self.real(1e-8)
                p -= self.real(LEARNING_RATE / (1 - 0.9**self.t)) * self.first[i] / root

    def epoch(self, order: Any) -> None:
        """All batches of an epoch."""
        for start in range(0, len(order), self.case.batch_size):
            self.gather(order[start : start + self.case.batch_size])
            self.forward()
            self.loss()
            self.backward()
            self.update()

    def predict(self, X: Any) -> Any:
        """Predictions for a table."""
        self.a = [X]
        self.forward()
        return self.a[-1]

    def parameters(self) -> Any:
        """All parameters as one vector, in our order."""
        pairs = zip(self.weights, self.biases, strict=True)
        return np.concatenate([part.reshape(-1) for pair in pairs for part in pair])

    def gradient(self) -> Any:
        """The gradient as one vector, in our order."""
        n = len(self.weights)
        pairs = zip(self.gradients[:n], self.gradients[n:], strict=True)
        return np.concatenate([part.reshape(-1) for pair in pairs for part in pair])


class Tuned(Textbook):
    """The same with every array allocated once and written through `out=`; the last, smaller batch gets views."""

    name = "NumPy, tuned"

    def __init__(self, case: Case, data: Tables, parameters: Any) -> None:
        super().__init__(case, data, parameters)
        rows = case.rows if case.stage == "predict" else case.batch_size
        self.x_buffer = np.empty((rows, case.sizes[0]), case.dtype)
        self.y_buffer = np.empty((rows, data.Y.shape[1]), case.dtype)
        self.a_buffers = [np.empty((rows, n), case.dtype) for n in case.sizes[1:]]
        self.d_buffers = [np.empty((rows, n), case.dtype) for n in case.sizes[1:]]
        self.mask_buffers = [np.empty((rows, n), bool) for n in case.sizes[1:]]
        self.gradients = [np.zeros_like(p) for p in self.weights + self.biases]
        self.scratch = [np.empty_like(p) for p in self.weights + self.biases]
        buffers = [self.x_buffer, self.y_buffer, *self.a_buffers, *self.d_buffers, *self.mask_buffers]
        self.workspace_bytes = sum(array.nbytes for array in [*buffers, *self.gradients, *self.scratch])

    def gather(self, order: Any) -> None:
        """The rows of a batch."""
        B = len(order)
        self.a = [np.take(self.data.X, order, axis=0, out=self.x_buffer[:B], mode="clip")]
        self.y = np.take(self.data.Y, order, axis=0, out=self.y_buffer[:B], mode="clip")

    def forward(self) -> None:
        """Every layer's outputs."""
        del self.a[1:]
        B = len(self.a[0])
        for layer, (weights, biases) in enumerate(zip(self.weights, self.biases, strict=True)):
            z = np.matmul(self.a[-1], weights, out=self.a_buffers[layer][:B])
            z += biases
            if layer < len(self.weights) - 1:
                if self.case.activation == "relu":
                    np.maximum(z, 0, out=z)
                elif self.case.activation == "tanh":
                    np.tanh(z, out=z)
                else:
                    z[:] = self.activation(z)
            self.a.append(z)

    def loss(self) -> float:
        """The loss, and its gradient in the outputs."""
        if self.case.loss == "cross_entropy":
            return super().loss()
        delta = np.subtract(self.a[-1], self.y, out=self.d_buffers[-1][: len(self.y)])
        flat = delta.reshape(-1)
        value = float(np.dot(flat, flat)) / delta.size
        delta *= self.real(2 / delta.size)
        self.delta = delta
        return value

    def backward(self) -> None:
        """The gradient of every weight."""
        delta, n = self.delta, len(self.weights)
        B = len(delta)
        for layer in range(n - 1, -1, -1):
            a = self.a[layer + 1]
            if layer < n - 1 and self.case.activation == "relu":
                delta *= np.greater(a, 0, out=self.mask_buffers[layer][:B])
            elif layer < n - 1:
                delta *= self.slope(a)
            np.matmul(self.a[layer].T, delta, out=self.gradients[layer])
            np.sum(delta, axis=0, out=self.gradients[n + layer])
            if layer:
                delta = np.matmul(delta, self.weights[layer].T, out=self.d_buffers[layer - 1][:B])

    def update(self) -> None:
        """A step of the optimizer."""
        self.t += 1
        for p, g, m, s, room in zip(
            self.weights + self.biases, self.gradients, self.first, self.second, self.scratch, strict=True
        ):
            if self.case.optimizer == "SGD":
                p -= np.multiply(g, self.real(LEARNING_RATE), out=room)
            elif self.case.optimizer == "momentum":
                m *= self.real(0.9)
                m += g
                p -= np.multiply(m, self.real(LEARNING_RATE), out=room)
            else:  # Adam
                m *= self.real(0.9)
                m += np.multiply(g, self.real(0.1), out=room)
                s *= self.real(0.999)
                np.multiply(g, g, out=room)
                room *= self.real(0.001)
                s += room
                np.sqrt(s, out=room)
                room *= self.real(1 / np.sqrt(1 - 0.999**self.t))
                room += self.real(1e-8)
                np.divide(m, room, out=room)
                room *= self.real(LEARNING_RATE / (1 - 0.9**self.t))
                p -= room


BASELINES = (Textbook, Tuned)
