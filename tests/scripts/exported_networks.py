"""Small networks that have every layer of ``numpy_impl`` between them, in all their forms."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from numpy_impl import activations, layers
from numpy_impl.functional import AnyNetwork, Functional
from numpy_impl.layers import Layer
from numpy_impl.network import Call, Sequential
from numpy_impl.types import Shape


def _chain(shape: int | Shape, *stack: Layer) -> Sequential:
    return Sequential(list(stack), shape, dtype="float64")


def _graph(
    inputs: Mapping[str, int | Shape],
    outputs: list[str],
    *calls: tuple[str, Layer, tuple[str, ...]],
) -> Functional:
    return Functional(inputs, [Call(*call) for call in calls], outputs, dtype="float64")


def _pictures() -> dict[str, AnyNetwork]:
    padding: Any
    order: Any
    found: dict[str, AnyNetwork] = {}
    for padding in ("valid", "same"):
        for order, shape in (("channels_last", (7, 6, 4)), ("channels_first", (4, 7, 6))):
            found[f"pictures, {padding}, {order}"] = _chain(
                shape,
                layers.Conv2D(6, 3, (2, 1), padding, order, groups=2, activation="relu"),
                layers.MaxPooling2D(2, None, padding, order),
                layers.UpSampling2D(2, order),
                layers.AveragePooling2D((2, 1), 1, padding, order),
                layers.UpSampling2D((3, 2), order),
                layers.ZeroPadding2D(((1, 0), (2, 1)), order),
                layers.DepthwiseConv2D(2, 1, padding, 2, order, activation="elu"),
                layers.SeparableConv2D(3, 2, 1, padding, order, use_bias=False),
                layers.Conv2DTranspose(3, 3, 2, padding, None, order, activation="gelu"),
                layers.GlobalAveragePooling2D(order, keepdims=True),
                layers.GlobalMaxPooling2D(order),
            )
    return found


def _sequences() -> dict[str, AnyNetwork]:
    found: dict[str, AnyNetwork] = {}
    for masked in (False, True):
        for backwards in (False, True):
            for bias in (False, True):
                several: dict[str, Any] = {"return_sequences": True, "use_bias": bias}
                found[f"recurrent, masked {masked}, backwards {backwards}, bias {bias}"] = _chain(
                    (6, 3),
                    *([layers.Masking(0.5)] if masked else []),
                    layers.SimpleRNN(3, **several),
                    layers.LSTM(3, **several, go_backwards=backwards, zero_output_for_mask=True),
                    layers.GRU(4, **several, reset_after=False),
                    layers.GRU(2, use_bias=bias, go_backwards=backwards),
                )
    for merge in ("concat", "sum", "ave", "mul"):
        found[f"bidirectional, {merge}"] = _chain(
            (5, 3),
            layers.Masking(0.0),
            layers.Bidirectional(layers.LSTM(3, return_sequences=True), merge),
            layers.Bidirectional(layers.SimpleRNN(2), merge),
        )
    return found


def _attention() -> dict[str, AnyNetwork]:
    found: dict[str, AnyNetwork] = {}
    for causal in (False, True):
        for scale in (False, True):
            heads: dict[str, Any] = {"use_bias": scale, "use_causal_mask": causal}
            found[f"attention, causal {causal}, scale {scale}"] = _graph(
                {"query": (3, 4), "value": (5, 4), "key": (5, 4)},
                ["sum"],
                ("one", layers.Attention(scale, causal), ("query", "value")),
                ("two", layers.AdditiveAttention(scale, causal), ("query", "value", "key")),
                ("three", layers.MultiHeadAttention(2, 3, 2, **heads), ("query", "value")),
                ("four", layers.MultiHeadAttention(2, 3, **heads), ("query", "value", "key")),
                ("sum", layers.Add(), ("one", "two", "three", "four")),
            )
    return found


def _merging() -> dict[str, AnyNetwork]:
    several = {
        kind: getattr(layers, kind)
        for kind in ("Add", "Average", "Multiply", "Maximum", "Minimum", "Concatenate")
    }
    found: dict[str, AnyNetwork] = {
        kind: _graph(
            {"a": 4, "lambda": 4, "w": 4},
            ["merged"],
            ("dense", layers.Dense(4), ("a",)),
            ("merged", make(), ("dense", "lambda", "w")),
        )
        for kind, make in several.items()
    }
    found["products and differences"] = _graph(
        {"a": (3, 4), "b": (5, 4)},
        ["difference", "product"],
        ("cosine", layers.Dot(2, normalize=True), ("a", "b")),
        ("product", layers.Dot((2, 2)), ("a", "b")),
        ("difference", layers.Subtract(), ("cosine", "product")),
    )
    shared = layers.Dense(4, "tanh")
    found["a shared layer"] = _graph(
        {"a": 4, "b": (3, 4)},
        ["all", "dense"],
        ("dense", shared, ("a",)),
        ("again", shared, ("dense",)),
        ("at each step", shared, ("b",)),
        ("flat", layers.Flatten(), ("at each step",)),
        ("all", layers.Concatenate(), ("again", "flat")),
    )
    return found


def networks() -> dict[str, AnyNetwork]:
    """Return the networks by name, their weights and statistics drawn."""
    found: dict[str, AnyNetwork] = {
        f"activation {name}": _chain(5, layers.Dense(4, name), layers.Activation(name))
        for name in [*activations.ACTIVATIONS, "leaky_relu(0.01)"]
    }
    found["two slopes"] = _chain(
        5, layers.Dense(4, "leaky_relu(0.01)"), layers.Dense(4, "leaky_relu")
    )
    found["dense"] = _chain(
        (3, 5), layers.Rescaling(0.5, -1), layers.Dense(4, "tanh"), layers.Dropout(0.3),
        layers.Dense(3, use_bias=False), layers.Flatten(), layers.Dense(2, "softmax"),
    )  # fmt: skip
    found["sequences"] = _chain(
        (9, 4), layers.Conv1D(6, 3, 1, "causal", None, 2, 2, "silu"),
        layers.MaxPooling1D(2, 1, "same"), layers.AveragePooling1D(2, 1, "same"),
        layers.ZeroPadding1D((1, 2)), layers.Conv1DTranspose(3, 3, 2), layers.Cropping1D((1, 2)),
        layers.GlobalMaxPooling1D(),
    )  # fmt: skip
    found["moved"] = _chain(
        (9, 4), layers.GlobalAveragePooling1D(), layers.RepeatVector(3), layers.Permute((2, 1)),
        layers.Reshape((-1, 3, 2)), layers.PReLU((1,)), layers.PReLU(),
        layers.Cropping2D((0, (1, 1))),
    )  # fmt: skip
    both: dict[str, Any]
    for both in ({"center": True, "scale": True}, {"center": False}, {"scale": False}):
        found[f"normalizations, {both}"] = _chain(
            (3, 5, 4), layers.BatchNormalization(1, **both), layers.BatchNormalization(**both),
            layers.GroupNormalization(2, **both), layers.GroupNormalization(-1, 1, **both),
            layers.LayerNormalization(**both), layers.RMSNormalization(),
        )  # fmt: skip
    found["words"] = _chain(
        5, layers.Embedding(7, 3, mask_zero=True), layers.LayerNormalization(), layers.LSTM(3)
    )
    found["masked mean"] = _chain(
        (5, 2), layers.Masking(0.0), layers.GlobalAveragePooling1D(), layers.Dense(2)
    )
    found["several axes"] = _chain(
        (3, 4, 2),
        layers.LayerNormalization([1, 2]),
        layers.Softmax(1),
        layers.Softmax([3, 1]),
        layers.LayerNormalization(2, center=False),
        layers.Flatten(),
    )
    found["steps"] = _chain(
        (2, 5, 5, 1),
        layers.TimeDistributed(layers.Conv2D(2, 3, activation="relu")),
        layers.TimeDistributed(layers.LayerNormalization()),
        layers.TimeDistributed(layers.Flatten()),
        layers.TimeDistributed(layers.Dense(3)),
        layers.TimeDistributed(layers.Activation("softmax")),
    )
    found |= {**_pictures(), **_sequences(), **_attention(), **_merging()}
    rng = np.random.default_rng(0)
    for network in found.values():
        for name, weight in zip(network.weight_names, network.weights, strict=True):
            weight[...] = rng.normal(0, 0.5, weight.shape)
            if name.endswith("variance"):
                weight[...] = rng.uniform(0.5, 2, weight.shape)
    return found
