"""Multi-head attention with a residual, layer normalization over two layers, mean over time."""

from typing import Any

import numpy as np

from tests.parity.forwards.common import Net, Slips, chosen, softmax


def build(keras: Any) -> Any:
    layers = keras.layers
    i = keras.Input((4, 6))
    a = layers.MultiHeadAttention(2, 3, name="mha")(i, i)
    x = layers.LayerNormalization(name="ln1")(layers.Add(name="add")([i, a]))
    f = layers.Dense(6, name="down")(layers.Dense(8, activation="relu", name="up")(x))
    x = layers.LayerNormalization(name="ln2")(layers.Add(name="add2")([x, f]))
    x = layers.GlobalAveragePooling1D(name="mean")(x)
    return keras.Model(i, layers.Dense(2, name="out")(x))


def attention(x: Any, w: list[Any], slips: Slips) -> Any:
    q, k, v = (np.einsum("btd,dhk->bhtk", x, w[n]) + w[n + 1][:, None] for n in (0, 2, 4))
    d = q.shape[-1]
    scale = chosen(slips, {"no sqrt(d)": 1.0, "sqrt of all": (2 * d) ** -0.5}, d**-0.5)
    scores = scale * q @ k.transpose(0, 1, 3, 2)
    if "causal" in slips:
        scores = np.where(np.tri(x.shape[1], dtype=bool), scores, -np.inf)
    shares = softmax(scores, -2 if "over queries" in slips else -1)
    return np.einsum("bhtk,hkd->btd", shares @ v, w[6]) + w[7]


def norm(x: Any, gamma: Any, beta: Any, slips: Slips) -> Any:
    eps = x.dtype.type(1e-5 if "eps" in slips else 1e-3)
    mean = x.mean(axis=-1, keepdims=True)
    if "two-pass" in slips:  # right, another way
        var = (x * x).mean(axis=-1, keepdims=True) - mean**2
    else:
        var = x.var(axis=-1, keepdims=True, ddof=int("n-1" in slips))
    return (x - mean) / np.sqrt(var + eps) * gamma + beta


def forward(w: list[Any], inputs: list[Any], slips: Slips) -> dict[str, Any]:
    (x,) = inputs
    a = attention(x, w[:8], slips)
    s = a if "no residual" in slips else x + a
    x1 = s if "no ln1" in slips else norm(s, w[8], w[9], slips)
    up = x1 @ w[10] + w[11]
    up = chosen(slips, {"leaky": np.where(up > 0, up, 0.01 * up), "no relu": up}, up * (up > 0))
    f = up @ w[12] + w[13]
    x2 = norm(x1 + f, w[14], w[15], slips)
    mean = chosen(
        slips,
        {"max": x2.max(axis=1), "sum": x2.sum(axis=1), "last": x2[:, -1]},
        x2.mean(axis=1),
    )
    return {"mha": a, "ln1": x1, "ln2": x2, "mean": mean, "out": mean @ w[16] + w[17]}


NET = Net(build, forward)
