"""The linear algebra of a layer with samples in rows, in columns, or one vector a call."""

import numpy as np


class Rows:
    """Samples in rows (m, n), or one as (1, n)."""

    axis = 1

    def __init__(self, kernel: str) -> None:
        self.turned = kernel == "out-in"

    def count(self, x) -> int:
        return x.shape[0]

    def weighted(self, a, w):
        return a @ w.T if self.turned else a @ w

    def plus(self, z, b):
        return z + b.T if b.shape == (z.shape[1], 1) else z + b

    def kernel_gradient(self, a, delta):
        return delta.T @ a if self.turned else a.T @ delta

    def bias_gradient(self, delta, shape):
        return np.sum(delta, axis=0).reshape(shape)

    def back(self, delta, w):
        return delta @ w if self.turned else delta @ w.T

    def extended(self, a, place: str):
        one = np.ones((a.shape[0], 1), a.dtype)
        return np.hstack([one, a] if place == "first" else [a, one])

    def classes(self, y, outputs: int):
        return np.eye(outputs)[y]

    def from_2d(self, y):
        return y[:, 0]


class Columns(Rows):
    """Samples in columns (n, m), or one as (n, 1)."""

    axis = 0

    def count(self, x) -> int:
        return x.shape[1]

    def weighted(self, a, w):
        return w @ a if self.turned else w.T @ a

    def plus(self, z, b):
        if b.ndim == 1:
            return z + b[:, None]
        return z + b if b.shape == (len(z), 1) else z + b.T

    def kernel_gradient(self, a, delta):
        return delta @ a.T if self.turned else a @ delta.T

    def bias_gradient(self, delta, shape):
        return np.sum(delta, axis=1, keepdims=True).reshape(shape)

    def back(self, delta, w):
        return w.T @ delta if self.turned else w @ delta

    def extended(self, a, place: str):
        one = np.ones((1, a.shape[1]), a.dtype)
        return np.vstack([one, a] if place == "first" else [a, one])

    def classes(self, y, outputs: int):
        return np.eye(outputs)[y].T

    def from_2d(self, y):
        return y[0]


class Vector(Columns):
    """One sample a call, a vector (n,)."""

    def count(self, x) -> int:
        return 1

    def weighted(self, a, w):
        return np.dot(w, a) if self.turned else np.dot(a, w)

    def plus(self, z, b):
        return z + b.reshape(-1)

    def kernel_gradient(self, a, delta):
        return np.outer(delta, a) if self.turned else np.outer(a, delta)

    def bias_gradient(self, delta, shape):
        return delta.reshape(shape)

    def extended(self, a, place: str):
        one = np.ones(1, a.dtype)
        return np.concatenate([one, a] if place == "first" else [a, one])

    def classes(self, y, outputs: int):
        return np.eye(outputs)[y]


class OneColumn(Columns):
    """One sample a call, (n, 1)."""

    def classes(self, y, outputs: int):
        return np.eye(outputs)[y].reshape(outputs, 1)


class OneRow(Rows):
    """One sample a call, (1, n)."""

    def classes(self, y, outputs: int):
        return np.eye(outputs)[y].reshape(1, outputs)

    def from_2d(self, y):
        return y[0]


WAYS = {"rows": Rows, "columns": Columns, "(n,)": Vector, "(n, 1)": OneColumn, "(1, n)": OneRow}
