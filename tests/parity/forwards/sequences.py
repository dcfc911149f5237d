"""Embedding, LSTM, GRU in two forms, a bidirectional SimpleRNN, dense."""

from typing import Any

import numpy as np

from tests.parity.forwards.common import Net, Slips, chosen, sigmoid


def hard_sigmoid(z: Any) -> Any:
    return np.clip(0.2 * z + 0.5, 0, 1)


def build(keras: Any) -> Any:
    layers = keras.layers
    i = keras.Input((3,))
    x = layers.Embedding(11, 3, name="emb")(i)
    x = layers.LSTM(3, return_sequences=True, name="lstm")(x)
    x = layers.GRU(3, return_sequences=True, name="gru")(x)
    x = layers.GRU(2, reset_after=False, return_sequences=True, name="old")(x)
    x = layers.Bidirectional(layers.SimpleRNN(2), name="both")(x)
    return keras.Model(i, layers.Dense(2, name="out")(x))


def lstm(x: Any, kernel: Any, recurrent: Any, bias: Any, slips: Slips) -> Any:
    gate = chosen(slips, {"hard gates": hard_sigmoid}, sigmoid)
    order = chosen(slips, {"ifoc": "ifoc", "icfo": "icfo"}, "ifco")
    n = len(recurrent)
    h = c = np.zeros((len(x), n), x.dtype)
    states: list[Any] = []
    for t in reversed(range(x.shape[1])) if "reversed" in slips else range(x.shape[1]):
        z = x[:, t] @ kernel + h @ recurrent + bias
        part = dict(zip(order, np.split(z, 4, axis=1), strict=True))
        f = gate(part["f"] + ("forget bias" in slips))
        candidate = part["c"] if "no candidate tanh" in slips else np.tanh(part["c"])
        c = f * c + gate(part["i"]) * candidate
        h = gate(part["o"]) * (c if "o * c" in slips else np.tanh(c))
        states.append(h)
    return np.stack(states, axis=1)


def gru(x: Any, kernel: Any, recurrent: Any, bias: Any, after: bool, slips: Slips) -> Any:
    n = len(recurrent)
    h = np.zeros((len(x), n), x.dtype)
    inner = bias[1] if bias.ndim == 2 else np.zeros(3 * n, x.dtype)
    outer = bias[0] if bias.ndim == 2 else bias
    if "one bias" in slips:
        inner = 0 * inner
    states: list[Any] = []
    for t in range(x.shape[1]):
        xz, xr, xh = np.split(x[:, t] @ kernel + outer, 3, axis=1)
        if "r, z" in slips:
            xz, xr = xr, xz
        uz, ur, uh = recurrent[:, :n], recurrent[:, n : 2 * n], recurrent[:, 2 * n :]
        bz, br, bh = np.split(inner, 3)
        if "r, z" in slips:
            uz, ur, bz, br = ur, uz, br, bz
        z, r = sigmoid(xz + h @ uz + bz), sigmoid(xr + h @ ur + br)
        new = np.tanh(xh + (r * (h @ uh + bh) if after else (r * h) @ uh + bh))
        h = (1 - z) * h + z * new if "1 - z" in slips else z * h + (1 - z) * new
        states.append(h)
    return np.stack(states, axis=1)


def simple(x: Any, kernel: Any, recurrent: Any, bias: Any) -> Any:
    h = np.zeros((len(x), len(recurrent)), x.dtype)
    for t in range(x.shape[1]):
        h = np.tanh(x[:, t] @ kernel + h @ recurrent + bias)
    return h


def forward(w: list[Any], inputs: list[Any], slips: Slips) -> dict[str, Any]:
    numbers = inputs[0].astype(int)
    table = w[0] * np.sqrt(3) if "emb scaled" in slips else w[0]
    emb = table[numbers - 1 if "class - 1" in slips else numbers]
    recurrent = w[2].ravel().reshape(w[2].shape, order="F") if "fortran" in slips else w[2]
    states = lstm(emb, w[1], recurrent, w[3], slips)
    first = gru(states, w[4], w[5], w[6], "before" not in slips, slips)
    second = gru(first, w[7], w[8], w[9], "old after" in slips, frozenset())
    ahead, back = simple(second, *w[10:13]), simple(second[:, ::-1], *w[13:16])
    if "back as it is" in slips:
        back = simple(second, *w[13:16])
    both = np.concatenate([back, ahead] if "swapped" in slips else [ahead, back], axis=1)
    return {
        "emb": emb, "lstm": states, "gru": first, "old": second, "both": both,
        "out": both @ w[16] + w[17],
    }  # fmt: skip


NET = Net(build, forward)
