"""The moving averages of batch normalization: how they move, and that inference uses them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from numpy_impl.types import Array
from parity.bounds.rounding import Rounding
from parity.checking.bugs.findings import Finding, Notes
from parity.checking.bugs.layers import NORM_INFERENCE, NORM_MOMENTUM, NORM_N_MINUS_1
from parity.checking.layer.fit import Fit, LayerDraw
from parity.checking.layer.kind import FormulaSlip
from parity.checking.layer.normalization import moments
from parity.checking.layer.theirs import MODES, State, Theirs

_MEANS = ("running_mean", "moving_mean", "mean_running", "r_mean", "mu_avg", "moving_avg")
_VARIANCES = (
    "running_var", "running_variance", "moving_variance", "moving_var", "var_running", "r_var",
)  # fmt: skip


def checked(theirs: Theirs, fit: Fit, draw: LayerDraw, seed: int) -> Notes:
    """Return what is wrong with a layer's moving averages, and with what it does at inference."""
    notes = Notes()
    _, states = theirs.in_state(draw.arrays, lambda states: None)
    names = _found(states)
    if names is None:
        notes.untested.append("moving averages and inference (no running_mean is found)")
        return notes
    rng = np.random.default_rng([seed, 6])
    size = fit.reading.sizes["c"]
    shapes = [np.shape(_held(states, name)) for name in names]
    before = [rng.standard_normal(size), 0.5 + rng.random(size)]

    def set_averages(states: list[State]) -> None:
        for name, array, shape in zip(names, before, shapes, strict=True):
            holder = next((s for s in states if name in s), states[-1])
            holder[name] = array.reshape(shape if np.prod(shape) == size else (size,)).copy()

    _, after = theirs.in_state(draw.arrays, set_averages)
    now = [np.asarray(_held(after, name), np.float64).reshape(-1) for name in names]
    notes.add(_updated(fit, draw, names, before, now))

    def at_inference(states: list[State]) -> None:
        set_averages(states)
        for state in states:
            for key in MODES:
                if state.get(key) is True:
                    state[key] = False
            if isinstance(state.get("mode"), str):
                state["mode"] = mode

    mode = _Mode("test")
    outputs, _ = theirs.in_state(draw.arrays, at_inference)
    if all(map(np.array_equal, outputs, draw.outputs)) and not (
        mode.was_compared or _has_flag(states)
    ):
        notes.untested.append("inference (nothing says training or not)")
        return notes
    notes.add(_inferred(fit, replace(draw, outputs=outputs), before))
    return notes


def _found(states: Sequence[State]) -> list[str] | None:
    held = {name for state in states for name in state}
    found = [next((n for n in names if n in held), None) for names in (_MEANS, _VARIANCES)]
    return None if None in found else [name for name in found if name is not None]


def _held(states: Sequence[State], name: str) -> Any:
    return next(state[name] for state in states if name in state)


def _has_flag(states: Sequence[State]) -> bool:
    return any(key in state for state in states for key in MODES)


class _Mode(str):
    """A text that notes whether anybody compares it: what is handed over may be read by nobody."""

    was_compared = False

    def __eq__(self, other: object) -> bool:
        self.was_compared = True
        return str.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        self.was_compared = True
        return str.__hash__(self)


def _updated(
    fit: Fit, draw: LayerDraw, names: Sequence[str], before: Sequence[Array], now: Sequence[Array]
) -> Notes:
    """Return whether each average has moved by Keras's momentum."""
    notes = Notes()
    momentum = float(fit.reference.config["momentum"])
    mean, variance, n = moments(fit.canonical(draw)["x"], fit.reference.options["axes"])
    unbiased = variance * n / (n - 1) if n > 1 else variance
    # A mean and a variance sum n terms each, and mixing takes three operations more.
    gamma = Rounding("float64").gamma(2 * n + 8)
    for name, old, new, after in zip(names, before, (mean, variance), now, strict=True):

        def is_mixed(
            share: float, statistic: Array, old: Array = old, after: Array = after
        ) -> bool:
            room = gamma * (np.abs(old) + np.abs(statistic) + np.abs(after))
            return bool(np.all(np.abs(after - share * old - (1 - share) * statistic) <= room))

        values = {"momentum": f"{momentum:g}", "statistic": "average"}
        if is_mixed(momentum, new):
            notes.tested.append(name)
        elif is_mixed(1 - momentum, new):
            evidence = "equal with the shares exchanged"
            notes.findings.append(Finding(NORM_MOMENTUM, name, values, evidence))
        elif name == names[1] and any(is_mixed(m, unbiased) for m in (momentum, 1 - momentum)):
            evidence = "equal with the variance divided by n - 1"
            notes.findings.append(Finding(NORM_N_MINUS_1, name, {}, evidence))
            if is_mixed(1 - momentum, unbiased):
                notes.findings.append(Finding(NORM_MOMENTUM, name, values, evidence))
        else:
            notes.untested.append(f"{name} (it moves with another momentum than {momentum:g})")
    return notes


def _inferred(fit: Fit, draw: LayerDraw, averages: Sequence[Array]) -> Notes:
    """Return whether the outputs at inference are those of the moving averages."""
    notes = Notes()
    options = {**fit.reference.options, "moving": averages}
    later = replace(fit, reference=replace(fit.reference, options=options))
    none = np.zeros((0, sum(a.size for a in draw.arrays) + 2))
    for slip in (None, FormulaSlip(NORM_INFERENCE)):
        out = later.computed(draw, none, *([] if slip is None else [slip]))
        if all(map(np.all, later.near(draw, out))):
            if slip is None:
                notes.tested.append("inference")
            else:
                evidence = "equal to the outputs in training, whatever the moving averages are"
                notes.findings.append(Finding(NORM_INFERENCE, "forward", {}, evidence))
            return notes
    notes.untested.append("inference (its outputs are those of no way that is known)")
    return notes
