"""Steps in which one array goes on from another's state: ``vb2 = momentum * vb1 - rate * db2``.

Both have the same shape, or NumPy would have refused.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from numpy_impl.types import Array
from parity.bounds.rounding import Approx
from parity.bounds.updates.rule import State
from parity.checking.explain.steps.course import Course
from parity.checking.explain.steps.followed_rule import Found
from parity.checking.model.layout import Key, Layout
from parity.checking.model.rules import Update


@dataclass(frozen=True)
class Crossed:
    """Which tensor goes on from which other's state."""

    key: Key
    source: Key


@dataclass(frozen=True)
class _FromOther:
    """A rule by which some numbers go on from the state of others.

    Attributes:
        rule: The rule.
        own: Places of the numbers in a course,
        others: and of those whose state they read.
        updated: Whether that state has this step's gradient already.
    """

    rule: Update
    own: Array
    others: Array
    updated: bool

    @property
    def words(self) -> str:
        """The rule with its settings."""
        return self.rule.words

    def change(self, state: State, g: Approx, rate: float, w: Array) -> Approx:
        """Return what one step adds to the weights; ``state`` is updated."""
        read = dict(state)
        if self.updated:
            self.rule.change(read, g, rate, w)
        for name, slot in read.items():
            if isinstance(slot, Approx):
                state[name] = self._crossed(state.get(name, slot * 0.0), slot)
        return self.rule.change(state, g, rate, w)

    def _crossed(self, own: Approx, read: Approx) -> Approx:
        value, bound = own.value.copy(), own.bound.copy()
        # The last axis: at a first step there may be several rows of gradients.
        value[..., self.own] = read.value[..., self.others]
        bound[..., self.own] = read.bound[..., self.others]
        return Approx(value, bound, read.rounding)


def find(
    whole: Course, layout: Layout, rule_of: Callable[[Course], Found | None]
) -> tuple[Found, Crossed] | None:
    """Return the rule, and which tensor goes on from another's state, if every step follows that.

    Args:
        whole: The steps.
        layout: How the weights are read.
        rule_of: Returns the rule that the steps of some tensors follow.
    """
    places = np.arange(len(whole.places))
    known: dict[Key, Found | None] = {}
    for key, source in _pairs(whole, layout):
        if key not in known:
            known[key] = rule_of(whole.only([k for k in whole.parts if k != key]))
        found = known[key]
        if found is None or (found[0].kind == "sgd" and not found[0].decay):
            continue
        own, others = places[whole.parts[key]], places[whole.parts[source]]
        for updated in (True, False):
            crossed = _FromOther(found[0], own, others, updated)
            if whole.follows(crossed, found[1]):
                return found, Crossed(key, source)
    return None


def _pairs(whole: Course, layout: Layout) -> Iterator[tuple[Key, Key]]:
    shapes = {key: tuple(layout.shapes[layout.place(key)]) for key in whole.parts}
    for key, shape in shapes.items():
        for source, other in shapes.items():
            if source != key and other == shape:
                yield key, source
