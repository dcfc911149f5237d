"""Update rules, right and wrong: what a step changes, given the gradient.

The formulas stand in ``parity.bounds.updates``.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from numpy_impl.types import Array
from parity.bounds.rounding import Approx
from parity.bounds.updates import RULES
from parity.bounds.updates.rule import ByAnyone, Options, Place, State, UpdateForm, UpdateRule

__all__ = [
    "ADAPTIVE",
    "EPSILONS",
    "FORMS",
    "PLACES",
    "OptimizerRule",
    "State",
    "Update",
    "adaptive",
]


class Update(Protocol):
    """What a step is compared with: a rule, or an optimizer that was declared."""

    @property
    def words(self) -> str:
        """The rule with its settings."""
        ...

    def change(self, state: State, g: Approx, rate: float, w: Array) -> Approx:
        """Return what one step adds to the weights; ``state`` is updated.

        Args:
            state: What the steps before have left.
            g: The gradient, of shape (numbers,); or (rows, numbers), where several are tried.
            rate: The learning rate.
            w: The weights, of shape (numbers,).
        """
        ...


@dataclass(frozen=True)
class OptimizerRule:
    """One optimizer with its settings.

    Attributes:
        kind: Its name in ``RULES``.
        form: "keras" for Keras's own; else the way in which it is another.
        decay: rho, or beta_2, or the momentum; of Adagrad where the accumulator starts.
        beta: beta_1; of a momentum its dampening.
        epsilon: Against division by 0.
        place: Where epsilon stands.
        weight_decay: How many times each weight is taken off besides (AdamW's).
        decay_at_rate: Whether the learning rate is a factor of that.
        coupled: Whether it is added to the gradient instead, as the derivative of a penalty is.
    """

    kind: str
    form: UpdateForm = "keras"
    decay: float = 0.0
    beta: float = 0.0
    epsilon: float = 0.0
    place: Place = "keras"
    weight_decay: float = 0.0
    decay_at_rate: bool = True
    coupled: bool = False

    def change(self, state: State, g: Approx, rate: float, w: Array) -> Approx:
        """Return what one step adds to the weights; ``state`` is updated."""
        state["t"], state["w"] = state.get("t", 0) + 1, g.rounding.exact(w)
        if self.weight_decay and self.coupled:
            g = g + g.rounding.exact(w) * self.weight_decay
        change = self.known.change(self.options, self.form, state, g, rate, ByAnyone(g.rounding))
        if not self.weight_decay or self.coupled:
            return change
        return change - g.rounding.exact(w) * self.weight_decay * self.taken_off(rate)

    def taken_off(self, rate: float) -> float:
        """Return what the weight decay is multiplied by at a learning rate."""
        return rate if self.decay_at_rate else 1.0

    @property
    def plain(self) -> bool:
        """Whether it is plain descent, which keeps no state."""
        return self.kind == "sgd" and not self.decay

    @property
    def known(self) -> UpdateRule:
        """What is known of the optimizer."""
        return RULES[self.kind]

    @property
    def options(self) -> Options:
        """The settings by Keras's names."""
        own = {self.known.decay: self.decay, self.known.beta: self.beta, "epsilon": self.epsilon}
        return {**own, "epsilon_place": self.place, **self.known.others}

    @property
    def words(self) -> str:
        """The rule with its settings."""
        form = FORMS.get(self.form, "").format(beta=self.beta)
        decay = f", weight decay {self.weight_decay:g}" if self.weight_decay else ""
        if decay and self.coupled:
            decay += " in the gradient"
        elif decay and not self.decay_at_rate:
            decay += " whatever the learning rate"
        return (
            self.known.words(self.options)
            + decay
            + "".join(f" ({text})" for text in (form, PLACES.get(self.place, "")) if text)
        )


# What is not Keras's own form, in words; parity.checking.bugs.optimizers says which are bugs.
FORMS: dict[UpdateForm, str] = {
    "nesterov": "Nesterov's",
    "torch": "the learning rate outside the velocity",
    "torch-nesterov": "Nesterov's, the learning rate outside the velocity",
    "average": "a moving average of gradients",
    "average-inside": "a moving average of gradients",
    "dampened": "dampening {beta:g}",
    "raw": "of the raw gradient before",
    "raw-rate": "of the gradient before",
    "added": "added to the velocity over and over",
    "before": "the velocity from before",
    "and-gradient": "the plain step besides",
    "nesterov-plus": "the old velocity added",
    "no-root": "without the root",
    "rootless": "without the root",
    "exchanged": "beta_1 and beta_2 exchanged",
    "epsilon-apart": "epsilon added to the quotient",
    "unweighted": "without 1 - rho",
    "of-sizes": "of sizes in place of squares",
    "m-unweighted": "m without 1 - beta_1",
    "v-unweighted": "v without 1 - beta_2",
    "m-share-of-v": "m with 1 - beta_2",
    "v-share-of-m": "v with 1 - beta_1",
    "gradient-for-m": "the gradient in place of m",
    "power-of-rest": "corrected by (1 - beta)^t",
    "square-of-m": "v of the squares of m",
    "swapped": "rho and 1 - rho swapped",
    "of-weights": "of the squares of the weights",
    "restarted": "starting anew in every call",
    "amsgrad": "AMSGrad",
    "uncorrected": "without bias correction",
    "constant": "corrected by 1 - beta in place of 1 - beta^t",
    "m-alone": "only m corrected",
    "v-alone": "only v corrected",
    "crossed": "m corrected by beta_2, v by beta_1",
    "late": "corrected as if one step further",
    "per-array": "t counted up for each array",
    "restarted-uncorrected": "without bias correction, starting anew in every call",
    "restarted-first": "starting anew in every call",
    "grows": "each average added to itself",
    "m-grows": "m added to itself",
    "v-grows": "v added to itself",
    "kept-corrected": "m and v kept as corrected",
    "m-by-beta_1": "it is updated with beta_1, too",
    "m-by-beta_2": "the step is taken with beta_2, too",
    "m-exchanged": "beta_1 and beta_2 are exchanged",
    "m-first": "it is updated before the step, which then goes by the new one",
    "by-beta_1": "both corrected by beta_1",
    "by-beta_2": "both corrected by beta_2",
    "per-layer": "t counted up for each layer",
    "per-layer-down": "t counted up for each layer from the last one",
    "per-array-down": "t counted up for each array from the last one",
    "from-gradient": "its averages starting at the first gradient and its square",
    "from-one": "v starting at 1",
    "stale": "stepping by the state from before",
    "slow": "its momentum growing over 0.96^(t/250), as PyTorch's",
    "unscheduled": "its momentum constant",
    "corrected-alike": "its momentum constant, and m corrected by 1 - beta_1^t",
    "rateless": "whatever the learning rate",
    "m-kept-corrected": "m kept as corrected",
    "v-kept-corrected": "v kept as corrected",
}
PLACES: dict[Place, str] = {
    "outside": "epsilon outside the root",
    "inside": "epsilon inside the root",
    "maximum": "epsilon added to the size of the gradient, inside the maximum",
    "paper": "epsilon beside the corrected root, as in the paper's algorithm 1",
}


EPSILONS = (1e-7, 1e-8, 1e-6, 1e-10, 1e-5, 1e-4, 1e-3, 1e-2, 1e-9, 1e-12, 1e-15, 1e-16, 0.0)


_titles = [known.title for known in RULES.values() if known.usual]
# The rules that are tried where none is declared, in words.
ADAPTIVE = f"{', '.join(_titles[:-1])} or {_titles[-1]}"


def adaptive(right: bool = False) -> Iterator[OptimizerRule]:
    """Yield the adaptive rules with the usual decays, right ones first; epsilon is left open.

    Args:
        right: Whether to yield Keras's own forms alone.
    """
    for kind, known in RULES.items():
        for settings in known.usual:
            yield OptimizerRule(kind, "keras", *_two(settings))
    if right:
        return
    for kind, known in RULES.items():
        for form in (*known.right, *known.wrong):
            for settings in known.usual:
                yield OptimizerRule(kind, form, *_two(settings))
    for kind, known in RULES.items():
        for form in known.rare:
            for settings in known.usual[:3]:
                yield OptimizerRule(kind, form, *_two(settings))


def _two(settings: tuple[float, ...]) -> tuple[float, float]:
    return settings[0], settings[1] if len(settings) > 1 else 0.0


_NO_MOMENTUM = 1 - 1e-6


def momenta(sizes: Sequence[float], rate: float) -> Iterator[OptimizerRule]:
    """Yield plain descent and the forms of momentum whose first steps have such sizes.

    Args:
        sizes: Of the first three steps, on the same batch, in multiples of the gradient.
        rate: Their learning rate.
    """
    yield OptimizerRule("sgd")
    first, second, third = sizes
    if not first and second and 0 < third / second - 1 < 1:
        yield OptimizerRule("sgd", "before", _rounded(third / second - 1))
    if not first or not second:
        return
    more = second / first - 1
    # A momentum of 1 forgets nothing: gradients pile up, and no optimizer does that.
    if 0 < more < _NO_MOMENTUM:
        mu = _rounded(more)
        for form in ("keras", "torch", "average", "average-inside"):
            yield OptimizerRule("sgd", form, mu)
        # (1 + mu + mu^2) / (1 + mu) is the ratio of the first two steps of Nesterov's.
        ahead = _rounded((more + math.sqrt(more * more + 4 * more)) / 2)
        for form in ("nesterov", "torch-nesterov"):
            yield OptimizerRule("sgd", form, ahead)
    geometric = (third - second) / (second - first) if second != first else 0.0
    if 0 < geometric < _NO_MOMENTUM:
        mu = _rounded(geometric)
        yield OptimizerRule("sgd", "dampened", mu, _rounded(1 + mu - second / first))
    if more > 0:
        yield OptimizerRule("sgd", "raw-rate", _rounded(more))
        yield OptimizerRule("sgd", "raw", _rounded(more * rate))
        yield OptimizerRule("sgd", "added", _rounded(more))
        # 1 + mu / 2, and s + (s - 1) / s with s = 1 + mu, are the ratios of these.
        yield OptimizerRule("sgd", "and-gradient", _rounded(2 * more))
        yield OptimizerRule("sgd", "nesterov-plus", _rounded((more + math.hypot(more, 2)) / 2 - 1))


def _rounded(number: float) -> float:
    short = round(number, 4)
    return short if abs(short - number) <= 1e-6 else number
