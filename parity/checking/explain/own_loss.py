"""The derivative of the user's own loss, measured: what its gradient is a gradient of, if of that.

The derivative along a direction is taken by a complex step, which is exact to rounding (Squire and
Trapp 1998, "Using complex variables to estimate derivatives of real functions"), where the user's
code lets complex numbers through; else by central differences extrapolated to step 0.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import cycle, islice, product
from typing import Any, Literal

import numpy as np

from numpy_impl.types import Array
from parity.checking.asking.ridders import AMPLIFIED, Tableau, spacing
from parity.checking.asking.subject import Subject, TheirError, lowest
from parity.checking.bugs.variant import Scene
from parity.checking.model.layout import Key, Layout
from parity.checking.model.losses import LossKind, correct_gradients, kinds
from parity.checking.model.probe import Probe

Method = Literal["complex step", "central differences"]
# Directions in each tensor, and slopes in all at least: enough to tell the losses apart.
_DIRECTIONS, _SLOPES = 2, 12
_COMPLEX_STEP = 1e-30
# From 0.1 to 1e-10: no probe is nearer to a kink than rounding is.
_HALVINGS = 30
# A kink of the loss itself is met by smaller steps, down to where rounding is all there is, and
# then by another direction.
_SHRINKINGS, _REDRAWS = 5, 3
# Points far away at which a loss of few digits is asked how many it has.
_ELSEWHERE = 15

# Slopes tell something of gradients if their errors are at most this part of the steepest one.
# (One of them may be zero: the bias's of a loss that is centred over the batch.)
_TELLING = 0.1


@dataclass(frozen=True)
class LossSlope:
    """A derivative of the user's own loss along a direction in one tensor.

    Attributes:
        probe: Which probe, from 0.
        key: Which tensor.
        direction: Same shape as the tensor, entries 1 and -1.
        value: The derivative.
        error: How far it may be off.
    """

    probe: int
    key: Key
    direction: Array
    value: float
    error: float


@dataclass(frozen=True)
class OwnLoss:
    """What the user's own loss is.

    Attributes:
        kind: Which loss; None if it is none that is known.
        factor: On the summed form.
        uncertainty: Of the factor.
        kernel_decay: Coefficient of the kernels in its gradient.
        bias_decay: Coefficient of the biases.
        decay_uncertainty: Of the two.
        slopes: As measured.
        method: How.
        batch: Number of samples it was measured on at a time.
        added_up: Whether it is one number a sample, and their sum was taken for it.
    """

    kind: LossKind | None
    factor: float
    uncertainty: float
    kernel_decay: float
    bias_decay: float
    decay_uncertainty: float
    slopes: list[LossSlope]
    method: Method
    batch: int
    added_up: bool

    @property
    def penalised(self) -> bool:
        """Whether it has weight decay in it."""
        return bool(self.kernel_decay or self.bias_decay)


def measure(subject: Subject, layout: Layout, probes: Sequence[Probe]) -> OwnLoss:
    """Measure the user's own loss on some probes, and find out which loss it is.

    Raises:
        TheirError: The loss cannot be called with samples as the gradients take them.
    """
    slopes, method = _slopes(subject, layout, probes)
    how = method, len(probes[0].x), subject.loss_shape is not None
    scenes = [Scene(probe, probe.forward(tracked=True)) for probe in probes]
    every = kinds(probes[0].plan.activations[-1].name)
    measured = {(slope.probe, slope.key) for slope in slopes}
    whole = all((n, key) in measured for n, probe in enumerate(probes) for key in probe.weights)
    for decays, kind in product((False, True), every if whole else ()):
        found = _identified(kind, scenes, slopes, decays)
        if found is not None:
            factor, uncertainty, kernel, bias, spread = found
            if not decays:
                # How much decay there may be all the same, within the errors of measuring.
                more = _identified(kind, scenes, slopes, decays=True)
                spread = np.inf if more is None else more[4] + max(abs(more[2]), abs(more[3]))
            return OwnLoss(kind, factor, uncertainty, kernel, bias, spread, slopes, *how)
    return OwnLoss(None, 0.0, 0.0, 0.0, 0.0, 0.0, slopes, *how)


def repeats(subject: Subject, probe: Probe) -> bool:
    """Return whether the loss is the same at each call, as it is not with masks drawn in it.

    Raises:
        TheirError: The loss cannot be called with samples as the gradients take them.
    """
    subject.set_weights(probe.arrays)
    one, other = (subject.loss(probe.form.x(probe.x), probe.form.y(probe.y)) for _ in range(2))
    return bool(np.array_equal(one, other, equal_nan=True))


def tells(own: OwnLoss, probes: Sequence[Probe]) -> bool:
    """Return whether each tensor's derivative could be measured.

    It cannot where the precision is too low, or a kink too close in every direction; or where the
    loss hardly depends on the weights, and the errors are as large as what is measured.
    """
    if any(probe.weights.keys() - {slope.key for slope in own.slopes} for probe in probes):
        return False
    steepest = max(abs(slope.value) for slope in own.slopes)
    return max(slope.error for slope in own.slopes) <= _TELLING * steepest


def follows(own: OwnLoss, probes: Sequence[Probe]) -> float | None:
    """Return how many times the derivative of the user's own loss their gradients are.

    None where they are no multiple of it, or too little could be measured to tell.
    """
    along: list[float] = []
    room: list[float] = []
    for slope in own.slopes:
        gradient = probes[slope.probe].gradients.get(slope.key)
        if gradient is None:
            return None
        one, its_room = _along(slope, gradient, probes[slope.probe].dtype)
        along.append(one)
        room.append(its_room)
    if not tells(own, probes):
        return None
    values = np.array([slope.value for slope in own.slopes])
    errors, own_room = np.array([slope.error for slope in own.slopes]), np.array(room)
    # Once as it is; else up to the factor that fits best, give or take what its errors do to it.
    if np.all(np.abs(np.array(along) - values) <= own_room + errors):
        return 1.0
    size = float(values @ values)
    factor = float(np.array(along) @ values) / size if size else 0.0
    allowed = own_room + abs(factor) * errors
    spread = float(allowed @ np.abs(values)) / size if size else 0.0
    fits = np.abs(np.array(along) - factor * values) <= allowed + spread * np.abs(values)
    return factor if factor > 0 and np.all(fits) else None


def is_derivative(own: OwnLoss, number: int, key: Key, gradient: Array, dtype: Any) -> bool:
    """Return whether one gradient is, on a probe, what was measured of the user's own loss.

    Args:
        own: The loss, with the slopes in each tensor of this probe.
        number: Of the probe.
        key: Which tensor.
        gradient: Its gradient.
        dtype: In which the user's code computes.
    """
    slopes = [slope for slope in own.slopes if (slope.probe, slope.key) == (number, key)]
    for slope in slopes:
        along, room = _along(slope, gradient, dtype)
        if not abs(along - slope.value) <= room + slope.error:
            return False
    return bool(slopes)


def _along(slope: LossSlope, gradient: Array, dtype: Any) -> tuple[float, float]:
    """Return a gradient along a slope's direction, and how far rounding may move it.

    No bound is known for a loss that is not known: n roundings of the terms on either side.
    """
    each = gradient * slope.direction
    unit = float(np.finfo(dtype).eps)
    return float(np.sum(each)), 2 * unit * gradient.size * float(np.sum(np.abs(each)))


def _slopes(
    subject: Subject, layout: Layout, probes: Sequence[Probe]
) -> tuple[list[LossSlope], Method]:
    rng = np.random.default_rng(0)
    lines = [Line(subject, layout, probe) for probe in probes]
    usable = lines[0].complex_safe()
    count = max(_DIRECTIONS, -(-_SLOPES // sum(len(probe.weights) for probe in probes)))
    slopes: list[LossSlope] = []
    for number, (line, probe) in enumerate(zip(lines, probes, strict=True)):
        along = line.complex_step if usable else line.central
        for key, weight in probe.weights.items():
            for _ in range(count):
                for _ in range(_REDRAWS):
                    direction = rng.choice([-1.0, 1.0], weight.shape)
                    value, error = along(key, direction)
                    if np.isfinite(error):
                        slopes.append(LossSlope(number, key, direction, value, error))
                        break
    return slopes, "complex step" if usable else "central differences"


class Line:
    """The user's loss along lines through the probe's weights."""

    def __init__(self, subject: Subject, layout: Layout, probe: Probe) -> None:
        self.subject = subject
        self.layout = layout
        self.probe = probe
        # What the weights are rounded to as they are set, the loss may compute on in more digits.
        held = lowest(probe.dtype, *(array.dtype for array in subject.weights()))
        self.unit = float(np.finfo(held).eps)
        self._spacing: float | None = None

    def at(self, key: Key, step: Array) -> complex:
        probe = self.probe
        self.subject.set_weights(self.layout.pack(self._moved(key, step)))
        return complex(self.subject.loss(probe.form.x(probe.x), probe.form.y(probe.y)))

    def _moved(self, key: Key, step: Array) -> dict[Key, Array]:
        """Return the probe's weights, one of them changed by ``step``."""
        return {**self.probe.weights, key: self.probe.weights[key] + step}

    def complex_safe(self) -> bool:
        """Return whether complex weights give the derivative that real differences give."""
        if self.unit > 1e-10:
            return False
        key = Key(0, "kernel")
        direction = np.ones_like(self.probe.weights[key])
        try:
            exact, _ = self.complex_step(key, direction)
        except TheirError:
            return False
        rough, error = self.central(key, direction)
        return abs(exact - rough) <= 4 * error and exact != 0

    def _within_a_piece(self, key: Key, direction: Array) -> float:
        """Return a first step within which no activation passes a kink, such as ReLU's at 0.

        Beyond one the loss is another function; the tableau may take the mixture for exact.
        """
        step = 0.125 / max(1.0, float(np.sqrt(direction.size)))
        here = self._pieces(key, 0 * direction)
        for _ in range(_HALVINGS):
            if all(np.array_equal(self._pieces(key, s * step * direction), here) for s in (1, -1)):
                break
            step /= 2
        return step

    def _pieces(self, key: Key, change: Array) -> Array:
        """Return for each unit, sample and kink on which side of it the pre-activation is."""
        fwd = replace(self.probe, weights=self._moved(key, change)).forward(tracked=False)
        layers = zip(fwd.plan.activations, fwd.z, strict=True)
        sides = [z.value.ravel() > kink for f, z in layers for kink in f.kinks]
        return np.concatenate([np.zeros(0, bool), *sides])

    def complex_step(self, key: Key, direction: Array) -> tuple[float, float]:
        try:
            derivative = self.at(key, 1j * _COMPLEX_STEP * direction).imag / _COMPLEX_STEP
        finally:  # whatever is asked next computes with real numbers
            self.subject.set_weights(self.layout.pack(self.probe.weights))
        return derivative, 8 * self.unit * direction.size**0.5 * abs(derivative)

    def central(self, key: Key, direction: Array) -> tuple[float, float]:
        """Return the extrapolated estimate and its error; the step shrinks by 2 from a first one.

        The tableau's entry with the smallest error estimate is taken; rounding of the loss, which
        grows as the step shrinks, is added.
        """
        step = self._within_a_piece(key, direction)
        here = self.at(key, 0 * direction).real
        if self._spacing is None:
            self._spacing = spacing(self._elsewhere(here))
        for _ in range(_SHRINKINGS):
            value, error, smooth = self._extrapolated(key, direction, step, here)
            if smooth:
                return value, error
            step /= 32
        return 0.0, np.inf

    def _elsewhere(self, here: float) -> Iterator[float]:
        """Yield the loss, and values of it far away: how many digits it has shows there."""
        yield here
        rng = np.random.default_rng(0)
        for key, weight in islice(cycle(self.probe.weights.items()), _ELSEWHERE):
            yield self.at(key, rng.standard_normal(weight.shape)).real

    def _extrapolated(
        self, key: Key, direction: Array, step: float, here: float
    ) -> tuple[float, float, bool]:
        """Return the extrapolated estimate, its error, and whether both sides have it."""
        central, right, left = (Tableau(order) for order in (2, 1, 1))
        coarse = AMPLIFIED * (self._spacing or 0.0)
        for row in range(8):
            h = step / 2**row
            high, low = (self.at(key, s * h * direction).real for s in (1, -1))
            rounding = max(64 * self.unit * max(abs(high), abs(low), abs(here)), coarse) / h
            central.add((high - low) / (2 * h), rounding)
            right.add((high - here) / h, rounding)
            left.add((here - low) / h, rounding)
        apart = abs(right.best - left.best)
        smooth = apart <= 2 * (right.error + left.error)
        # What the two sides leave open, the middle one does not know either: a kink close by.
        smooth = smooth and right.error + left.error <= 1e-2 * max(abs(central.best), 1e-3)
        # Where only the curvature jumps, what each side leaves open is all that shows it.
        return central.best, central.error + right.error + left.error, smooth


