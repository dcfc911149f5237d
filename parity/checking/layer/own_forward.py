"""A layer's gradients beside the derivative of its own forward, whatever it computes."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from numpy_impl.types import Array
from parity.candidate import Candidate
from parity.checking.asking.subject import Subject
from parity.checking.bugs.derivative import NOT_THE_DERIVATIVE, WRONG_VALUE
from parity.checking.bugs.findings import OWN_LOSS, Finding, Notes
from parity.checking.bugs.layers import NOT_OF_FORWARD
from parity.checking.derivative.compare import check_derivative
from parity.checking.layer.gradients import assigned
from parity.checking.layer.theirs import Theirs

OWN_FORWARD = "the derivative of your own forward"


def check_own_forward(theirs: Theirs, seed: int, search: bool, beginning: Sequence[Array]) -> Notes:
    """Return whether a layer's gradients are the derivative of its own forward.

    They are the gradients of the loss ``sum(out * dout)``, whose weights are all of the layer's
    arrays and whose targets are ``dout``.

    Args:
        theirs: The user's layer.
        seed: Of the draws.
        search: Whether to search for the line that is wrong, where nothing explains it.
        beginning: Arrays near which forward is asked.
    """
    arrays = [array.astype(np.float64) for array in beginning]
    shapes = [out.shape for out in theirs.outputs(arrays)[: theirs.douts]]

    def loss(_: Any, douts: Any) -> Any:
        outputs = theirs.outputs(arrays)
        return sum(float(np.sum(o * d)) for o, d in zip(outputs, douts, strict=False))

    def gradients(_: Any, douts: Any) -> list[Array | None]:
        answer = theirs.ask(arrays, lambda outputs: list(douts)[: len(outputs)])
        return assigned(answer.gradients, theirs.names, [a.shape for a in arrays])[0]

    def data(rng: np.random.Generator) -> tuple[Any, Any]:
        douts = [rng.standard_normal(shape) for shape in shapes]
        return douts, douts

    candidate = Candidate(
        get_weights=lambda: arrays, gradients=gradients, loss=loss, data=data, name="your layer"
    )
    subject = Subject(candidate)
    subject.names = [f"d{name}" for name in theirs.names]
    notes = check_derivative(subject, seed, search)
    notes.findings = [_of_forward(finding) for finding in notes.findings]
    notes.witnesses = [
        replace(w, name=OWN_FORWARD) if w.name == OWN_LOSS else w for w in notes.witnesses
    ]
    notes.untested = ["what forward computes (no reference is given)"] if notes.tested else []
    return notes


def _of_forward(finding: Finding) -> Finding:
    """Return what is said of a loss as it is said of a forward."""
    if finding.bug is NOT_THE_DERIVATIVE:
        return replace(finding, bug=NOT_OF_FORWARD)
    if finding.bug is WRONG_VALUE:
        return replace(finding, values={**finding.values, "of": "forward"})
    return finding
