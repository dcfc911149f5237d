"""Convolution, batch normalization, pooling, flattening, layer normalization, softmax."""

from typing import Any

import numpy as np

from tests.parity.forwards.common import Net, Slips, chosen, gelu, gelu_by_tanh, softmax


def build(keras: Any) -> Any:
    layers = keras.layers
    i = keras.Input((6, 6, 3))
    x = layers.Conv2D(4, 3, padding="same", activation="gelu", name="conv")(i)
    x = layers.BatchNormalization(name="bn")(x)
    x = layers.MaxPooling2D(name="pool")(x)
    x = layers.Flatten(name="flat")(x)
    x = layers.LayerNormalization(name="ln")(x)
    return keras.Model(i, layers.Dense(5, activation="softmax", name="out")(x))


def correlated(x: Any, k: Any, stride: int = 1) -> Any:
    """A loop over places, with the kernel as it lies."""
    h, w = (x.shape[1] - k.shape[0]) // stride + 1, (x.shape[2] - k.shape[1]) // stride + 1
    out = np.zeros((len(x), h, w, k.shape[3]), x.dtype)
    for i in range(h):
        for j in range(w):
            window = x[:, stride * i :, stride * j :][:, : k.shape[0], : k.shape[1]]
            out[:, i, j] = np.tensordot(window, k, 3)
    return out


def forward(w: list[Any], inputs: list[Any], slips: Slips) -> dict[str, Any]:
    kernel, bias, gamma, beta, mean, var, gamma2, beta2, dense, dense_bias = w
    (x,) = inputs
    eps = x.dtype.type(1e-3)
    x = chosen(slips, {"x/255": x / 255, "bgr": x[..., ::-1], "x/127.5-1": x / 127.5 - 1}, x)
    kernel = chosen(
        slips,
        {
            "flipped": kernel[::-1, ::-1],
            "spatial transposed": kernel.transpose(1, 0, 2, 3),
            "fortran": kernel.ravel().reshape(kernel.shape, order="F"),
        },
        kernel,
    )
    pads = chosen(slips, {"pad end": ((0, 0), (0, 2), (0, 2), (0, 0))},
                  ((0, 0), (1, 1), (1, 1), (0, 0)))  # fmt: skip
    z = correlated(np.pad(x, pads), kernel) + (0 if "no bias" in slips else bias)
    act = chosen(slips, {"gelu tanh": gelu_by_tanh, "relu": lambda z: np.maximum(z, 0)}, gelu)
    conv = act(z)
    mu, v = mean, var
    if "batch statistics" in slips:
        mu, v = conv.mean(axis=(0, 1, 2)), conv.var(axis=(0, 1, 2))
    e = chosen(slips, {"bn eps": x.dtype.type(1e-5)}, eps)
    root = chosen(slips, {"bn eps outside": np.sqrt(v) + e, "bn no root": v + e}, np.sqrt(v + e))
    bn = (conv - mu) / root * gamma + beta
    windows = bn.reshape(len(x), 3, 2, 3, 2, 4)
    pool = windows.mean(axis=(2, 4)) if "average" in slips else windows.max(axis=(2, 4))
    flat = (pool.transpose(0, 3, 1, 2) if "channels first" in slips else pool).reshape(len(x), -1)
    axis = 0 if "ln over batch" in slips else 1
    ddof = 1 if "ln n-1" in slips else 0
    v = flat.var(axis=axis, ddof=ddof, keepdims=True)
    e = chosen(slips, {"ln eps": x.dtype.type(1e-6)}, eps)
    root = np.sqrt(v) + e if "ln eps outside" in slips else np.sqrt(v + e)
    ln = (flat - flat.mean(axis=axis, keepdims=True)) / root
    if "no gamma" not in slips:
        ln = ln * gamma2
    ln = ln + beta2
    out = softmax(ln @ dense + dense_bias, 0 if "softmax over batch" in slips else 1)
    return {"conv": conv, "bn": bn, "pool": pool, "flat": flat, "ln": ln, "out": out}


NET = Net(build, forward)
