"""Steps of an optimizer whose arrays share one state: each goes on from what the one before left.

``velocity[W.shape]`` is one velocity for all arrays of that shape; ``[[0] * n] * m`` is one row.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from numpy_impl.types import Array
from parity.bounds.rounding import Approx
from parity.bounds.updates.rule import State
from parity.checking.explain.steps.course import Course
from parity.checking.explain.steps.followed_rule import Found
from parity.checking.model.layout import Key, Layout
from parity.checking.model.rules import OptimizerRule


@dataclass(frozen=True)
class Shared:
    """What shares a state.

    Attributes:
        groups: The tensors of each state; one of one tensor is shared by its rows.
        rows: Whether rows share, in place of tensors.
        members: Their places in a course, in the order in which they are updated.
    """

    groups: tuple[tuple[Key, ...], ...]
    rows: bool
    members: tuple[tuple[Array, ...], ...]


@dataclass(frozen=True)
class _InTurn:
    """A rule by which several arrays are updated in each step, one after the other."""

    rule: OptimizerRule
    arrays: int

    @property
    def words(self) -> str:
        """The rule with its settings."""
        return self.rule.words

    def change(self, state: State, g: Approx, rate: float, w: Array) -> Approx:
        """Return what one update of one array adds to it; ``state`` is updated."""
        calls = state["calls"] = state.get("calls", -1) + 1
        state["t"] = calls // self.arrays  # the rule counts it up
        return self.rule.change(state, g, rate, w)


def find(
    whole: Course,
    layout: Layout,
    rule_of: Callable[[Course], Found | None],
    factors: Sequence[tuple[float, str]],
) -> tuple[Found, Shared] | None:
    """Return the rule and what shares its state, if every step follows that.

    Args:
        whole: The steps.
        layout: How the weights are read.
        rule_of: Returns the rule of the arrays that share nothing.
        factors: Of the gradients, where all arrays share.
    """
    known: dict[tuple[Key, ...], Found | None] = {}

    def rule_of_rest(rest: Sequence[Key]) -> Found | None:
        keys = tuple(rest)
        if keys not in known:
            known[keys] = rule_of(whole.only(keys))
        return known[keys]

    for shared in _readings(whole, layout, rule_of_rest):
        among = {key for group in shared.groups for key in group}
        rest = [key for key in whole.parts if key not in among]
        found = rule_of_rest(rest) if rest else None
        if rest and found is None:
            continue
        given = [found[1:]] if found is not None else factors
        turns = [_in_turn(whole, members) for members in shared.members]
        for factor, words in given:
            for rule in _rules(turns[0], factor, found[0] if found is not None else None):
                pairs = zip(turns, shared.members, strict=True)
                if all(turn.follows(_InTurn(rule, len(m)), factor) for turn, m in pairs):
                    return (rule, factor, words), shared
    return None


def _readings(
    whole: Course, layout: Layout, rule_of: Callable[[Sequence[Key]], Found | None]
) -> Iterator[Shared]:
    """Yield what may share: arrays of one shape, from either end; rows of each kernel.

    All of each shape, or of one shape alone, or those that do not follow the rule of the arrays
    whose shape no other has.
    """
    places = np.arange(len(whole.places))
    # A bias that is folded in has the shape of its array, and is another part of it.
    shapes: dict[tuple[int, ...], list[Key]] = {}
    for key in whole.parts:
        shape = layout.shapes[layout.place(key)]
        shapes.setdefault((*shape, len(places[whole.parts[key]])), []).append(key)
    alike = [sorted(keys, key=layout.place) for keys in shapes.values() if len(keys) > 1]
    chosen = [alike, *([keys] for keys in alike if len(alike) > 1)]
    single = [keys[0] for keys in shapes.values() if len(keys) == 1]
    found = rule_of(single) if alike and single else None
    if found is not None:
        rule, factor, _ = found
        off = [[k for k in keys if not whole.only([k]).follows(rule, factor)] for keys in alike]
        chosen.insert(0, [keys for keys in off if len(keys) > 1])
    for some in filter(None, chosen):
        for turn in (1, -1):
            groups = tuple(tuple(keys[::turn]) for keys in some)
            members = tuple(tuple(places[whole.parts[k]] for k in keys) for keys in groups)
            yield Shared(groups, False, members)
    first = whole.probes[0]
    wide = [k for k in whole.parts if first.weights[k].ndim == 2]
    kernels = [k for k in wide if k.part == "kernel" and min(first.weights[k].shape) > 1]
    rows: list[tuple[Array, ...]] = []
    for key in kernels:
        shape, own = first.weights[key].shape, first.arrays[layout.place(key)].shape
        part = places[whole.parts[key]]
        if part.size != shape[0] * shape[1] or sorted(own) != sorted(shape):
            return  # of a large one a selection is looked at; a bias is folded in
        table = part.reshape(shape)
        rows.append(tuple(table.T if layout.orientation == "out-in" else table))
    if rows:
        yield Shared(tuple((key,) for key in kernels), True, tuple(rows))


def _in_turn(whole: Course, members: Sequence[Array]) -> Course:
    """Return the course of some equally long parts, each step of each as one step."""
    return replace(
        whole,
        parts={},
        changes=[c[m] for c in whole.changes for m in members],
        noise=[n[m] for n in whole.noise for m in members],
        rates=[rate for rate in whole.rates for _ in members],
        gradients=[g[m] for g in whole.gradients for m in members],
        weights=[w[m] for w in whole.weights for m in members],
        places=np.zeros(len(members[0]), int),
        probes=[probe for probe in whole.probes for _ in members],
        anew=[anew if k == 0 else "" for anew in whole.anew for k in range(len(members))],
    )


def _rules(turn: Course, factor: float, rest: OptimizerRule | None) -> Iterator[OptimizerRule]:
    """Yield the rule of the other arrays, and momenta that the first two changes allow."""
    if rest is not None and (rest.kind != "sgd" or rest.decay):
        yield rest
    before, now = turn.changes[:2]
    square = float(np.vdot(before, before))
    own = now + turn.rates[1] * factor * turn.gradients[1].value
    mu = float(np.vdot(own, before)) / square if square else 0.0
    if 0 < mu < 1:
        short = round(mu, 4)
        mu = short if abs(short - mu) <= 1e-6 else mu
        for form in ("keras", "torch"):
            yield OptimizerRule("sgd", form, mu)
