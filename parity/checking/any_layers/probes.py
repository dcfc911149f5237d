"""Weights and inputs that forward is asked with, and the reference's answers to them."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from numpy_impl.types import Array
from parity.checking.any_layers import answers, inputs, matching
from parity.checking.any_layers.answers import Answer, ForwardReading
from parity.checking.any_layers.matching import WeightMatch
from parity.checking.any_layers.opened import Opened, Run
from parity.checking.asking import nested
from parity.checking.asking.subject import Subject
from parity.checking.bugs.findings import Finding, Unreadable
from parity.checking.bugs.forward_alone import NOT_IN_FLOAT64

# Inputs of these sizes: in small ones an epsilon shows, and in large ones a nonlinearity.
_SCALES = (1.0, 1 / 32)
# Discards at a glance what is no rounding even in float32: see docs/tolerances.md.
_GLANCE = 1e-3


@dataclass(frozen=True)
class ForwardProbe:
    """One draw, and the answers to it.

    Attributes:
        inputs: The inputs.
        values: The weights, by the variables' ``id``.
        run: What the reference computes.
        answer: What the user's forward answers.
    """

    inputs: list[Array]
    values: dict[int, Array]
    run: Run
    answer: Answer


class Probes:
    """Asks forward, with the reference's weights in it where it can be given any.

    Args:
        opened: The model.
        subject: The user's code.
        seed: Of weights and inputs.
        match: Which of the user's arrays is which variable; None if there are none.
        every: Whether to look for a second way in which the arrays may be the variables.

    Attributes:
        match: Which of the user's arrays is which variable.
        reading: How forward is called and read.
        all: The answers.
        given: Whether the inputs are the user's own.
        takes: What the model takes.

    Raises:
        Unreadable: forward cannot be asked, or the reference does not run.
    """

    def __init__(
        self,
        opened: Opened,
        subject: Subject,
        seed: int,
        match: WeightMatch | None,
        every: bool = False,
    ) -> None:
        self.opened = opened
        self.subject = subject
        self.seed = seed
        self.match = match or WeightMatch(())
        data = subject.candidate.data
        self.given = data is not None
        self.takes = inputs.inputs_of(opened, None if data is None else self._own(0), self._run)
        self.all: list[ForwardProbe] = []
        for number, scale in enumerate(_SCALES):
            rng = np.random.default_rng([seed, number])
            if self.given:
                drawn = inputs.as_list(opened, self._own(number))
            else:
                drawn = [each.draw(rng, scale) for each in self.takes]
            values = self._values(rng)
            run = self._run(drawn, values)
            if number == 0:
                self._put(self.match, values)
                self.reading: ForwardReading = answers.reading(subject, opened, drawn, run)
                self._settle(drawn, values, run, 2 if every else 1)
            self._put(self.match, values)
            self.all.append(ForwardProbe(drawn, values, run, self.reading.way(subject, drawn)))

    def again(self) -> Answer:
        """Ask once more what was asked last."""
        return self.reading.way(self.subject, self.all[-1].inputs)

    def _own(self, number: int) -> Any:
        data = self.subject.candidate.data
        given: Any = data(np.random.default_rng([self.seed, number])) if callable(data) else data
        return given[0] if nested.is_list(given) else given

    def _run(self, drawn: Sequence[Array], values: Mapping[int, Array]) -> Run:
        try:
            return self.opened.run(drawn, values)
        except Exception as error:  # whatever a layer of the user's raises
            with suppress(Exception):
                return self._in_float32(drawn, values)
            words = f"{type(error).__name__}: {error}".partition("\n")[0]
            raise Unreadable(Finding(NOT_IN_FLOAT64, "reference", evidence=words)) from error

    def _in_float32(self, drawn: Sequence[Array], values: Mapping[int, Array]) -> Run:
        """Run the reference in float32 from now on, if it runs in that."""
        before, self.opened.dtype = self.opened.dtype, "float32"
        try:
            return self.opened.run(drawn, values)
        except Exception:
            self.opened.dtype = before
            raise

    def _values(self, rng: np.random.Generator) -> dict[int, Array]:
        """Return the model's weights, moved where the user's can be moved too.

        A bias of zeros and a scale of ones would hide what is done with them. What is positive
        stays so, as a variance has to.
        """
        values = self.opened.values()
        if not self.match.rows:
            return values
        for key, array in values.items():
            moved = array * (1 + 0.3 * rng.uniform(-1, 1, array.shape))
            if not np.any(array):
                moved = 0.3 * rng.standard_normal(array.shape)
            values[key] = moved.astype(np.float32).astype(np.float64)
        return values

    def _put(self, match: WeightMatch, values: dict[int, Array]) -> None:
        if not match.rows:
            return
        variables = zip(self.opened.paths, self.opened.variables, strict=True)
        by_path = {path: values[id(v)] for path, v in variables}
        self.subject.set_weights([row.as_given(by_path[row.variable]) for row in match.rows])

    def _settle(self, drawn: list[Array], values: dict[int, Array], run: Run, wanted: int) -> None:
        """Try what the shapes leave open, until forward agrees with so many ways."""
        if not self.match.ambiguous:
            return
        agreeing: list[WeightMatch] = []
        for match in matching.alternatives(self.opened, self.match):
            self._put(match, values)
            if self.agree(self.reading.way(self.subject, drawn), run):
                agreeing.append(match)
                if len(agreeing) == wanted:
                    break
        if agreeing:
            self.match = matching.settled(agreeing) if wanted > 1 else agreeing[0]

    def agree(self, answer: Answer, run: Run) -> bool:
        """Return whether all that is observed is about what a run says."""
        return all(
            _close(each.array(answer, meant.shape), meant)
            for each in self.reading.observed
            for meant in [run.calls[each.call].outputs[each.output]]
        )


def _close(observed: Array, meant: Array) -> bool:
    """Return whether two arrays are the same at a glance."""
    if observed.shape != meant.shape:
        return False
    size = np.max(np.abs(meant), initial=0.0)
    return bool(np.all(np.abs(observed - meant) <= _GLANCE * max(size, np.finfo(float).tiny)))
