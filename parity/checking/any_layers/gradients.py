"""Gradients of a network of any layers, once its forward pass is known to be the reference's.

A forward pass that agrees with Keras's has the same loss, and that loss the same derivative: so
gradients are compared with the measured derivative of the named loss of the user's own forward,
which names what is wrong with each tensor, whatever the layers are. Keras's automatic
differentiation is asked beside it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from numpy_impl.functional import as_list
from numpy_impl.types import Array
from parity.candidate import Candidate, CandidateError
from parity.checking.any_layers import answers
from parity.checking.any_layers.compare import AnyLayers
from parity.checking.asking.subject import Subject, TheirError, lowest
from parity.checking.bugs.findings import KERAS, Notes, Witness
from parity.checking.derivative.compare import LAYERS_UNKNOWN, check_derivative
from parity.checking.derivative.samples import samples
from parity.checking.model.losses import (
    BINARY,
    BINARY_LOGITS,
    CATEGORICAL,
    LOG_LIKELIHOOD,
    LOGITS,
    Cost,
    Declared,
    LossKind,
)

# To so many digits two gradients are the same at a glance, as a witness tells it.
_GLANCE = {np.dtype(np.float64): 1e-7}
_GLANCE_FLOAT32 = 1e-2


def check_gradients_beside(
    candidate: Candidate, beside: AnyLayers, loss: Declared | None, seed: int
) -> Notes:
    """Return what is found of gradients or steps, of a forward pass that agrees.

    Args:
        candidate: With gradients or step.
        beside: The forward pass, compared.
        loss: The loss, if it was named.
        seed: Of weights and samples.

    Raises:
        CandidateError: No loss is known.
        ValueError: What the reference's forward pass computes in training is something else, or it
            has several outputs, or samples do not lie in rows.
    """
    own = candidate.loss
    if callable(own):
        return check_derivative(Subject(candidate), seed)
    if loss is None:
        raise CandidateError(
            "expected loss, by Keras's name or as a function, for gradients beside a model of "
            "other than dense layers. Received: none"
        )
    if candidate.weight_decay:
        raise CandidateError(
            "expected loss as a function where gradients beside a model of other than dense layers "
            f"have a penalty. Received: weight_decay={candidate.weight_decay!r}"
        )
    composed = _Composed(candidate, beside, loss)
    subject = Subject(replace(candidate, loss=composed.loss, data=composed.data()))
    notes = check_derivative(subject, seed)
    notes.untested = [what for what in notes.untested if what != LAYERS_UNKNOWN]
    if candidate.data is None:
        notes.conventions["samples"] = beside.probes.reading.words
    notes.remarks.append(
        f"Loss: {loss.name}, as declared, of your own forward, which is the reference's; "
        '"your own loss" above is this one.'
    )
    if candidate.gradients is not None:
        notes.witnesses.append(composed.keras(subject, seed))
    return notes


def refuse_what_training_changes(model: Any) -> None:
    """Raise ValueError for a model whose gradients are not those of the loss of its outputs."""
    penalized = [v.path for v in model.variables if getattr(v, "regularizer", None) is not None]
    penalized += [e.name for e in model.layers if getattr(e, "activity_regularizer", None)]
    if penalized:
        raise ValueError(
            "reference: with gradients, expected layers without regularizers. "
            f"Received: {', '.join(penalized[:3])}"
        )
    changing = [v.path for v in model.variables if "float" in v.dtype and not v.trainable]
    if changing or len(getattr(model, "outputs", None) or [model]) != 1:
        raise ValueError(
            "reference: with gradients, expected a model with one output whose weights are all "
            "trained (no moving statistics); give loss and no reference, or forward alone. "
            f"Received: {', '.join(changing[:3]) or 'several outputs'}"
        )


class _Composed:
    """A named loss of the user's own forward."""

    def __init__(self, candidate: Candidate, beside: AnyLayers, loss: Declared) -> None:
        self.candidate = candidate
        self.probes = beside.probes
        self.opened = beside.opened
        self.asked = Subject(candidate)
        if self.probes.reading.way not in (answers.whole, answers.apart):
            raise ValueError(
                "reference: with gradients of other than dense layers, expected samples in rows. "
                f"Received: samples {self.probes.reading.words}"
            )
        run = self.probes.all[0].run
        self.output = next(o for o in self.probes.reading.observed if o.call == len(run.calls) - 1)
        self.shape = run.outputs[0].shape[1:]
        cost = _meant(loss.kind, run.outputs[0]).cost
        assert cost is not None  # every loss that has a name has one
        self.cost: Cost = cost
        self.factor = loss.factor
        self.sparse = candidate.labels == "integer" or loss.name.startswith("sparse")

    def loss(self, x: Any, y: Any) -> float:
        """Return the loss of a batch."""
        inputs = as_list(x)
        answer = self.probes.reading.way(self.asked, inputs)
        a = self.output.array(answer, (len(inputs[0]), *self.shape))
        return float(self.cost(np, a, _vectors(y, a))) * self._reduced(a)

    def _reduced(self, a: Array) -> float:
        return self.factor(int(np.prod(a.shape[:-1])), a.shape[-1])

    def data(self) -> Any:
        """Return the user's samples, or such as the model takes, with targets that fit."""
        if self.candidate.data is not None:
            return self.candidate.data
        if not self.sparse and self.candidate.gradients is not None:
            x, y = self._drawn(np.random.default_rng(0))
            try:
                self.asked.gradients(x, y)
            except TheirError:  # perhaps it takes labels
                self.sparse = True
                x, y = self._drawn(np.random.default_rng(0))
                try:
                    self.asked.gradients(x, y)
                except TheirError:
                    self.sparse = False
        return self._drawn

    def _drawn(self, rng: np.random.Generator) -> tuple[Any, Array]:
        inputs = [each.draw(rng, 1.0) for each in self.probes.takes]
        shape, classes = (len(inputs[0]), *self.shape[:-1]), self.shape[-1]
        labels = rng.integers(0, max(classes, 2), shape)
        if not self.sparse:
            labels = np.eye(classes)[labels] if classes > 1 else labels[..., None] * 1.0
        return (inputs[0] if len(inputs) == 1 else inputs), labels

    def keras(self, subject: Subject, seed: int) -> Witness:
        """Return whether Keras's automatic differentiation gives the user's gradients."""
        from keras_impl import keras, precision
        from keras_impl.pullback import pullback

        probe = self.probes.all[0]
        rng = np.random.default_rng([seed, 1])
        x, y = samples(subject, rng).draw(rng)
        inputs = as_list(x)

        def cost(tensors: Mapping[str, Any]) -> Any:
            values: Any = {id(v): tensors[path] for path, v in by_path.items()}
            a: Any = self.opened.run(inputs, values, written=False).whole[0, 0][1]
            shape = tuple(int(n) for n in a.shape)
            meant = _vectors(y, np.zeros(shape))
            targets = keras.ops.convert_to_tensor(meant, dtype=self.opened.dtype)
            return self.cost(keras.ops, a, targets) * self._reduced(np.zeros(shape))

        by_path = dict(zip(self.opened.paths, self.opened.variables, strict=True))
        dtype = self.opened.dtype
        arrays = {path: probe.values[id(v)].astype(dtype) for path, v in by_path.items()}
        with precision(dtype):
            _, meant = pullback(cost, arrays, [np.ones((), dtype)])
        weights = dict(zip(self.opened.paths, probe.values.values(), strict=True))
        rows, before = self.probes.match.rows, subject.weights()
        try:
            subject.set_weights([row.as_given(weights[row.variable]) for row in rows])
            given = subject.gradients(x, y)
        finally:
            subject.set_weights(before)
        pairs = [
            (array, row.as_given(meant[row.variable]))
            for array, row in zip(given, rows, strict=True)
            if array is not None
        ]
        differ = sum(not same for same in _alike(pairs))
        words = f"{len(pairs)} gradients compared: " + (f"{differ} differ" if differ else "equal")
        return Witness(KERAS, not differ, words)


