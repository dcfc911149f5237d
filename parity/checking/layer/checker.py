"""The check of one layer: ask it, read its forward, compare its backward, name what is wrong."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from numpy_impl.types import Array
from parity.checking.asking.kept import global_state
from parity.checking.asking.repeating import alike
from parity.checking.asking.subject import TheirError
from parity.checking.bugs.derivative import ONE_CHANGE, ONE_CHANGE_IN_PART
from parity.checking.bugs.findings import (
    FORWARD_PASS,
    KERAS,
    Finding,
    Notes,
    TensorResult,
    Witness,
    listed,
)
from parity.checking.bugs.layers import (
    GRADIENT_WRONG,
    NEVER_FINITE,
    NOT_THE_REFERENCE,
    OTHER_FUNCTION,
)
from parity.checking.bugs.table import (
    ACCUMULATED,
    ALIASING,
    EXCEPTION,
    NONDETERMINISTIC,
    NONDETERMINISTIC_FORWARD,
    NOT_GIVEN,
    VACUOUS,
    Severity,
)
from parity.checking.layer import moving, special
from parity.checking.layer.any_fit import Beside, asked
from parity.checking.layer.beyond import beyond
from parity.checking.layer.drawing import TAMER, USUAL, Wild, first_not_finite
from parity.checking.layer.explaining import Explaining, Right
from parity.checking.layer.fit import Fit, LayerDraw, fitted
from parity.checking.layer.given import (
    arguments_of,
    as_numbers,
    examples_of,
    layer_of,
    options_of,
)
from parity.checking.layer.gradients import assigned, squeezed
from parity.checking.layer.keras_layer import ask_keras
from parity.checking.layer.own_forward import OWN_FORWARD, check_own_forward
from parity.checking.layer.reference import Reference, resolve
from parity.checking.layer.theirs import LayerAnswer, Theirs
from parity.reports.report import CheckReport

_DRAWS = 2
# The number of a further draw, for what a layer is called with before.
_ANOTHER = 9
# Every element is differentiated by, so that time and memory grow with the square of their number.
_MOST_ELEMENTS = 3000
_OR_SAY = (
    "; forward is called with inputs, weights and arguments, in this order: give what it takes"
)


@global_state()
def check_layer(
    forward: Any,
    backward: Callable[..., Any] | None = None,
    reference: Any = None,
    *,
    inputs: Any,
    weights: Any = None,
    arguments: Sequence[Any] | Mapping[str, Any] = (),
    seed: int = 0,
    name: str = "your layer",
) -> CheckReport:
    """Check the forward and backward functions of one layer.

    The gradients are those of ``sum(out * dout)``. They are compared with the derivative of the
    user's own forward; with a reference also with Keras's automatic differentiation, and then the
    bug gets its name. How arrays lie is found out.

    Args:
        forward: ``(*inputs, *weights, *arguments) -> out, cache``, or ``out`` alone; a cell may
            return several outputs before its cache. Or an object with the methods ``forward`` and
            ``backward``, or a function without arguments (a class) that makes one.
        backward: ``(dout, cache) -> gradients`` of the arrays that forward takes, in a tuple, a
            list, or a dict by names such as ``dW``. None for an object.
        reference: What it is meant to be: any Keras layer, such as ``keras.layers.LSTM(4)``, a
            Keras model, or ``keras.ops.dot_product_attention``. None: the derivative of forward
            decides alone.
        inputs: An example of the input, or its shape; a list of these where there are several.
            Arrays of whole numbers (indices) or of 0 and 1 (masks) are handed over as they are.
            Where forward calls one "mask", or "..._mask", a shape stands for a mask that is drawn.
        weights: Of functions: examples of the arrays behind the inputs, or their shapes; a dict is
            handed over as one. Of an object: the names of its weights (None: those that have a
            gradient, ``dW`` or ``grads["W"]``).
        arguments: What forward takes behind them, a dict by their names. One called "mask", or
            "..._mask", is a mask of the reference, too; a shape stands for one that is drawn.
        seed: Of inputs, weights and ``dout``, which are drawn anew: standard normal. Where forward
            then gives NaN or fails, tamer numbers are tried, and the report says so.
        name: What to call it in the report.

    Returns:
        The report, as of :func:`parity.check`. It does not raise if the layer is wrong.

    Raises:
        TypeError: The reference is no Keras layer.
        ValueError: Nothing to call is given.

    Source: Baydin et al. (2018), "Automatic differentiation in machine learning: a survey", JMLR
    18(153), section 3.
    """
    notes = Notes()
    known: Reference | None = None
    examples = examples_of(inputs, forward, seed)
    arguments = arguments_of(arguments, seed)
    if reference is not None:
        known = resolve(reference, options_of(examples, arguments))
        if known.kind.inputs:
            examples = as_numbers(examples)
    with notes.until_blocked():
        theirs = layer_of(forward, backward, examples, weights, arguments)
        check = _Check(theirs, known, examples, seed, notes)
        check.run()
    notes.findings = [
        replace(f, values={**f.values, "or_say": _OR_SAY}) if f.bug is EXCEPTION else f
        for f in notes.findings
    ]
    words = OWN_FORWARD if known is None else known.words
    return CheckReport(name, words, **vars(notes))


class _Check:
    """One check.

    Args:
        theirs: The user's layer.
        reference: What it is meant to be; None: nothing is known of it.
        given: Examples of its inputs.
        seed: Of the draws.
        notes: Takes what is found.
    """

    def __init__(
        self, theirs: Theirs, reference: Reference | None, given: list[Any], seed: int, notes: Notes
    ) -> None:
        self.theirs, self.reference, self.seed, self.notes = theirs, reference, seed, notes
        self.given = given
        self.names = theirs.names
        self.misshapen: dict[int, Array] = {}
        self.numbers, self.wild = USUAL, None

    def run(self) -> None:
        """Go through the stages."""
        elements = sum(array.size for array in self.theirs.arrays)
        if elements > _MOST_ELEMENTS:
            reason = f"expected at most {_MOST_ELEMENTS} elements in all. Received: {elements}"
            raise TheirError("forward", f"{reason}; give smaller inputs and weights")
        if not elements:
            reason = "expected an array of floating-point numbers. Received: none"
            raise TheirError("forward", reason)
        answers = self._answers()
        if answers is None:
            return
        draws = [draw for draw, _ in answers]
        self._aliasing()
        repeats = self._repeats(*answers[0])
        fit = None
        if self.reference is not None:
            found = fitted(self.reference, draws, self.theirs.inputs)
            found = found or asked(self.reference, draws, self.given, self.theirs.inputs)
            if isinstance(found, Beside):
                self._other_function(found, repeats)
            else:
                fit = found
                self._forward(fit)
        if self.wild is not None:
            self.notes.add(beyond(self.wild, self.numbers, self.theirs, fit, draws[0]))
        if fit is not None:
            self._backward(fit, answers)
            self._specially(fit, draws[0])
        if repeats:
            self._own(fit)

    def _answers(self) -> list[tuple[LayerDraw, LayerAnswer]] | None:
        """Return what the layer says of numbers of which forward makes numbers; None: of none.

        Raises:
            TheirError: It fails on all that are tried.
        """
        for self.numbers in (USUAL, *TAMER):
            answers: list[tuple[LayerDraw, LayerAnswer]] = []
            wild: Wild | None = None
            for number in range(_DRAWS):
                try:
                    draw, answer = self._asked(number)
                except TheirError as error:
                    if not error.trace:  # an answer of a kind that no numbers change
                        raise
                    wild = Wild(self.numbers, self._arrays(number), [], error)
                    break
                judged = draw.outputs[: self.theirs.douts]
                if first_not_finite(judged)[0] >= 0:
                    wild = Wild(self.numbers, draw.arrays, judged)
                    break
                answers.append((draw, answer))
            if wild is None:
                return answers
            self.wild = self.wild or wild
        assert self.wild is not None
        if self.wild.error is not None:
            raise self.wild.error
        tried = "; ".join(numbers.words for numbers in TAMER)
        evidence = f"{self.wild.said(self.theirs)}; nor gives it numbers on: {tried}"
        self.notes.findings.append(Finding(NEVER_FINITE, "forward", evidence=evidence))
        return None

    def _aliasing(self) -> None:
        """Say what the user's functions have changed of what they were given."""
        for change in sorted(self.theirs.modified):
            if change.endswith("dout"):  # nobody needs it any more, if x goes one way
                words = f"Aliasing: {change} in place; where a layer has two paths, that is a bug."
                self.notes.remarks.append(words)
            else:
                evidence = "the caller's array is another one after the call"
                finding = Finding(ALIASING, change.split()[0], {"change": change}, evidence)
                self.notes.findings.append(finding)

    def _asked(
        self, number: int, before: Sequence[Array] | None = None
    ) -> tuple[LayerDraw, LayerAnswer]:
        rng = np.random.default_rng([self.seed, number])
        arrays = self.numbers.drawn(rng, self.theirs)
        douts: list[Array] = []

        def choose(outputs: list[Array]) -> list[Array]:
            if not douts:  # a second call gets the same
                douts[:] = [rng.standard_normal(out.shape).astype(out.dtype) for out in outputs]
            return douts

        answer = self.theirs.ask(arrays, choose, before)
        exact = [dout.astype(np.float64) for dout in douts]
        return LayerDraw(arrays, answer.outputs, exact), answer

    def _arrays(self, number: int) -> list[Array]:
        return self.numbers.drawn(np.random.default_rng([self.seed, number]), self.theirs)

    def _repeats(self, draw: LayerDraw, answer: LayerAnswer) -> bool:
        """Return whether a second call on equal input says the same; say what else it is."""
        second, again = self._asked(0, draw.arrays)
        same = all(map(_equal, draw.outputs, second.outputs))
        if self.reference is not None and self.reference.kind.observed(draw.outputs):
            return False  # it is random, as it should be
        if not same and self.reference is not None and self._begins_late(draw):
            return False
        if not same:
            evidence = "a second call on equal input gave other outputs"
            self.notes.findings.append(
                Finding(NONDETERMINISTIC_FORWARD, "forward", evidence=evidence)
            )
            return False
        one, two = answer.given, again.given
        if all(map(_equal, one, two)):
            before = self._arrays(_ANOTHER)
            self.notes.add(special.stale(self.theirs, draw, one, before))
            return True
        pairs = [(a, b) for a, b in zip(one, two, strict=False) if a.shape == b.shape]
        if any(np.any(a) and alike(2 * a, b) for a, b in pairs):
            evidence = "a second call on equal input gave twice as much"
            self.notes.findings.append(Finding(ACCUMULATED, "backward", evidence=evidence))
            return True
        evidence = "a second call on equal input gave other gradients"
        self.notes.findings.append(Finding(NONDETERMINISTIC, "backward", evidence=evidence))
        return False

    def _begins_late(self, draw: LayerDraw) -> bool:
        """Return whether a second call begins in the state in which the first ended."""
        assert self.reference is not None
        fit = fitted(self.reference, [draw], self.theirs.inputs)
        return fit is not None and bool(special.begun_anew(self.theirs, fit, draw).findings)

    def _forward(self, fit: Fit) -> None:
        assert self.reference is not None
        words, notes = self.reference.words, self.notes
        notes.conventions |= fit.conventions
        notes.remarks += fit.remarks
        if fit.slip is None:
            notes.witnesses.append(Witness(FORWARD_PASS, True, "equal up to rounding"))
            return
        evidence = f"with it every output agrees with {words} up to rounding"
        notes.findings.append(Finding(fit.slip.bug, "forward", fit.slip.values, evidence))
        notes.witnesses.append(Witness(FORWARD_PASS, False, "they differ by what is named"))

    def _other_function(self, beside: Beside, repeats: bool) -> None:
        """Say that no layout makes the forwards equal; it is wrong where none is left to try."""
        assert self.reference is not None
        row, notes = beside.row, self.notes
        values = {"reference": self.reference.words}
        evidence = f"your arrays: {self._shapes()}; {beside.words}"
        notes.witnesses.append(Witness(FORWARD_PASS, False, "no layout makes them equal"))
        cause = beside.cause
        if cause is not None and repeats:
            evidence = f"with it {self.reference.words} gives the same outputs, up to rounding"
            severity = Severity.CONCLUSIVE if beside.is_all else Severity.UNCERTAIN
            evidence += "" if beside.is_all else "; but not every layout of your arrays was tried"
            finding = Finding(cause.bug, cause.where, cause.values, evidence)
            notes.findings.append(replace(finding, severity=severity))
            notes.tensors += [] if row is None else [row]
            return
        if row is None or row.right or not beside.is_all or not repeats:
            notes.findings.append(Finding(OTHER_FUNCTION, "forward", values, evidence))
            return
        off = int(np.count_nonzero(~(row.errors <= row.bounds)))
        evidence = (
            f"of {row.errors.size} outputs {off} differ by more than float32's rounding, and no "
            f"order of axes makes them equal; at {list(row.index)} yours is {row.value:g}, "
            f"Keras's {row.expected:g}"
        )
        notes.findings.append(Finding(NOT_THE_REFERENCE, "forward", values, evidence))
        notes.tensors.append(row)

    def _shapes(self) -> str:
        arrays = zip(self.names, self.theirs.arrays, strict=True)
        return ", ".join(f"{name} {array.shape}" for name, array in arrays)

    def _backward(self, fit: Fit, answers: Sequence[tuple[LayerDraw, LayerAnswer]]) -> None:
        draws = [draw for draw, _ in answers]
        right: list[Right] = [fit.gradients(draw) for draw in draws]
        self._assign(answers, right[0])
        explaining = Explaining(fit, draws, right, self.names, self.misshapen, self.seed)
        keras = self._keras(fit, draws[0], right[0])
        self.notes.findings += explaining.findings()
        for k, own in enumerate(draws[0].gradients):
            if own is not None:
                self.notes.tensors.append(self._row(k, own, right[0], keras))
        missing = [f"d{self.names[k]}" for k, g in enumerate(draws[0].gradients)
                   if g is None and k not in self.misshapen]  # fmt: skip
        if missing:
            self.notes.findings.append(Finding(NOT_GIVEN, listed(missing)))
        if keras is not None:
            wrong = {*explaining.wrong, *self.misshapen}
            count = len(self.names) - len(missing)
            comment = f"{count} gradients compared: " + (
                f"{len(wrong)} differ" if wrong else "all equal up to rounding"
            )
            self.notes.witnesses.append(Witness(KERAS, not wrong, comment))
        if not self.notes.findings:
            self._scope(right[0])
        self.notes.findings.sort(key=lambda finding: finding.follows is Severity.INCOMPLETE)

    def _scope(self, right: Right) -> None:
        """Say what "right" covers: a gradient that is 0 whatever is done could not have failed."""
        vacuous = [np.max(np.abs(v)) <= np.max(b) for v, b in zip(*right, strict=True)]
        where = [f"d{n}" for n, empty in zip(self.names, vacuous, strict=True) if empty]
        given = [f"d{n}" for n in self.names if f"d{n}" not in where]
        if not given:
            self.notes.findings.append(Finding(VACUOUS, listed(where)))
            return
        self.notes.tested = ["forward pass", f"gradients {listed(given)}"]
        if where:
            self.notes.untested = [f"{listed(where)} (0 up to rounding, with these sizes)"]

    def _assign(self, answers: Sequence[tuple[LayerDraw, LayerAnswer]], right: Right) -> None:
        """Hand the gradients of each draw to their arrays, in the order that the first one has."""
        shapes = [array.shape for array in self.theirs.arrays]
        order: list[int] = []
        for number, (draw, answer) in enumerate(answers):
            found = answer.gradients
            if number and order and isinstance(found, list):
                padded = [*found, *[None] * len(shapes)]
                gradients = [padded[k] for k in order]
            else:
                judge = None if number else partial(_agreeing, right)
                gradients, order = assigned(found, self.names, shapes, judge)
            for k, gradient in enumerate(gradients):
                if gradient is not None and squeezed(gradient.shape) != squeezed(shapes[k]):
                    self.misshapen.setdefault(k, gradient)
                    gradients[k] = None
                elif gradient is not None:
                    gradients[k] = gradient.reshape(shapes[k])
            draw.gradients[:] = gradients
        if order and order != sorted(order):
            names = sorted(range(len(order)), key=order.__getitem__)
            self.notes.conventions["gradients"] = ", ".join(f"d{self.names[k]}" for k in names)

    def _row(self, k: int, own: Array, right: Right, keras: list[Array] | None) -> TensorResult:
        values, bounds = right
        theirs = f"d{self.names[k]}"
        expected = None if keras is None else keras[k]
        arrays = own, values[k], bounds[k], expected
        return TensorResult.of_arrays("gradient", theirs, "backward", *arrays)

    def _keras(self, fit: Fit, draw: LayerDraw, right: Right) -> list[Array] | None:
        """Return Keras's gradients of the user's arrays; None where it is not asked.

        Raises:
            TheirError: Keras computes something else with the reference than is known here.
        """
        observed = fit.reference.kind.observed(draw.outputs)
        if fit.by_keras:
            return right[0]
        if fit.slip is not None or observed:
            why = "forward is another function" if fit.slip else "its mask is its own"
            self.notes.witnesses.append(Witness(KERAS, None, why))
            return None
        lowest = np.dtype(fit.reference.kind.keras_dtype)
        draw = replace(draw, outputs=[out.astype(lowest) for out in draw.outputs])
        none = np.zeros((0, sum(a.size for a in draw.arrays) + 2))
        own = fit.computed(draw, none)
        shapes = [out.shape for out in own]
        try:
            outputs, found = ask_keras(
                fit.reference, fit.canonical(draw), fit.canonical_douts(draw, shapes)
            )
        except (ImportError, ValueError) as reason:  # the last is a refusal of Keras's
            words = str(reason).partition("\n")[0]
            self.notes.witnesses.append(Witness(KERAS, None, words))
            return None
        gradients = fit.back(found, draw)
        values, bounds = fit.gradients(draw)
        near = [np.abs(a - b) <= room for a, b, room in zip(gradients, values, bounds, strict=True)]
        near += [
            np.abs(theirs.reshape(out.shape) - out.value) <= 2 * out.error
            for theirs, out in zip(outputs, own, strict=False)
        ]
        if not all(map(np.all, near)):
            reason = f"{fit.reference.words} computes something else than is known here"
            raise TheirError("reference", reason)
        return gradients

    def _specially(self, fit: Fit, draw: LayerDraw) -> None:
        """Try what shows on other numbers, in a second call, or at inference alone."""
        notes = Notes()
        if not self.notes.findings:
            notes.add(special.at_ties(self.theirs, fit, self.seed))
        notes.add(special.begun_anew(self.theirs, fit, draw))
        if fit.reference.kind.moving:
            notes.add(moving.checked(self.theirs, fit, draw, self.seed))
        if notes.findings:
            self.notes.tested = []
        elif self.notes.findings:
            notes.tested, notes.untested = [], []
        self.notes.add(notes)

    def _own(self, fit: Fit | None) -> None:
        """Ask the derivative of the user's own forward; it decides where nothing else is known."""
        unknown = [f for f in self.notes.findings if f.bug is GRADIENT_WRONG]
        beginning = self.numbers.beginning(self.theirs)
        search = fit is None or bool(unknown)
        own = check_own_forward(self.theirs, self.seed, search, beginning)
        self.notes.witnesses += own.witnesses
        mended = [f for f in own.findings if f.bug in (ONE_CHANGE, ONE_CHANGE_IN_PART)]
        if unknown and mended:
            kept = [f for f in self.notes.findings if f not in unknown]
            self.notes.findings = [*mended, *kept]
        if fit is None:
            # What is not the derivative of its own forward is wrong, whatever that is.
            conclusive = [
                replace(f, severity=Severity.CONCLUSIVE) if f.follows is Severity.WRONG else f
                for f in own.findings
            ]
            self.notes.findings[:0] = conclusive
            self.notes.tensors += own.tensors
            self.notes.remarks += own.remarks
            if not self.notes.findings:
                self.notes.tested, self.notes.untested = own.tested, own.untested


def _equal(one: Array, other: Array) -> bool:
    """Return whether two answers are the same, NaN being the same as NaN."""
    return np.array_equal(one, other, equal_nan=True)


def _agreeing(right: Right, gradients: Sequence[Array | None]) -> int:
    return sum(
        g is not None and bool(np.all(np.abs(g.reshape(v.shape) - v) <= b))
        for g, v, b in zip(gradients, *right, strict=True)
    )
