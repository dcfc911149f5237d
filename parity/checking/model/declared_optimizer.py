"""The optimizer that a step is declared to be, with all its options."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from inspect import signature
from typing import Any, Literal, cast

import numpy as np

from numpy_impl import optimizers
from numpy_impl.schedules import SCHEDULES, LearningRateSchedule
from numpy_impl.types import Array
from parity.bounds.optimizers import CLIPPING, clipped
from parity.bounds.rounding import Approx
from parity.bounds.updates import RULES
from parity.bounds.updates.rule import ByAnyone, Options, State, UpdateForm
from parity.checking.model import torch_optimizers
from parity.checking.model.layout import Key
from parity.checking.model.rules import OptimizerRule
from parity.checking.model.torch_optimizers import PREFIX, name_and_options, read

# How the weight decay enters.
Decay = Literal["before", "after", "coupled", "whatever rate", "corrected rate"]
# Options of Keras's that have no say in what a step does to the weights, or are read by name.
_AVERAGE = {"use_ema", "ema_momentum", "ema_overwrite_frequency"}
_ELSEWHERE = {"name", "learning_rate", *_AVERAGE}
_KERAS_NAMES: dict[str, str] = {"adamw": "adam"}
# What people call gradient descent with momentum, of whatever convention.
_MOMENTUM = ("momentum", "nesterov")
_READ = {
    *(name for kind in optimizers.OPTIMIZERS.values() for name in signature(kind).parameters),
    *CLIPPING,
    "weight_decay",
}


@dataclass(frozen=True)
class DeclaredOptimizer:
    """An optimizer as it was declared.

    Attributes:
        title: What it calls itself.
        kind: Its name in ``RULES``; None if there is none.
        options: Its options by Keras's names.
        schedule: Of the learning rate, if it has one.
        named: Whether it was given as a name alone, so that its settings are open.
        unchecked: The options that the check does not know, as "name=value".
        form: Of its rule.
        decay: How the weight decay enters: "before" the step as Keras's (learning rate times it
            times the weights), "after" it, "coupled" as a part of the gradient, "whatever rate", or
            with the "corrected rate" of Adam's bias correction.
        learning_rate: The one that is stated, a schedule's at its start; None if none is.
        times: What all learning rates are multiplied by.
    """

    title: str
    kind: str | None
    options: Options
    schedule: LearningRateSchedule | None = None
    named: bool = False
    unchecked: tuple[str, ...] = ()
    form: UpdateForm = "keras"
    decay: Decay = "before"
    learning_rate: float | None = None
    times: float = 1.0

    @property
    def words(self) -> str:
        """The optimizer with all its options."""
        if self.kind is None:
            return self.title
        o, words = self.options, RULES[self.kind].words(self.options)
        words = words.replace(RULES[self.kind].title, self.title, 1)
        if self.named:
            return self.title
        more = [f"momentum {o['momentum']:g}"] if o.get("momentum") and self.kind != "sgd" else []
        more += [name for name in ("nesterov", "centered", "amsgrad") if o.get(name)]
        more += [f"{n} {o[n]:g}" for n in ("weight_decay", *CLIPPING) if o.get(n)]
        if o.get("use_ema"):
            every = o.get("ema_overwrite_frequency")
            more += [f"averaged by {o['ema_momentum']:g}" + (f" every {every} steps" * bool(every))]
        more += [_in_words(self.schedule)] if self.schedule is not None else []
        return ", ".join([words, *more])

    @property
    def clips(self) -> bool:
        """Whether gradients are clipped."""
        return any(self.options.get(name) for name in CLIPPING)

    def clipped(self, gradients: Mapping[Key, Approx]) -> dict[Key, Approx]:
        """Return the gradients of all weights, clipped as declared."""
        parts = clipped(self.options, list(gradients.values()))
        return dict(zip(gradients, parts, strict=True))

    def unmet(self, steps: Iterable[Mapping[Key, Approx]]) -> list[str]:
        """Return what the gradients of all steps taken left untested of the clipping."""
        if not self.clips:
            return []
        beyond = within = False
        for gradients in steps:
            for key, cut in self.clipped(gradients).items():
                changed = cut.value != gradients[key].value
                beyond |= bool(np.any(changed))
                within |= bool(np.any(~changed & (cut.value != 0)))
        unmet = [] if beyond else ["clipping (no gradient that was met is beyond its limit)"]
        return (
            unmet if within else [*unmet, "clipping of gradients within its limit (none was met)"]
        )

    def rates(self, given: Sequence[float], first: int = 0) -> list[list[float]]:
        """Return what the schedule may make of the learning rates given to some steps.

        A step may count its rate from the one that it is given, or have its own. As multiples.
        ``first`` is the number of steps before these.
        """
        if self.schedule is None:
            return [[self.times] * len(given)]
        rates = [self.schedule(first + k) for k in range(len(given))]
        starts = [self.schedule(0), *(getattr(self.schedule, name, None) for name in _STARTS)]
        found = [[rate / start for rate in rates] for start in dict.fromkeys(starts) if start]
        return [*found, [r / g for r, g in zip(rates, given, strict=True)]]

    @property
    def keeps_state(self) -> bool:
        """Whether a step goes on from those before it."""
        kept = self.options.get("momentum"), self.schedule, self.overwrites
        return self.kind != "sgd" or any(map(bool, kept))

    @property
    def averages(self) -> bool:
        """Whether it keeps a moving average of the weights."""
        return bool(self.options.get("use_ema"))

    @property
    def overwrites(self) -> bool:
        """Whether the average takes the weights' place now and then."""
        return self.averages and bool(self.options.get("ema_overwrite_frequency"))

    @property
    def plain_momentum(self) -> bool:
        """Whether it is momentum at a constant rate, and nothing besides."""
        o, forms = self.options, ("keras", "torch", "torch-nesterov")
        more = self.schedule is not None or self.clips or o.get("weight_decay") or self.overwrites
        more = more or o.get("dampening") or self.form not in forms
        return self.kind == "sgd" and bool(o.get("momentum")) and not more

    def at_one_rate(self) -> OptimizerRule:
        """Return its momentum with the learning rate outside the velocity, where it is inside.

        And the reverse: at a constant rate it is the same.
        """
        inside, nesterov = self.form == "keras", bool(self.options.get("nesterov"))
        forms: tuple[UpdateForm, UpdateForm] = ("keras", "nesterov")
        if inside:
            forms = "torch", "torch-nesterov"
        return OptimizerRule("sgd", forms[nesterov], self.options["momentum"])

    def change(self, state: State, g: Approx, rate: float, w: Array) -> Approx:
        """Return what one step adds to the weights, of gradients that are clipped already."""
        change = self._updated(state, g, rate, w)
        if not self.averages:
            return change
        before = g.rounding.exact(w)
        after, old, stays = before + change, state.get("average"), self.options["ema_momentum"]
        average = after if old is None else old * stays + after * (1 - stays)
        state["average"] = average
        overwritten = self.overwrites and not state["t"] % self.options["ema_overwrite_frequency"]
        return average - before if overwritten else change

    def _updated(self, state: State, g: Approx, rate: float, w: Array) -> Approx:
        """Return what the update alone adds to the weights."""
        assert self.kind is not None
        before = g.rounding.exact(w)
        state["t"], state["w"] = state.get("t", 0) + 1, before
        decay = self.options.get("weight_decay") or 0.0
        if decay and self.decay == "coupled":
            g = g + before * decay
        change = RULES[self.kind].change(
            self.options, self.form, state, g, rate, ByAnyone(g.rounding)
        )
        if not decay or self.decay == "coupled":
            return change
        if self.decay == "corrected rate":
            one, two = (1 - self.options[name] ** state["t"] for name in ("beta_1", "beta_2"))
            decay *= float(np.sqrt(two) / one)
        decayed = before + change if self.decay == "after" else before
        return change - decayed * decay * (1.0 if self.decay == "whatever rate" else rate)


