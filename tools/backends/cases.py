"""What is compared on each backend: every kind of layer, optimizer and loss, and the networks.

Each case is as small as shows it. Importing this module imports Keras.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np

import parity
from keras_impl import keras, losses, models, precision
from numpy_impl.activations import ACTIVATIONS
from numpy_impl.functional import one_or_list
from numpy_impl.layers import LAYERS
from numpy_impl.losses import LOSSES
from numpy_impl.optimizers import OPTIMIZERS
from numpy_impl.types import Precision
from parity.comparing.rows import Row, Verdict
from parity.comparing.twins import keras_activation

Group = Literal["layers", "activations", "losses", "optimizers", "networks"]
DTYPES: tuple[Precision, ...] = ("float64", "float32")
_SAMPLES, _CLASSES, _WORDS = 6, 3, 7
L: Any = keras.layers


@dataclass(frozen=True)
class Case:
    """A network, what it minimises, and how.

    Attributes:
        group: What kind of thing it shows.
        name: Which one: Keras's name.
        make: Makes the model, within the precision that is compared.
        loss: Its name.
        optimizer: Makes the optimizer; None compares no steps.
        steps: How many.
        inputs: What inputs are: normal numbers, those of words, or pixels in 0..1.
        from_logits: Whether the loss takes logits.
        confident: How many times as large the weights are.
    """

    group: Group
    name: str
    make: Callable[[], Any]
    loss: str = "mean_squared_error"
    optimizer: Callable[[], Any] | None = None
    steps: int = 2
    inputs: Literal["normal", "words", "pixels"] = "normal"
    from_logits: bool = False
    confident: float = 1.0

    def compare(self, dtype: Precision, seed: int = 0) -> parity.Comparison:
        """Return the comparison of the model with its twin, on random weights and samples.

        Raises:
            ValueError: It is refused on this backend.
        """
        rng = np.random.default_rng(seed)
        with precision(dtype):
            model = self.make()
            if self.group != "networks":  # which have weights of their own
                drawn = [_weights(rng, w.shape) for w in model.get_weights()]
                model.set_weights([self.confident * array for array in drawn])
            x = one_or_list([self._inputs(rng, t.shape[1:]) for t in model.inputs])
            y = self._targets(rng, model.output_shape[1:])
            return parity.compare(
                model, parity.numpy_twin(model), x, y, loss=self._loss(), steps=self.steps,
                optimizer=None if self.optimizer is None else self.optimizer(),
            )  # fmt: skip

    def _loss(self) -> Any:
        if not self.from_logits:
            return self.loss
        kind: Any = type(losses.get(self.loss))
        return kind(from_logits=True)

    def _inputs(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
        shape = (_SAMPLES, *shape)
        if self.inputs == "words":
            return rng.integers(0, _WORDS, shape)
        return rng.random(shape) if self.inputs == "pixels" else rng.normal(size=shape)

    def _targets(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
        if not self.loss.endswith("crossentropy"):
            return rng.normal(size=(_SAMPLES, *shape))
        labels = rng.integers(0, shape[-1], _SAMPLES)
        return labels if self.loss.startswith("sparse") else np.eye(shape[-1])[labels]


def _weights(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    # Vectors are positive, as a moving variance has to be.
    return rng.uniform(0.5, 1.5, shape) if len(shape) == 1 else 0.6 * rng.normal(size=shape)


def worst(comparison: parity.Comparison) -> Row:
    """Return the row whose error is largest for its bound; one beyond rounding first.

    Where a training ends is left out, as it has no bound of its own.
    """
    rows = [row for row in comparison.rows if row.verdict is not Verdict.FOLLOWS]
    return max(rows, key=lambda row: (row in comparison.failures(), *row.rank))


def cases() -> Iterator[Case]:
    """Yield every case, in the order of the page."""
    for name in LAYERS:
        entries, inputs = _LAYERS[name]
        yield Case("layers", name, entries, inputs=inputs)
    for name in sorted(ACTIVATIONS):
        yield Case("activations", name, partial(_activation, name))
    for name in LOSSES:
        last = "sigmoid" if name in ("binary_crossentropy", "quadratic") else "softmax"
        yield Case("losses", name, partial(_dense, last), name)
        if name.endswith("crossentropy"):
            if last == "softmax":  # in float32 nothing is left of 1 - p near 1
                confident = partial(Case, "losses", f"{name}, confident", partial(_dense, last))
                yield confident(name, confident=20)
            yield Case("losses", f"{name}, from logits", _dense, name, from_logits=True)
    for kind in OPTIMIZERS.values():
        rule = getattr(keras.optimizers, kind.__name__)
        yield Case("optimizers", kind.__name__, _dense, optimizer=partial(rule, 0.01), steps=5)
    for name, (loss, rule) in _NETWORKS.items():
        make = partial(models.build, name, np.random.default_rng(0))
        yield Case("networks", name, make, loss, rule, inputs="pixels")


def _sequential(shape: tuple[int, ...], make: Callable[[], list[Any]]) -> Any:
    return keras.Sequential([keras.Input(shape), *make()])


def _activation(name: str) -> Any:
    function = keras_activation(ACTIVATIONS[name])
    return _sequential((5,), lambda: [L.Dense(4, function), L.Dense(_CLASSES)])


def _dense(last: str = "linear") -> Any:
    return _sequential((5,), lambda: [L.Dense(4, "sigmoid"), L.Dense(_CLASSES, last)])


def _merged(make: Callable[[], Any]) -> Any:
    """Return a model that joins what two layers give."""
    inputs = keras.Input((5,))
    joined = make()([L.Dense(4)(inputs), L.Dense(4, "sigmoid")(inputs)])
    return keras.Model(inputs, L.Dense(_CLASSES)(joined))


def _attending(make: Callable[[], Any], listed: bool = True) -> Any:
    """Return a model that looks from one sequence at another."""
    query, value = keras.Input((3, 4)), keras.Input((5, 4))
    seen = make()([query, value]) if listed else make()(query, value)
    return keras.Model([query, value], L.Dense(_CLASSES)(L.Flatten()(seen)))


_PICTURE, _STEPS, _ROW = (6, 6, 2), (5, 3), (5,)


def _on(shape: tuple[int, ...], *make: Callable[[], Any]) -> tuple[Callable[[], Any], Any]:
    """Return a case's model: the layers, and a Dense one behind them."""

    def layers() -> list[Any]:
        made = [each() for each in make]
        return [*made, L.Flatten(), L.Dense(_CLASSES)]

    return partial(_sequential, shape, layers), "normal"


