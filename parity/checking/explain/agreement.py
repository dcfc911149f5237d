"""Gradients beside the right ones: are they those of a loss, up to a usual factor and rounding?

Where they are, nothing needs to be explained.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from numpy_impl.types import Array
from parity.bounds.rounding import Approx
from parity.checking.model.layout import Key
from parity.checking.model.losses import LossKind, correct_gradients, kinds, reductions
from parity.checking.model.probe import Probe, wide

# The multiple of the weight in its gradient, and how far it is not known.
Shares = dict[Key, tuple[float, float]]
# What is added to a gradient besides, and how far it is not known.
Added = dict[Key, tuple[Array, Array]]


@dataclass(frozen=True)
class Agreement:
    """What gradients are the gradients of.

    Attributes:
        kind: Which loss.
        factor: On the loss that is summed over batch and outputs.
        words: The loss with that reduction.
    """

    kind: LossKind
    factor: float
    words: str


@dataclass(frozen=True)
class Compared:
    """One of the user's gradients beside the right one.

    Attributes:
        key: Which tensor.
        own: The user's.
        right: That of the loss, summed over batch and outputs.
        factor: Of all gradients.
        added: What is added to it besides.
        bound: How far two correct computations of it may be apart.
    """

    key: Key
    own: Array
    right: Array
    factor: float
    added: Array | float
    bound: Array

    def expected(self, gradient: Array) -> Array:
        """Return what the user's should be, if a gradient of the summed loss is right."""
        return self.factor * gradient + self.added

    def equals(self, gradient: Array) -> bool:
        """Return whether the user's is a gradient of the summed loss up to rounding."""
        return bool(np.all(np.abs(self.own - self.expected(gradient)) <= self.bound))


def agreement(probes: Sequence[Probe], preferred: LossKind | None) -> Agreement | None:
    """Return the loss and the factor with which all gradients agree on every probe.

    None if there is none among the usual ones, or a tensor says nothing: it is missing, or all
    zeros.

    Args:
        probes: With the user's gradients.
        preferred: The only loss to be tried; None to try all that may stand behind the outputs.
    """
    first = probes[0]
    if first.masks is not None or any(p.weights.keys() != p.gradients.keys() for p in probes):
        return None
    if not all(any(np.any(p.gradients[key]) for p in probes) for key in first.weights):
        return None
    every = kinds(first.plan.activations[-1].name) if preferred is None else [preferred]
    glance = first.forward(tracked=False)
    for kind in every:
        rights = correct_gradients(kind, glance, first.y)
        for factor, words in reductions(kind, len(first.x), first.y.shape[1]):
            if not _near(first, rights, factor):
                continue
            if all(_equal(probe, kind, factor) for probe in probes):
                return Agreement(kind, factor, words)
    return None


def compared(
    probe: Probe, kind: LossKind, factor: float, added: Added | None = None
) -> Iterator[Compared]:
    """Yield each of a probe's gradients beside that of a loss, times a factor.

    ``added`` is what the weights themselves have in their gradients.
    """
    rights = correct_gradients(kind, probe.forward(tracked=True), probe.y)
    for key, _, own, noise in probe.tensors():
        more, room = (added or {}).get(key, (0.0, 0.0))
        bound = scaled_bound(rights[key], factor) + noise + room
        yield Compared(key, own, rights[key].value, factor, more, bound)


def scaled_bound(value: Approx, ratio: float) -> Array:
    """Return how far two correct computations of ``ratio * value`` may be apart.

    The factor may be put in before or after, in one or in several operations: four roundings.
    """
    return abs(ratio) * (2 * value.bound + 4 * value.rounding.unit * np.abs(value.value))


def _equal(probe: Probe, kind: LossKind, factor: float) -> bool:
    return all(each.equals(each.right) for each in compared(probe, kind, factor))


def _near(probe: Probe, rights: Mapping[Key, Approx], factor: float) -> bool:
    """Return whether gradients are the right ones at a first look, which needs no bounds."""
    for key, own in probe.gradients.items():
        right, width = factor * rights[key].value, wide(rights[key].rounding)
        if not np.max(np.abs(own - right)) <= width * max(
            np.max(np.abs(right)), np.max(np.abs(own))
        ):
            return False
    return True
