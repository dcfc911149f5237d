"""The user's own loss as a loss of the catalogue: its derivative at the outputs, as measured.

Where the loss is none that is known here, its derivative by the pre-activation of output j on
sample n is that by the output's bias, of the loss of that sample alone. What flows on from there
is known as for any other loss, and so are the mistakes below.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import product

import numpy as np

from numpy_impl.activations import ActivationFunction
from numpy_impl.types import Array
from parity.bounds.rounding import Approx
from parity.checking.asking.subject import Subject, TheirError
from parity.checking.explain.own_loss import Line
from parity.checking.model.layout import Key, Layout
from parity.checking.model.losses import LossKind
from parity.checking.model.network import Pass
from parity.checking.model.probe import Form, Probe, wide

# So many outputs of so many samples are measured, at some twenty values of the loss each.
_MOST = 400


def _no_slope(a: Approx, y: Array) -> Approx:
    raise NotImplementedError("a measured loss has no formula of its outputs")


@dataclass(frozen=True, eq=False)
class MeasuredLoss(LossKind):
    """A loss that is known by its values alone.

    Attributes:
        subject: Whose loss it is.
        layout: How the weights are read.
        form: How samples and targets are passed.
        measured: By weights, samples and targets, what was measured.
    """

    subject: Subject | None = None
    layout: Layout | None = None
    form: Form | None = None
    measured: dict[bytes, tuple[Array, Array]] = field(
        default_factory=dict[bytes, tuple[Array, Array]]
    )

    def delta(self, fwd: Pass, y: Array) -> Approx:
        """Return ``dC/dz`` at the output, with the error of measuring."""
        key = b"".join(a.tobytes() for a in (*_weights(fwd).values(), fwd.inputs[0].value, y))
        if key not in self.measured:
            self.measured[key] = self._delta(fwd, y)
        value, error = self.measured[key]
        return Approx(value, error, fwd.rounding)

    def incoming(self, fwd: Pass, y: Array) -> Approx | None:
        """Return ``dC/da`` at the output; None where it does not follow from ``dC/dz``."""
        function, z, a = fwd.plan.activations[-1], fwd.z[-1], fwd.a[-1]
        if not _invertible(function):
            return None
        delta, slope = self.delta(fwd, y), function.derivative(z.value, a.value)
        return delta / fwd.rounding.exact(slope) * 1.0

    def known(self, probes: Sequence[Probe]) -> bool:
        """Return whether all of it can be measured on some probes."""
        plan = probes[0].plan
        if sum(probe.y.size for probe in probes) > _MOST or plan.scale != 1 or plan.offset:
            return False
        try:
            for probe in probes:
                delta = self.delta(probe.forward(tracked=False), probe.y)
                if not np.max(delta.bound) <= wide(delta.rounding) * np.max(np.abs(delta.value)):
                    return False
                # A loss that leaves an output out is given targets in a form that it does not take.
                if not np.all(np.any(delta.value != 0, axis=0)):
                    return False
        except TheirError:  # takes no single sample, say
            return False
        return True

    def _delta(self, fwd: Pass, y: Array) -> tuple[Array, Array]:
        subject, layout, form = self.subject, self.layout, self.form
        assert subject is not None
        assert layout is not None
        assert form is not None
        weights, x = _weights(fwd), fwd.inputs[0].value
        last = fwd.plan.depth - 1
        key = Key(last, "bias" if Key(last, "bias") in weights else "kernel")
        value, error = np.zeros(y.shape), np.zeros(y.shape)
        dtype = np.dtype(np.float32 if fwd.rounding.unit > 1e-10 else np.float64)
        host = Probe(fwd.plan, weights, x, y, dtype, form, layout.pack(weights))
        rows = [slice(n, n + 1) for n in range(len(x))]
        lines = [Line(subject, layout, replace(host, x=x[row], y=y[row])) for row in rows]
        exact = lines[0].complex_safe()
        for n, j in product(range(y.shape[0]), range(y.shape[1])):
            direction = np.zeros(weights[key].shape)
            size = 1.0
            if key.part == "bias":
                direction[j] = 1.0
            else:
                signal = fwd.inputs[last].value[n]
                i = int(np.argmax(np.abs(signal)))
                direction[i, j], size = 1.0, float(signal[i])
                if not size:  # no weight of the last layer changes anything for this sample
                    error[n, j] = np.inf
                    continue
            line = lines[n]
            one, off = (line.complex_step if exact else line.central)(key, direction)
            value[n, j], error[n, j] = one / size, off / abs(size)
        return value, error


def _weights(fwd: Pass) -> dict[Key, Array]:
    found: dict[Key, Array] = {}
    for layer, (kernel, bias) in enumerate(zip(fwd.kernels, fwd.biases, strict=True)):
        found[Key(layer, "kernel")] = kernel.value
        if bias is not None:
            found[Key(layer, "bias")] = bias.value
    return found


def _invertible(function: ActivationFunction) -> bool:
    return function.name in ("linear", "sigmoid", "tanh")


def of(subject: Subject, layout: Layout, form: Form) -> MeasuredLoss:
    """Return the user's own loss as one of the catalogue."""
    return MeasuredLoss(
        "your own loss", "own", _no_slope, (), "its derivative, as measured",
        subject=subject, layout=layout, form=form,
    )  # fmt: skip
