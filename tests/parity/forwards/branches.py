"""Two inputs and two outputs; strided and average-pooled Conv1D, LeakyReLU, dropout, rescaling."""

from typing import Any

import numpy as np

from tests.parity.forwards.common import Net, Slips, chosen, sigmoid


def build(keras: Any) -> Any:
    layers = keras.layers
    s, t = keras.Input((8, 2), name="signal"), keras.Input((3,), name="table")
    x = layers.Conv1D(3, 3, strides=2, padding="same", name="conv")(s)
    x = layers.LeakyReLU(name="leaky")(x)
    x = layers.AveragePooling1D(2, strides=1, padding="same", name="pool")(x)
    x = layers.Flatten(name="flat")(x)
    y = layers.Rescaling(1 / 255, name="scale")(t)
    y = layers.Dense(3, activation="tanh", name="side")(y)
    z = layers.Concatenate(name="join")([x, y])
    z = layers.Dropout(0.4, name="drop")(z)
    return keras.Model([s, t], [
        layers.Dense(2, name="one")(z), layers.Dense(1, activation="sigmoid", name="two")(z),
    ])  # fmt: skip


def forward(w: list[Any], inputs: list[Any], slips: Slips) -> dict[str, Any]:
    signal, table = inputs
    before, behind = chosen(slips, {"torch padding": (1, 1), "causal": (2, 0)}, (0, 1))
    padded = np.pad(signal, ((0, 0), (before, behind), (0, 0)))
    kernel = w[0][::-1] if "flipped" in slips else w[0]
    stride = 1 if "stride 1" in slips else 2
    places = range(0, padded.shape[1] - 2, stride)
    conv = np.stack([np.tensordot(padded[:, p : p + 3], kernel, 2) for p in places], axis=1) + w[1]
    slope = chosen(slips, {"slope 0.01": 0.01, "slope 0.2": 0.2}, 0.3)
    leaky = np.where(conv > 0, conv, conv.dtype.type(slope) * conv)
    shifted = np.concatenate([leaky[:, 1:], leaky[:, -1:]], axis=1)
    pool = (leaky + shifted) / 2
    if "zeros counted" in slips:
        pool[:, -1] = leaky[:, -1] / 2
    flat = pool.reshape(len(pool), -1)
    scaled = table if "no rescaling" in slips else table / 255
    side = np.tanh(scaled @ (w[2].T if "side transposed" in slips else w[2]) + w[3])
    if "no tanh" in slips:
        side = scaled @ w[2] + w[3]
    z = np.concatenate([side, flat] if "join swapped" in slips else [flat, side], axis=1)
    if "times 1 - rate" in slips:
        z = z * 0.6
    one = z @ w[4] + w[5]
    two = z @ w[6] + (0 if "no bias" in slips else w[7])
    return {"join": z, "one": one, "two": sigmoid(two)}


NET = Net(build, forward, outputs=2)