def _alike(pairs: Sequence[tuple[Array, Array]]) -> list[bool]:
    """Return for each pair whether it is the same, but for a factor that most of them share."""
    sized = [(a, b) for a, b in pairs if a.size == b.size and np.any(b)]
    ratios = [float(np.vdot(a, b) / np.vdot(b, b)) for a, b in sized]
    # The one that most have; 1 where any has it.
    factor = max([1.0, *ratios], key=lambda f: sum(np.isclose(r, f, rtol=1e-5) for r in ratios))
    found: list[bool] = []
    for a, b in pairs:
        glance = _GLANCE.get(lowest(a.dtype, b.dtype), _GLANCE_FLOAT32)
        meant = factor * b
        size = max(float(np.max(np.abs(meant), initial=0.0)), 1e-12)
        fits = a.size == b.size
        found.append(fits and bool(np.all(np.abs(a.reshape(b.shape) - meant) <= glance * size)))
    return found


def _vectors(y: Any, a: Array) -> Array:
    """Return targets of the outputs' shape: class numbers as one-hot vectors."""
    y = np.asarray(y)
    if y.dtype.kind in "iu" and y.shape == a.shape[:-1] and a.shape[-1] > 1:
        return np.eye(a.shape[-1])[y]
    return y.reshape(a.shape) * 1.0


def _meant(kind: LossKind, a: Array) -> LossKind:
    """Return the loss that is meant of outputs that are no probabilities: of what is behind."""
    if kind is CATEGORICAL and not np.allclose(np.sum(a, axis=-1), 1):
        logarithms = np.allclose(np.sum(np.exp(a), axis=-1), 1)
        return LOG_LIKELIHOOD if logarithms else LOGITS
    if kind is BINARY and (np.min(a) < 0 or np.max(a) > 1):
        return BINARY_LOGITS
    return kind
