"""A subclassed model: Attention between two sequences, a masked GRU, group normalization."""

from typing import Any

import numpy as np

from tests.parity.forwards.common import Net, Slips, chosen, sigmoid, softmax


def build(keras: Any) -> Any:
    layers = keras.layers

    class Reader(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.embed = layers.Embedding(7, 4, mask_zero=True, name="embed")
            self.read = layers.GRU(4, return_sequences=True, name="read")
            self.look = layers.Attention(name="look")
            self.out = layers.Dense(3, activation="leaky_relu", name="out")

        def call(self, x: Any) -> Any:
            states = self.read(self.embed(x))
            return self.out(self.look([states, states[:, ::-1]]))

    model = Reader()
    model(np.zeros((1, 5)))
    return model


def forward(w: list[Any], inputs: list[Any], slips: Slips) -> dict[str, Any]:
    numbers = inputs[0].astype(int)
    x, n = w[0][numbers], 4
    h = np.zeros((len(x), n), x.dtype)
    states: list[Any] = []
    for t in range(x.shape[1]):
        a, b = x[:, t] @ w[1] + w[3][0], h @ w[2] + w[3][1]
        z, r = sigmoid((a + b)[:, :n]), sigmoid((a + b)[:, n : 2 * n])
        new = z * h + (1 - z) * np.tanh(a[:, 2 * n :] + r * b[:, 2 * n :])
        kept = (numbers[:, t] != 0)[:, None] | ("no mask" in slips)
        h = np.where(kept, new, h)
        states.append(h)
    s = np.stack(states, axis=1)
    back = s[:, ::-1]
    scale = x.dtype.type(0.5 if "scaled" in slips else 1)
    shares = softmax(scale * s @ back.transpose(0, 2, 1), 1 if "over queries" in slips else 2)
    seen = shares @ back
    if "no softmax" in slips:
        seen = s @ back.transpose(0, 2, 1) @ back
    seen = seen * (numbers != 0)[..., None]  # the mask of the queries
    z = seen @ w[4] + w[5]
    slope = x.dtype.type(chosen(slips, {"slope 0.01": 0.01}, 0.2))
    return {"read": s, "look": seen, "out": np.where(z > 0, z, slope * z)}


NET = Net(build, forward)