def _reading(*make: Callable[[], Any]) -> tuple[Callable[[], Any], Any]:
    """Return a model that is given words."""
    model, _ = _on((4,), partial(L.Embedding, _WORDS, 3), *make)
    return model, "words"


def _joining(kind: str, **options: Any) -> tuple[Callable[[], Any], Any]:
    return partial(_merged, partial(getattr(L, kind), **options)), "normal"


# For every layer of the engine a model with it, and what its inputs are.
_LAYERS: dict[str, tuple[Callable[[], Any], Any]] = {
    "GRU": _on(_STEPS, partial(L.GRU, 4)),
    "LSTM": _on(_STEPS, partial(L.LSTM, 4)),
    "SimpleRNN": _on(_STEPS, partial(L.SimpleRNN, 4)),
    "Bidirectional": _on(_STEPS, lambda: L.Bidirectional(L.LSTM(2, return_sequences=True))),
    "TimeDistributed": _on(_STEPS, lambda: L.TimeDistributed(L.Dense(2, "sigmoid"))),
    "Embedding": _reading(),
    "Masking": _on(_STEPS, L.Masking, partial(L.SimpleRNN, 4)),
    "Activation": _on(_ROW, partial(L.Dense, 4), partial(L.Activation, "tanh")),
    "Dense": _on(_ROW, partial(L.Dense, 4, "relu")),
    "Dropout": _on(_ROW, partial(L.Dense, 6, "tanh"), partial(L.Dropout, 0.3)),
    "PReLU": _on(_ROW, partial(L.Dense, 4), L.PReLU),
    "Rescaling": _on(_ROW, partial(L.Rescaling, 0.1, offset=0.3), partial(L.Dense, 4)),
    "Conv1D": _on(_STEPS, partial(L.Conv1D, 4, 3, activation="relu")),
    "Conv2D": _on(_PICTURE, partial(L.Conv2D, 3, 3, padding="same", activation="tanh")),
    "Conv1DTranspose": _on(_STEPS, partial(L.Conv1DTranspose, 4, 3, strides=2)),
    "Conv2DTranspose": _on(_PICTURE, partial(L.Conv2DTranspose, 3, 3, strides=2)),
    "DepthwiseConv2D": _on(_PICTURE, partial(L.DepthwiseConv2D, 3)),
    "SeparableConv2D": _on(_PICTURE, partial(L.SeparableConv2D, 3, 3)),
    **{
        f"{kind}{n}D": _on((_STEPS, _PICTURE)[n - 1], partial(getattr(L, f"{kind}{n}D"), *size))
        for kind, *size in (
            ("MaxPooling", 2), ("AveragePooling", 2), ("GlobalMaxPooling",),
            ("GlobalAveragePooling",), ("Cropping",), ("ZeroPadding",),
        )
        for n in (1, 2)
    },
    "UpSampling2D": _on(_PICTURE, L.UpSampling2D),
    "Flatten": _on(_PICTURE),
    "Reshape": _on(_PICTURE, partial(L.Reshape, (9, 8)), partial(L.Conv1D, 2, 3)),
    "Permute": _on(_STEPS, partial(L.Permute, (2, 1)), partial(L.Conv1D, 2, 3)),
    "RepeatVector": _on(_ROW, partial(L.RepeatVector, 3), partial(L.SimpleRNN, 4)),
    "BatchNormalization": _on(_ROW, partial(L.Dense, 6, "tanh"), L.BatchNormalization),
    "GroupNormalization": _on(_ROW, partial(L.Dense, 6, "tanh"), partial(L.GroupNormalization, 3)),
    "Softmax": _on(_ROW, partial(L.Dense, 6), L.Softmax, partial(L.Dense, 4)),
    "LayerNormalization": _on(_ROW, partial(L.Dense, 6, "tanh"), L.LayerNormalization),
    "RMSNormalization": _on(_ROW, partial(L.Dense, 6, "tanh"), L.RMSNormalization),
    **{
        kind: _joining(kind)
        for kind in (
            "Add", "Average", "Concatenate", "Maximum", "Minimum", "Multiply", "Subtract",
        )
    },
    "Dot": _joining("Dot", axes=1),
    "Attention": (partial(_attending, partial(L.Attention, use_scale=True)), "normal"),
    "AdditiveAttention": (partial(_attending, L.AdditiveAttention), "normal"),
    "MultiHeadAttention": (
        partial(_attending, partial(L.MultiHeadAttention, 2, 3), listed=False),
        "normal",
    ),
}  # fmt: skip
_sgd = partial(keras.optimizers.SGD, 0.1, momentum=0.9)
# The documents' networks, by the loss that each is trained with, and a rule.
_NETWORKS: dict[str, tuple[str, Callable[[], Any]]] = {
    "64-40-10": ("quadratic", _sgd),
    "784-30-10": ("quadratic", _sgd),
    "64-200-10": ("categorical_crossentropy", _sgd),
    "784-64-10": ("categorical_crossentropy", _sgd),
    "784-500-300-10": ("categorical_crossentropy", keras.optimizers.RMSprop),
}
