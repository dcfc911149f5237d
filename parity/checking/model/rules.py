"""Update rules, right and wrong, in bounded arithmetic: what a step changes, given the gradient."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from parity.tolerances import Approx

State = dict[str, Any]


@dataclass(frozen=True)
class Rule:
    """One optimizer with its settings.

    Attributes:
        kind: "sgd", "rmsprop", "adagrad" or "adam".
        form: "keras" for Keras's own; else the way in which it is another.
        decay: rho, or beta_2, or the momentum; of Adagrad where the accumulator starts.
        beta: beta_1.
        epsilon: Against division by 0.
    """

    kind: str
    form: str = "keras"
    decay: float = 0.0
    beta: float = 0.0
    epsilon: float = 0.0

    def change(self, state: State, g: Approx, rate: float) -> Approx:
        """Return what one step adds to the weights; ``state`` is updated."""
        state["t"] = state.get("t", 0) + 1
        return _CHANGES[self.kind](self, state, g, rate)

    @property
    def words(self) -> str:
        """The rule with its settings."""
        settings = {
            "sgd": f"SGD with momentum {self.decay:g}" if self.decay else "SGD",
            "rmsprop": f"RMSprop, rho {self.decay:g}, epsilon {self.epsilon:g}",
            "adagrad": f"Adagrad, epsilon {self.epsilon:g}",
            "adam": f"Adam, beta_1 {self.beta:g}, beta_2 {self.decay:g}, epsilon {self.epsilon:g}",
        }
        return settings[self.kind] + (f" ({FORMS[self.form]})" if self.form in FORMS else "")


# What is not Keras's own form, in words; parity.checking.bugs.optimizers says which are bugs.
FORMS = {
    "outside": "epsilon outside the root",
    "no-root": "without the root",
    "swapped": "rho and 1 - rho swapped",
    "uncorrected": "without bias correction",
    "paper": "epsilon beside the corrected root, as in the paper's algorithm 1",
    "nesterov": "Nesterov's",
    "average": "a moving average of gradients",
}


def _sgd(rule: Rule, state: State, g: Approx, rate: float) -> Approx:
    step = g * rate
    if not rule.decay:
        return -step
    m = -step if state.get("m") is None else state["m"] * rule.decay - step
    state["m"] = m
    return m * rule.decay - step if rule.form == "nesterov" else m


def _rmsprop(rule: Rule, state: State, g: Approx, rate: float) -> Approx:
    rho = 1 - rule.decay if rule.form == "swapped" else rule.decay
    v = _averaged(state, "v", g * g, rho)
    epsilon = rule.epsilon
    if rule.form == "no-root":
        return -(g * rate / (v + epsilon))
    if rule.form == "outside":
        return -(g * rate / (v.sqrt() + epsilon))
    return -(g * rate / (v + epsilon).sqrt())


def _adagrad(rule: Rule, state: State, g: Approx, rate: float) -> Approx:
    v = g * g + (rule.decay if state.get("v") is None else state["v"])
    state["v"] = v
    if rule.form == "outside":
        return -(g * rate / (v.sqrt() + rule.epsilon))
    return -(g * rate / (v + rule.epsilon).sqrt())


def _adam(rule: Rule, state: State, g: Approx, rate: float) -> Approx:
    m, v = _averaged(state, "m", g, rule.beta), _averaged(state, "v", g * g, rule.decay)
    one, two = 1 - rule.beta ** state["t"], 1 - rule.decay ** state["t"]
    if rule.form == "uncorrected":
        return -(m * rate / (v.sqrt() + rule.epsilon))
    if rule.form == "paper":
        return -(m * (1 / one) * rate / ((v * (1 / two)).sqrt() + rule.epsilon))
    return -(m * (rate * np.sqrt(two) / one) / (v.sqrt() + rule.epsilon))


def _averaged(state: State, name: str, new: Approx, decay: float) -> Approx:
    """Return a running mean; the constants are rounded, and may be put in in other orders."""
    average = new * (1 - decay) * 1.0
    if state.get(name) is not None:
        average = state[name] * decay * 1.0 + average
    state[name] = average
    return average


_CHANGES = {"sgd": _sgd, "rmsprop": _rmsprop, "adagrad": _adagrad, "adam": _adam}
EPSILONS = (1e-7, 1e-8, 1e-6, 1e-10, 1e-5, 1e-4, 1e-3, 1e-2, 1e-9, 1e-12, 1e-15, 1e-16, 0.0)
_RHOS = (0.9, 0.99, 0.95, 0.999, 0.8, 0.5)
_BETAS = ((0.9, 0.999), (0.9, 0.99), (0.5, 0.999), (0.9, 0.95), (0.8, 0.999), (0.95, 0.999))
_BETAS += ((0.9, 0.9999), (0.99, 0.999), (0.9, 0.9))


def adaptive() -> Iterator[Rule]:
    """Yield the adaptive rules with the usual decays, Keras's forms first; epsilon is left open."""
    for rho in _RHOS:
        yield Rule("rmsprop", "keras", rho)
    for one, two in _BETAS:
        yield Rule("adam", "keras", two, one)
    yield Rule("adagrad", decay=0.1)
    yield Rule("adagrad")
    for one, two in _BETAS:
        yield Rule("adam", "uncorrected", two, one)
    for form in ("no-root", "swapped"):
        for rho in _RHOS:
            yield Rule("rmsprop", form, rho)


def siblings(rule: Rule) -> tuple[str, ...]:
    """Return the forms that differ from a rule by the place of epsilon alone."""
    return {
        ("rmsprop", "keras"): ("keras", "outside"),
        ("adagrad", "keras"): ("keras", "outside"),
        ("adam", "keras"): ("keras", "paper"),
    }.get((rule.kind, rule.form), (rule.form,))


def of_optimizer(optimizer: Any) -> Rule:
    """Return the rule of a ``numpy_impl`` or Keras optimizer, or of a name.

    Raises:
        ValueError: It has an option that is not supported here.
    """
    from numpy_impl import optimizers

    if isinstance(optimizer, str):
        optimizer = optimizers.get(optimizer)
    if not isinstance(optimizer, optimizers.Optimizer):
        from parity.twins import numpy_optimizer

        optimizer = numpy_optimizer(optimizer)
    if isinstance(optimizer, optimizers.SGD):
        form = "nesterov" if optimizer.nesterov else "keras"
        return Rule("sgd", form, optimizer.momentum)
    if isinstance(optimizer, optimizers.RMSprop) and not optimizer.momentum + optimizer.centered:
        return Rule("rmsprop", "keras", optimizer.rho, epsilon=optimizer.epsilon)
    if isinstance(optimizer, optimizers.Adam):
        o = optimizer
        return Rule("adam", "keras", o.beta_2, o.beta_1, o.epsilon)
    raise ValueError(
        "optimizer: expected SGD, RMSprop without momentum and not centered, or Adam. "
        f"Received: {type(optimizer).__name__}"
    )
