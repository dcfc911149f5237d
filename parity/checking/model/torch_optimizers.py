"""PyTorch's optimizers by name: ``"torch.SGD(momentum=0.9, dampening=0.1)"``.

PyTorch itself is not needed: a name with options is read, and what is not said has PyTorch's
default. The formulas are those of ``parity.bounds.updates``, in PyTorch's form: the learning rate
stands outside the velocity, epsilon beside the root, and the weight decay of all but AdamW is added
to the gradient.

Reference: the documentation of ``torch.optim``, the algorithm on each optimizer's page.
"""

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from parity.bounds.updates.adam import TORCH_MOMENTUM_DECAY
from parity.bounds.updates.rule import Options, Place, UpdateForm

PREFIX = "torch."
_NADAM = {"beta": 0.96, "momentum_decay": TORCH_MOMENTUM_DECAY}


@dataclass(frozen=True)
class TorchOptimizer:
    """What one of PyTorch's optimizers is here.

    Attributes:
        kind: Its name in ``RULES``.
        defaults: Its options with their defaults, but for the learning rate.
        named: Keras's names of those that have another.
        place: Where epsilon stands.
        form: Returns the form of the rule, from its options.
        coupled: Whether the weight decay is added to the gradient.
    """

    kind: str
    defaults: Options
    named: Mapping[str, str]
    place: Place = "keras"
    form: Callable[[Options], UpdateForm] = lambda o: "keras"
    coupled: bool = True

    def options(self, given: Options) -> dict[str, Any]:
        """Return all options by Keras's names."""
        found = {self.named.get(name, name): v for name, v in {**self.defaults, **given}.items()}
        if "betas" in found:
            found["beta_1"], found["beta_2"] = found.pop("betas")
        if "momentum_decay" in found:
            found["decay"] = _NADAM["beta"] ** found.pop("momentum_decay")
        return {**found, "epsilon_place": self.place}


def _of_sgd(o: Options) -> UpdateForm:
    if o["nesterov"]:
        return "torch-nesterov"
    return "dampened" if o["dampening"] else "torch"


def _like_adam(more: Options, place: Place, **how: Any) -> TorchOptimizer:
    defaults = {"betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0, **more}
    return TorchOptimizer(how.pop("kind"), defaults, {"eps": "epsilon"}, place, **how)


TORCH: dict[str, TorchOptimizer] = {
    "SGD": TorchOptimizer(
        "sgd", {"momentum": 0.0, "dampening": 0.0, "weight_decay": 0.0, "nesterov": False}, {},
        form=_of_sgd,
    ),
    "Adam": _like_adam({"amsgrad": False}, "paper", kind="adam"),
    "AdamW": _like_adam(
        {"amsgrad": False, "weight_decay": 0.01}, "paper", kind="adam", coupled=False
    ),
    "Adamax": _like_adam({}, "maximum", kind="adamax"),
    "NAdam": _like_adam({"momentum_decay": TORCH_MOMENTUM_DECAY}, "keras", kind="nadam"),
    "Adagrad": TorchOptimizer(
        "adagrad", {"weight_decay": 0.0, "initial_accumulator_value": 0.0, "eps": 1e-10},
        {"eps": "epsilon"}, "outside",
    ),
    "Adadelta": TorchOptimizer(
        "adadelta", {"rho": 0.9, "eps": 1e-6, "weight_decay": 0.0}, {"eps": "epsilon"},
    ),
    "RMSprop": TorchOptimizer(
        "rmsprop",
        {"alpha": 0.99, "eps": 1e-8, "weight_decay": 0.0, "momentum": 0.0, "centered": False},
        {"alpha": "rho", "eps": "epsilon"}, "outside", form=lambda o: "torch",
    ),
}  # fmt: skip


def learning_rate(text: str) -> float | None:
    """Return the learning rate that a text says, which has no say in the formula."""
    parts = name_and_options(text.strip().removeprefix(PREFIX))
    rate = None if parts is None else parts[1].get("lr")
    return float(rate) if isinstance(rate, int | float) and rate > 0 else None


def conventions(kind: str) -> list[tuple[Place, float]]:
    """Return where Keras and PyTorch have the epsilon of a rule, and its default there."""
    known = [t for t in TORCH.values() if t.kind == kind and "eps" in t.defaults]
    return [("keras", 1e-7), *dict.fromkeys((t.place, float(t.defaults["eps"])) for t in known)]


def name_and_options(text: str) -> tuple[str, dict[str, Any]] | None:
    """Return the parts of ``"SGD(momentum=0.9)"`` or of a name alone; None if it is neither."""
    try:
        tree = ast.parse(text.strip(), mode="eval").body
        call = tree if isinstance(tree, ast.Call) else ast.Call(tree, [], [])
        if not isinstance(call.func, ast.Name) or call.args:
            return None
        return call.func.id, {str(w.arg): ast.literal_eval(w.value) for w in call.keywords}
    except (SyntaxError, ValueError):
        return None


def read(text: str) -> tuple[str, TorchOptimizer, dict[str, Any]]:
    """Return the name, the optimizer and the options that a text says.

    Raises:
        ValueError: It is no such text, or says a name or an option that is not known.
    """
    expected = f"optimizer: expected {PREFIX}NAME or {PREFIX}NAME(option=number, ...)"
    parts = name_and_options(text.strip().removeprefix(PREFIX))
    if parts is None:
        raise ValueError(f"{expected}. Received: {text!r}")
    name, given = parts
    if name not in TORCH:
        raise ValueError(f"{expected}, with a name of {', '.join(TORCH)}. Received: {text!r}")
    given.pop("lr", None)
    known = TORCH[name].defaults
    if unknown := [option for option in given if option not in known]:
        raise ValueError(
            f"optimizer: expected options of {PREFIX}{name} that the check knows: "
            f"{', '.join(known)}. Received: {', '.join(unknown)}"
        )
    for option, value in given.items():
        if type(value) is not type(known[option]) and not _numbers(value, known[option]):
            raise ValueError(
                f"optimizer: expected {option} like {known[option]!r}. Received: {value!r}"
            )
    return name, TORCH[name], given


def _numbers(one: Any, other: Any) -> bool:
    plain = (int, float)
    return isinstance(one, plain) and isinstance(other, plain) and not isinstance(other, bool)
