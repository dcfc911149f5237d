"""What an update rule is, and who computes it.

Who computes a step decides how its constants are rounded and in which order a running mean is
formed: :class:`ByEngines` as Keras does, :class:`ByAnyone` in any of the usual ways. A formula asks
for both, so the same one bounds a step of the two engines and says whether somebody's own step
follows the rule.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np

from parity.bounds.rounding import Approx, Rounding

# A constant is a bounded number where it is rounded, and a plain one where it is not.
Number = Any
State = dict[str, Any]
Options = Mapping[str, Any]
# "keras" is Keras's own form of a rule; the others are as they are often written, right or wrong.
UpdateForm = Literal[
    "keras",
    # momentum
    "nesterov", "torch", "torch-nesterov", "average", "average-inside", "dampened",
    "raw", "raw-rate", "added", "before", "and-gradient", "nesterov-plus",
    # what divides by a root
    "no-root", "swapped", "of-weights", "restarted", "grows",
    "epsilon-apart", "unweighted", "of-sizes",
    # Adam
    "amsgrad", "uncorrected", "constant", "m-alone", "v-alone", "crossed", "late", "per-array",
    "restarted-uncorrected", "restarted-first", "m-grows", "v-grows",
    "kept-corrected", "m-kept-corrected", "v-kept-corrected",
    "m-unweighted", "v-unweighted", "m-share-of-v", "v-share-of-m", "gradient-for-m",
    "power-of-rest", "square-of-m", "exchanged", "rootless",
    "by-beta_1", "by-beta_2", "per-layer", "per-layer-down", "per-array-down",
    "from-gradient", "from-one", "stale",
    # Lion
    "m-by-beta_1", "m-by-beta_2", "m-exchanged", "m-first",
    # Nadam, Adadelta
    "slow", "unscheduled", "corrected-alike", "rateless",
]  # fmt: skip
# Where epsilon stands, apart from Keras's own place: an option beside Keras's.
Place = Literal["keras", "outside", "inside", "paper", "maximum"]


class Computation(Protocol):
    """How whoever takes a step computes what the formula leaves open."""

    def constant(self, value: float) -> Number:
        """Return a setting as it enters the formula."""
        ...

    def mean(self, old: Approx | None, new: Approx, decay: float) -> Approx:
        """Return ``decay * old + (1 - decay) * new``; ``old`` is None before the first step."""
        ...

    def moved(self, old: Approx | None, new: Approx, decay: float) -> Approx:
        """Return the same mean, which Keras forms as ``old + (1 - decay) * (new - old)``."""
        ...

    def cast(self, value: float) -> float:
        """Return a setting that is cast to the weights' precision before all else."""
        ...

    def power(self, beta: float, t: Any) -> Approx:
        """Return ``beta^t``."""
        ...


@dataclass(frozen=True)
class ByEngines:
    """Keras and the NumPy engine: all constants are rounded to the precision; Keras's order."""

    rounding: Rounding

    def constant(self, value: float) -> Approx:
        return self.rounding.exact(value) * 1.0

    def mean(self, old: Approx | None, new: Approx, decay: float) -> Approx:
        assert old is not None, "the engines' slots have values from the start"
        return old * self.constant(decay) + new * self.constant(1 - decay)

    def moved(self, old: Approx | None, new: Approx, decay: float) -> Approx:
        assert old is not None, "the engines' slots have values from the start"
        return old + (new - old) * self.constant(1 - decay)

    def cast(self, value: float) -> float:
        return float(np.asarray(value, self.rounding.dtype))

    def power(self, beta: float, t: Any) -> Approx:
        # Both engines raise the rounded beta; the power itself is good to a few units roundoff,
        # more for large t where it is computed as exp(t log beta).
        rounded = self.constant(beta)
        exponent = 0.0 if rounded.value == 0 else t * abs(float(np.log(rounded.value)))
        return rounded.monotone(lambda b: b**t, 4.0 + exponent)


@dataclass(frozen=True)
class ByAnyone:
    """A program of unknown make: constants are Python's numbers, put in in any order."""

    rounding: Rounding

    def constant(self, value: float) -> float:
        return value

    def mean(self, old: Approx | None, new: Approx, decay: float) -> Approx:
        average = new * (1 - decay) * 1.0
        return average if old is None else old * decay * 1.0 + average

    def moved(self, old: Approx | None, new: Approx, decay: float) -> Approx:
        return self.mean(old, new, decay)

    def cast(self, value: float) -> float:
        return value

    def power(self, beta: float, t: Any) -> Approx:
        # The power may be multiplied up step by step, and so be off by t roundings.
        power = np.asarray(float(beta) ** np.asarray(t, float))
        error = (t + 4.0) * self.rounding.unit * np.abs(power)
        return Approx(power, np.asarray(error), self.rounding)


# From options, form, state, gradient, learning rate and who computes to the change of the weights;
# the state is updated. ``state["t"]`` counts the steps, this one included, and ``state["w"]`` are
# the weights before it.
Change = Callable[[Options, UpdateForm, State, Approx, Number, Computation], Approx]


@dataclass(frozen=True)
class UpdateRule:
    """What is known of an optimizer.

    Attributes:
        title: What to call it.
        change: Its formula.
        words: Returns the rule in words, from its options.
        decay: Which option a check takes as the decay,
        beta: and which as the second one, if there is one.
        usual: Values of ``decay``, ``beta`` that a check tries where nothing is declared.
        places: Where a check tries epsilon, Keras's place first.
        right: Other forms that a check tries, and that are no bugs,
        wrong: and those that are.
        rare: More that are, tried last and with the most usual values only.
        others: What a check takes for the remaining options where nothing is declared.
        feels_scale: Whether its steps change with the scale of the gradients.
        cast: Options that Keras casts to the weights' precision, and that on TensorFlow so pass
            through float32: in float64 a momentum of 0.9 is 0.89999998.
        epsilon_sets_size: Whether epsilon decides how large the first steps are.
        whole: Whether it takes each weight array as a whole, in its shape; a check, which looks at
            numbers one by one, does not try it.
    """

    title: str
    change: Change
    words: Callable[[Options], str]
    decay: str
    beta: str = ""
    usual: tuple[tuple[float, ...], ...] = ()
    places: tuple[Place, ...] = ("keras",)
    right: tuple[UpdateForm, ...] = ()
    wrong: tuple[UpdateForm, ...] = ()
    rare: tuple[UpdateForm, ...] = ()
    others: Options = field(default_factory=dict[str, Any])
    feels_scale: bool = False
    cast: tuple[str, ...] = ()
    epsilon_sets_size: bool = False
    whole: bool = False


def in_words(title: str, *names: str) -> Callable[[Options], str]:
    return lambda o: ", ".join([title, *(f"{name} {o[name]:g}" for name in names)])


ROOTED: tuple[Place, ...] = ("keras", "outside")


def larger(old: Approx | None, new: Approx) -> Approx:
    if old is None:
        return new
    return Approx(np.maximum(old.value, new.value), np.maximum(old.bound, new.bound), new.rounding)


def smaller(one: Approx, other: Approx) -> Approx:
    """Return the smaller of two numbers."""
    value = np.minimum(one.value, other.value)
    return Approx(value, np.maximum(one.bound, other.bound), one.rounding)