def _identified(
    kind: LossKind, scenes: Sequence[Scene], slopes: list[LossSlope], decays: bool
) -> tuple[float, float, float, float, float] | None:
    """Fit factor and, if ``decays``, decays of one kind of loss; None if it does not fit."""
    gradients = [correct_gradients(kind, scene.fwd, scene.y) for scene in scenes]
    rows: list[list[float]] = []
    right: list[float] = []
    room: list[tuple[float, float, float, float]] = []
    for slope in slopes:
        gradient, probe = gradients[slope.probe][slope.key], scenes[slope.probe].probe
        kernel = slope.key.part == "kernel"
        along = float(np.sum(gradient.value * slope.direction))
        decay = float(np.sum(probe.weights[slope.key] * slope.direction))
        rows.append([along, decay if kernel else 0.0, 0.0 if kernel else decay])
        right.append(slope.value)
        room.append((slope.error, float(np.sum(4 * gradient.bound)), abs(along), abs(decay)))
    matrix, values = np.array(rows), np.array(right)
    if not np.all(np.isfinite(matrix)) or not np.all(np.isfinite(values)):
        return None
    matrix[:, 1:] *= decays
    fit = np.linalg.lstsq(matrix, values, rcond=None)[0]
    unit = float(np.finfo(scenes[0].probe.dtype).eps)
    own, bound, along, decay = (np.array(column) for column in zip(*room, strict=True))
    sizes = np.abs(fit[0]) * along + np.max(np.abs(fit[1:])) * decay
    allowed = own + np.abs(fit[0]) * bound + 64 * unit * sizes
    # The fit itself moves by what the worst row's error can do to it.
    spread = np.linalg.pinv(matrix)
    moved = np.abs(spread) @ allowed
    if not np.all(np.abs(matrix @ fit - values) <= allowed + np.abs(matrix) @ moved):
        return None
    if abs(fit[0]) <= moved[0] or fit[0] < 0:
        return None
    kernel, bias = (
        float(v) if abs(v) > m else 0.0 for v, m in zip(fit[1:], moved[1:], strict=True)
    )
    return float(fit[0]), float(moved[0]), kernel, bias, float(np.max(moved[1:]))
