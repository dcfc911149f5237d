"""Update rules, right and wrong: what a step changes, given the gradient.

The formulas stand in ``parity.bounds.optimizers``.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from parity.bounds.optimizers import (
    RULES,
    ByAnyone,
    Options,
    RuleName,
    State,
    UpdateForm,
    UpdateRule,
    name_of,
)
from parity.bounds.rounding import Approx

__all__ = ["ADAPTIVE", "EPSILONS", "FORMS", "Rule", "State", "adaptive", "of_optimizer", "siblings"]


@dataclass(frozen=True)
class Rule:
    """One optimizer with its settings.

    Attributes:
        kind: Its name in ``RULES``.
        form: "keras" for Keras's own; else the way in which it is another.
        decay: rho, or beta_2, or the momentum; of Adagrad where the accumulator starts.
        beta: beta_1.
        epsilon: Against division by 0.
    """

    kind: RuleName
    form: UpdateForm = "keras"
    decay: float = 0.0
    beta: float = 0.0
    epsilon: float = 0.0

    def change(self, state: State, g: Approx, rate: float) -> Approx:
        """Return what one step adds to the weights; ``state`` is updated."""
        state["t"] = state.get("t", 0) + 1
        return self.known.change(self.options, self.form, state, g, rate, ByAnyone())

    @property
    def known(self) -> UpdateRule:
        """What is known of the optimizer."""
        return RULES[self.kind]

    @property
    def options(self) -> Options:
        """The settings by Keras's names."""
        own = {self.known.decay: self.decay, self.known.beta: self.beta, "epsilon": self.epsilon}
        return {**own, **self.known.off}

    @property
    def words(self) -> str:
        """The rule with its settings."""
        form = f" ({FORMS[self.form]})" if self.form in FORMS else ""
        return self.known.words(self.options) + form


# What is not Keras's own form, in words; parity.checking.bugs.optimizers says which are bugs.
FORMS: dict[UpdateForm, str] = {
    "outside": "epsilon outside the root",
    "no-root": "without the root",
    "swapped": "rho and 1 - rho swapped",
    "uncorrected": "without bias correction",
    "paper": "epsilon beside the corrected root, as in the paper's algorithm 1",
    "nesterov": "Nesterov's",
    "average": "a moving average of gradients",
}


EPSILONS = (1e-7, 1e-8, 1e-6, 1e-10, 1e-5, 1e-4, 1e-3, 1e-2, 1e-9, 1e-12, 1e-15, 1e-16, 0.0)


_titles = [known.title for known in RULES.values() if known.usual]
# The rules that are tried where none is declared, in words.
ADAPTIVE = f"{', '.join(_titles[:-1])} or {_titles[-1]}"


def adaptive() -> Iterator[Rule]:
    """Yield the adaptive rules with the usual decays, Keras's forms first; epsilon is left open."""
    for kind, known in RULES.items():
        for settings in known.usual:
            yield Rule(kind, "keras", *settings)
    for kind, known in RULES.items():
        for form in known.wrong:
            for settings in known.usual:
                yield Rule(kind, form, *settings)


def siblings(rule: Rule) -> tuple[UpdateForm, ...]:
    """Return the forms that differ from a rule by the place of epsilon alone."""
    beside = rule.known.beside
    return (rule.form, beside) if rule.form == "keras" and beside else (rule.form,)


def of_optimizer(optimizer: Any) -> Rule:
    """Return the rule of a ``numpy_impl`` or Keras optimizer, or of a name.

    Raises:
        ValueError: It has an option that is not supported here.
    """
    from numpy_impl import optimizers

    if isinstance(optimizer, str):
        optimizer = optimizers.get(optimizer)
    if not isinstance(optimizer, optimizers.Optimizer):
        from parity.comparing.twins import numpy_optimizer

        optimizer = numpy_optimizer(optimizer)
    options = vars(optimizer)
    try:
        kind = name_of(optimizer)
    except TypeError:
        kind = None
    if kind is None or any(options[name] != value for name, value in RULES[kind].off.items()):
        *others, last = (
            f"{known.title} {known.limits}".strip()
            for name, known in RULES.items()
            if name in optimizers.OPTIMIZERS
        )
        raise ValueError(
            f"optimizer: expected {', '.join(others)}, or {last}. "
            f"Received: {type(optimizer).__name__}"
        )
    known = RULES[kind]
    form: UpdateForm = "nesterov" if options.get("nesterov") else "keras"
    beta = options[known.beta] if known.beta else 0.0
    return Rule(kind, form, options[known.decay], beta, options.get("epsilon", 0.0))