def _in_words(schedule: LearningRateSchedule) -> str:
    """Return a schedule with its settings; of one that is counted otherwise, the one inside."""
    inner: LearningRateSchedule = getattr(schedule, "schedule", schedule)
    settings = [
        f"{name}={v}" for name, v in vars(inner).items() if v is not None and v is not False
    ]
    return f"{type(inner).__name__}({', '.join(settings)})"


_STARTS = ("initial_learning_rate", "warmup_target")


def of(optimizer: Any) -> DeclaredOptimizer:
    """Return what a Keras or ``numpy_impl`` optimizer, or a name, declares.

    Raises:
        ValueError: It is none of these.
    """
    if isinstance(optimizer, str):
        return _of_torch(optimizer) if optimizer.startswith(PREFIX) else _of_name(optimizer)
    name = type(optimizer).__name__
    if isinstance(optimizer, optimizers.Optimizer):
        rate, kinds = optimizer.learning_rate, type(optimizer).__mro__
        known = [n for n, kind in optimizers.OPTIMIZERS.items() if kind in kinds]
        own = type(optimizer) in optimizers.OPTIMIZERS.values()
        kind: Any = known[0] if known and own and not RULES[known[0]].whole else None
        schedule = rate if isinstance(rate, LearningRateSchedule) else None
        start = rate(0) if isinstance(rate, LearningRateSchedule) else float(rate)
        return DeclaredOptimizer(name, kind, vars(optimizer), schedule, learning_rate=start or None)
    if not hasattr(optimizer, "get_config"):
        raise ValueError(
            f"optimizer: expected a Keras or numpy_impl optimizer, or a name. Received: {name}"
        )
    return _of_keras(name, optimizer, optimizer.get_config())


# Keras has these too. A step that is declared as one of them is not compared, and that is said.
_NOT_KNOWN = {"adafactor": "Adafactor", "lamb": "Lamb", "muon": "Muon"}


def _of_name(text: str) -> DeclaredOptimizer:
    """Return what a name alone declares, its settings open, or a name with Keras's options."""
    name, given = name_and_options(text) or (text, {})
    kind = _KERAS_NAMES.get(name.lower(), name.lower())
    options = "(" in text
    if name.lower() in _NOT_KNOWN:
        return DeclaredOptimizer(_NOT_KNOWN[name.lower()], None, {}, None)
    if text.lower() in _MOMENTUM:
        open_ = {**_defaults("sgd"), "momentum": 0.9}
        return DeclaredOptimizer("SGD with momentum", "sgd", open_, None, True)
    if kind not in RULES or RULES[kind].whole or options > (name.lower() in optimizers.OPTIMIZERS):
        known = [n for n, rule in RULES.items() if not rule.whole]
        known += [*_KERAS_NAMES, *_MOMENTUM]
        raise ValueError(
            f"optimizer: expected a name of {', '.join(known)}, with options as Keras has them "
            "(SGD(momentum=0.9)) or none, one of PyTorch's such as torch.SGD(momentum=0.9), or a "
            f"Keras or numpy_impl optimizer. Received: {text!r}"
        )
    if not options:
        return DeclaredOptimizer(RULES[kind].title, kind, _defaults(kind), None, True)
    try:
        found = of(optimizers.OPTIMIZERS[name.lower()](**given))
        # A default is no statement of the rate that a step has inside.
        return found if "learning_rate" in given else replace(found, learning_rate=None)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"optimizer: expected {name} with Keras's options. Received: {text!r}: {error}"
        ) from error


def _of_torch(text: str) -> DeclaredOptimizer:
    name, found, given = read(text)
    options, decay = found.options(given), "coupled" if found.coupled else "before"
    form = found.form(options)
    rate = torch_optimizers.learning_rate(text)
    return DeclaredOptimizer(
        f"{PREFIX}{name}", found.kind, options, form=form, decay=decay, learning_rate=rate
    )


def _of_keras(name: str, optimizer: Any, config: dict[str, Any]) -> DeclaredOptimizer:
    called = _KERAS_NAMES.get(name.lower(), name.lower())
    kind = called if called in RULES and not RULES[called].whole else None
    if not type(optimizer).__module__.startswith("keras."):
        kind = None  # somebody's own, whatever its name
    unchecked = [
        f"{option}={value!r}"
        for option, value in config.items()
        if value and option not in _READ | _ELSEWHERE
    ]
    if config.get("weight_decay"):
        excluded = ("_exclude_from_weight_decay", "_exclude_from_weight_decay_pattern")
        unchecked += ["exclude_from_weight_decay"] * any(
            getattr(optimizer, attribute, None) for attribute in excluded
        )
    schedule, given, rate = None, config.get("learning_rate"), None
    if isinstance(given, dict):
        stated = cast(Mapping[str, Any], given)
        title = str(stated["class_name"])
        if title in SCHEDULES and not stated.get("registered_name"):
            options = {k: v for k, v in stated["config"].items() if k != "name"}
            schedule = SCHEDULES[title](**options)
            rate = schedule(0) or None
        else:
            unchecked.append(f"learning_rate={title}")
    elif not isinstance(given, float):
        unchecked.append("learning_rate")
    else:
        # Keras keeps it in float32, and whoever wrote 0.001 means that number.
        rate = float(str(np.float32(given)))
    return DeclaredOptimizer(
        name, kind, config, schedule, unchecked=tuple(unchecked), learning_rate=rate
    )


def _defaults(name: str) -> Options:
    known = RULES[name]
    settings = (*known.usual[0], 0.0) if known.usual else (0.0, 0.0)
    own = {known.decay: settings[0], known.beta: settings[1], "epsilon": 1e-7}
    return {**own, **known.others}
