"""The gradients beside the derivative of the user's own loss, tensor by tensor."""

from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace

import numpy as np

from numpy_impl.types import Array
from parity.checking.asking.nested import is_ndarray
from parity.checking.asking.repeating import alike
from parity.checking.asking.subject import Subject, TheirError
from parity.checking.bugs.derivative import (
    FACTOR,
    NOT_MEASURED,
    NOT_THE_DERIVATIVE,
    SIGN,
)
from parity.checking.bugs.findings import (
    OWN_LOSS,
    Finding,
    Notes,
    Unreadable,
    Witness,
    listed,
)
from parity.checking.bugs.table import BATCH_SIZE, Severity
from parity.checking.derivative import clipping, farther, naming, penalties
from parity.checking.derivative.draws import POINTS, Draws, of_shape
from parity.checking.derivative.mending import OfLoss
from parity.checking.derivative.pairs import (
    Point,
    SlopePair,
    TensorSlopes,
    base_of,
    losses_at,
    row,
    same,
    share_one_factor,
    wrong_of,
)
from parity.checking.derivative.reading import OfSteps
from parity.checking.derivative.samples import batch_of
from parity.checking.derivative.slopes import Place
from parity.checking.derivative.steps import check_steps
from parity.checking.repairing import telling

REFERENCE = "the derivative of your own loss"
LAYERS_UNKNOWN = "what the layers compute"
# So many directions are tried in each tensor. Each direction has a part along every entry, so that
# a wrong entry shows in all of them, and no two parts are of one size: two entries that were
# exchanged would cancel where their signs are equal.
_DIRECTIONS = 3
# What keeps a logarithm finite changes the loss by no larger share.
_LITTLE = 1e-3
# A batch that is so small is not made smaller.
_FEWEST = 3
# One more draw, on which what mends gradients has to mend them, too.
_ANOTHER = 99
_OF_OTHERS = (
    "the loss depends on none of the arrays that get_weights returns: are they those that it is "
    "computed with, and no copies or averages of them?"
)
_STARTED_ANEW = (
    "the change of a step, divided by the learning rate that it was given; set_weights changes "
    "more than weights, and may start a rate of the step's own anew: give gradients as well"
)
_OF_THE_BATCH = (
    "Forward: what it answers for a sample depends on the others of its batch, as with the batch's "
    "own mean and variance. To predict, moving ones are meant."
)


class Derivative:
    """Compares the user's gradients with the derivative of the user's own loss.

    Args:
        subject: The user's code; its loss is callable.
        seed: Of weights, samples and directions.
        search: Whether to search for the line where nothing explains what is wrong.
    """

    def __init__(self, subject: Subject, seed: int, search: bool = True) -> None:
        self.search = search
        self.subject = subject
        self.candidate = subject.candidate
        self.seed = seed
        self.notes = Notes()
        self.read = OfSteps(subject, self.notes)
        self.shrunk = False
        # Whether what is wrong may be a decay of the step's own, or the loss's penalty done wrong.
        self.may_decay = False
        self.draws = Draws(subject, seed, self.notes, self.read)
        # How many times the derivative right gradients are.
        self.scale = 1.0
        self.of_gradients: list[Finding] = []

    def run(self) -> Notes:
        """Return what was found."""
        with self.notes.until_blocked():
            self._run()
            if changed := self.subject.aliasing():
                self.notes.findings[:0] = changed
                self.notes.tested = self.notes.untested = []
        return self.notes

    def is_clipped(self) -> bool:
        """Return whether the user's gradients are cut off at a number."""
        try:
            points = self.draws.near()
            return clipping.limit(points) is not None or clipping.stretched(points) is not None
        except Unreadable:
            return False

    def _run(self) -> None:
        points = self.draws.near()
        self.notes.conventions["samples"] = self.draws.samples.text
        if any(finding.follows is not Severity.INCOMPLETE for finding in self.notes.findings):
            return
        known = [index for index in range(len(self.subject.names)) if index in points[0].gradients]
        self._look_for_clipping(points)
        tensors = self._measured(known, points)
        with ExitStack() as stack:
            tensors = self._as_meant(points, self._without_decay(points, tensors), stack)
            if wrong_of(tensors):
                self.read.refuse_signs(points[0].gradients.values(), points[0].place)
            points, tensors = self._farther(points, tensors)
            points, tensors = self._of_fewer(points, tensors)
            self._conclude(tensors, points)
        self.read.conclude(tensors)
        measured = [tensor for tensor in tensors if tensor.measured]
        self.notes.tensors += [row(tensor, points[0], self.scale) for tensor in measured]
        self._ask_forward_for_one(points[0].place)
        if self.candidate.gradients is not None and self.candidate.step is not None:
            search = self.search and not self.notes.findings
            steps = check_steps(
                self.subject, self.draws.samples, self.draws.start, self.seed, search
            )
            self._with_steps(steps)

    def _as_meant(
        self, points: Sequence[Point], tensors: list[TensorSlopes], stack: ExitStack
    ) -> list[TensorSlopes]:
        """Return what was measured; of log(p + 1e-8) the derivative of log(p), if that is meant.

        What is added keeps the logarithm finite, and changes the loss by next to nothing. The loss
        is without it until the stack is closed.
        """
        trial = None if not wrong_of(tensors) else self._trial_of(tensors, points, base_of(tensors))
        if trial is None:
            return tensors
        losses = losses_at(points)
        with suppress(Unreadable, TheirError), ExitStack() as own:
            left, read = own.enter_context(telling.unguarded(trial, self.subject))
            now = losses_at(points)
            little = np.allclose(now, losses, rtol=_LITTLE, atol=0) and now != losses
            if not left or not little:
                return tensors
            measured = self._measured([t.index for t in tensors], points)
            fewer = len(wrong_of(measured)) - len(wrong_of(tensors))
            if fewer < 0 or (fewer == 0 and not read):
                self.notes.remarks.append(
                    f"Loss: it takes logarithms of numbers to which {listed(left)} is added. Your "
                    "gradients were compared with its derivative without that."
                )
                stack.push(own.pop_all())
                return measured
        return tensors

    def _without_decay(
        self, points: Sequence[Point], tensors: list[TensorSlopes]
    ) -> list[TensorSlopes]:
        """Return what was measured, without the decay of a step that may have one of its own."""
        candidate = self.candidate
        if candidate.gradients is not None or candidate.optimizer is not None:
            return tensors
        found = penalties.of_the_step(self.subject, points, tensors)
        self.may_decay = found is not None
        if found is None or not found[1]:
            return tensors
        share, self.may_decay = found[0], False
        self.read.decays = {t.index: share for t in tensors if t.factor != 1.0}
        for point in points:
            for index in self.read.decays:
                point.gradients[index] = point.gradients[index] - share * point.place.arrays[index]
        self.notes.remarks.append(
            f"Weight decay: the step has {share:.6g} times the weight more than your loss, as an "
            "optimizer's own; whether it is meant is not known. A declared optimizer tells."
        )
        return self._measured([tensor.index for tensor in tensors], points)

    def _farther(
        self, points: list[Point], tensors: list[TensorSlopes]
    ) -> tuple[list[Point], list[TensorSlopes]]:
        """Return the points and what was measured; first a farther one where it shows a mistake."""
        factors = {t.index: t.factor for t in tensors if t.factor is not None}
        place, read = points[0].place, self.read
        # A farther point's gradients may be shrunk as well, and not near the weights' own length.
        known = bool(tensors) and not (wrong_of(tensors) or points[0].cut or self.shrunk)
        if not known or place.many or read.falling is not None or read.updated:
            return points, tensors
        for number in farther.DRAWS:
            with suppress(Unreadable, TheirError):
                point = self.draws.point(number)
                if not factors.keys() <= point.gradients.keys() or clipping.is_round(point):
                    continue
                rng = np.random.default_rng([self.seed, number, 1])
                if farther.differs(point, factors, rng):
                    found = [point, *points]
                    measured = self._measured([*factors], found)
                    if any(farther.is_off(tensor, factors[tensor.index]) for tensor in measured):
                        return found, measured
        return points, tensors

    def _of_fewer(
        self, points: list[Point], tensors: list[TensorSlopes]
    ) -> tuple[list[Point], list[TensorSlopes]]:
        """Return the points and what was measured; first one of a sample less, if that is wrong.

        It is where gradients are divided by a number that is the batch size of all draws. Of what
        is shrunk to a norm it does not show.
        """
        right = bool(tensors) and all(tensor.factor == 1.0 for tensor in tensors)
        first, given = points[0], self.candidate.gradients is not None
        batch = batch_of(first.place.x, first.place.y)
        if not right or not given or first.place.many or batch < _FEWEST:
            return points, tensors
        if first.cut or self.shrunk:
            return points, tensors
        with suppress(Unreadable, TheirError):
            found = [self.draws.point(farther.FEWER), *points]
            fewer = self._measured([tensor.index for tensor in tensors], found[:1])
            times = [tensor.factor for tensor in fewer]
            if any(f is None or not farther.is_of_a_constant(f, batch) for f in times):
                return points, tensors
            if any(f != 1.0 for f in times):
                return found, self._measured([tensor.index for tensor in tensors], found)
        return points, tensors

    def _look_for_clipping(self, points: Sequence[Point]) -> None:
        """Leave out of the comparison what the user's code cuts off, and say so."""
        number, norm = clipping.limit(points), None
        if number is not None:
            for point in points:
                point.cut = clipping.held(point, number)
            self.notes.remarks.append(
                f"Clipping: your gradients are cut off at {number:g}. Where they are, it was "
                "compared that the derivative is no smaller; elsewhere, that they are the "
                "derivative."
            )
        else:
            norm = clipping.stretched(points)
        self.shrunk = norm is not None
        if norm is not None:
            self.notes.remarks.append(
                f"Clipping: your gradients are shrunk to the norm {norm:.6g}, and were compared as "
                "long as the derivative is."
            )

    def _ask_forward_for_one(self, place: Place) -> None:
        """Remark on outputs that are others where a sample comes alone."""
        batch = self.draws.samples.batch
        if self.candidate.forward is None or not is_ndarray(place.x) or batch == 1:
            return
        place.back()
        with suppress(TheirError):
            whole, again = (self.subject.forward(place.x)[-1] for _ in range(2))
            if not whole.ndim:  # one number for the whole batch
                return
            alone = self.subject.forward(place.x[:1])[-1]
            first = whole[:1]
            if alike(whole, again) and alone.shape == first.shape and not alike(alone, first):
                self.notes.remarks.append(_OF_THE_BATCH)

    def _with_steps(self, steps: Notes) -> None:
        """Write down what the step is; what is right without it is said of both, or of neither."""
        notes = self.notes
        self.of_gradients = [*notes.findings]
        if notes.findings or steps.findings:
            notes.tested = notes.untested = []
            steps.tested = steps.untested = []
        notes.add(steps)
        notes.findings.sort(key=lambda finding: finding.follows is Severity.INCOMPLETE)

    def _measured(self, indices: Sequence[int], points: Sequence[Point]) -> list[TensorSlopes]:
        """Return the weights of some places, measured at each point, one point after the other."""
        names = self.subject.names
        tensors = [TensorSlopes(index, names[index]) for index in indices]
        for number, point in enumerate(points):
            for tensor in tensors:
                self._measure(tensor, number, point)
        for tensor in tensors:
            tensor.judge()
        share_one_factor(tensors)
        base = base_of(tensors)
        for tensor in wrong_of(tensors) if base != 1.0 else ():
            # Measured again where it nearly has the factor, as beside a derivative itself.
            again = TensorSlopes(tensor.index, tensor.name)
            for number, point in enumerate(points) if tensor.nearly_has(base) else ():
                self._measure(again, number, point, base)
            if again.has(base):
                tensor.pairs, tensor.factor = again.pairs, base
        return tensors

    def _measure(self, tensor: TensorSlopes, number: int, point: Point, times: float = 1.0) -> None:
        gradient = point.gradients.get(tensor.index)
        if gradient is None or not np.all(np.isfinite(gradient)):
            return
        rng = np.random.default_rng([self.seed, number, tensor.index])
        for _ in range(_DIRECTIONS):
            length = np.sqrt(max(gradient.size, 1))
            signs, sizes = (
                rng.choice([-1.0, 1.0], gradient.shape),
                rng.uniform(0.7, 1.3, gradient.shape),
            )
            direction = np.asarray(signs * sizes / length)
            if tensor.index in point.cut:
                direction = np.where(point.cut[tensor.index], 0.0, direction)
            along = gradient * direction
            own, room = float(np.sum(along)), point.room(along)
            slope = point.place.along(tensor.index, direction, own / times, room / abs(times))
            tensor.pairs.append(SlopePair(own, slope, room, number, direction))

    def _conclude(self, tensors: Sequence[TensorSlopes], points: Sequence[Point]) -> None:
        notes, samples = self.notes, self.draws.samples
        known = [tensor for tensor in tensors if tensor.measured]
        unknown = [tensor.name for tensor in tensors if not tensor.measured]
        if unknown:
            where = ", ".join(unknown)
            evidence = "estimates from steps of several sizes differ: it jumps, or has few digits"
            notes.findings.append(Finding(NOT_MEASURED, where, evidence=evidence))
        base = base_of(known)
        right = [tensor for tensor in known if tensor.factor is not None]
        right = [t for t in right if t.factor is not None and same(t.factor, base)]
        wrong = [tensor for tensor in known if tensor not in right]
        agree = not wrong and bool(known)
        comment = f"{len(right)} of {len(tensors)} gradients agree, measured by central differences"
        notes.witnesses.append(Witness(OWN_LOSS, agree if known else None, comment))
        # An array of one number has some factor whatever it is, and so may seem to set the scale.
        whole: Finding | None = None
        sure = samples.given
        if wrong and base != 1.0:
            whole = naming.of_another_loss(self.subject, points, known)
        if wrong and whole is None and (base != 1.0 or not right):
            whole = penalties.of_two_scales(self.subject, points, wrong, right, base, samples)
            sure = sure or bool(right)
        if whole is not None:
            severity = None if sure else Severity.UNCERTAIN
            notes.findings[:0] = [replace(whole, severity=severity)]
        elif right and base != 1.0:
            self._scaled(base, right, points[0])
        if wrong and whole is None:
            # What fits nowhere may be asked with samples that the code is not made for.
            sure = (samples.given or bool(right)) and not self.may_decay
            depends = any(pair.slope.value for tensor in known for pair in tensor.measured)
            if not depends:
                names = ", ".join(tensor.name for tensor in wrong)
                finding = Finding(NOT_THE_DERIVATIVE, names, evidence=_OF_OTHERS)
                notes.findings[:0] = [replace(finding, severity=Severity.UNCERTAIN)]
                return
            of_size = points[0].number == farther.FEWER
            if of_size:
                found = [_of_one_size(points, wrong)]
            else:
                found = naming.named(self.subject, points, wrong, right, base, samples)
            # That a gradient is not there, say, is seen; where it gets lost may be found.
            if of_size or all(finding.bug.symptom for finding in found):
                located = found or [self._unnamed(wrong, right)]
                other = None if right else naming.of_another_mode(points[0], self.draws.asked)
                found = [other] if other else self._mended(known, points, base, located)
            elif right and all(finding.bug is FACTOR for finding in found):
                found = self._with_its_line(known, points, base, found)
            severity = None if sure else Severity.UNCERTAIN
            notes.findings[:0] = [
                Finding(f.bug, f.where, f.values, f.evidence, f.detail, severity) for f in found
            ]
        # What is wrong stands before what is not there.
        notes.findings.sort(key=lambda finding: finding.follows is Severity.INCOMPLETE)
        if not notes.findings:
            self._scope(right, base)

    def _with_its_line(
        self,
        known: Sequence[TensorSlopes],
        points: Sequence[Point],
        base: float,
        found: list[Finding],
    ) -> list[Finding]:
        """Return one factor that some gradients have, with the line in which it is missing."""
        factors = [t.factor for t in known if t.factor is not None and not same(t.factor, base)]
        trial = self._trial(known, points, base)
        if trial is None or not factors or not all(same(f, factors[0]) for f in factors):
            return found
        said = telling.of_a_factor(trial, self.subject, factors[0] / base)
        first, *others = found
        return [replace(first, evidence=f"{first.evidence}; {said}"), *others] if said else found

    def _mended(
        self,
        known: Sequence[TensorSlopes],
        points: Sequence[Point],
        base: float,
        located: list[Finding],
    ) -> list[Finding]:
        """Return the one change with which the gradients are the derivative, or what is known."""
        trial = self._trial(known, points, base)
        return located if trial is None else telling.mended(trial, self.subject, located)

    def _trial(
        self, known: Sequence[TensorSlopes], points: Sequence[Point], base: float
    ) -> OfLoss | None:
        """Return what asks for the gradients with changed code, where that tells something."""
        return self._trial_of(known, points, base) if self.search else None

    def _trial_of(
        self, known: Sequence[TensorSlopes], points: Sequence[Point], base: float
    ) -> OfLoss | None:
        if self.read.falling is not None or self.read.updated:
            return None

        def ask(point: Point, settled: bool) -> dict[int, Array]:
            found = of_shape(self.draws.asked(point.place, settled), point.place.arrays)
            return {k: g for k, g in enumerate(found) if g is not None}

        def again(factor: float, everywhere: bool) -> dict[int, bool]:
            far = [p.number for p in points if everywhere or p.number not in range(POINTS)]
            more = [self.draws.point(number) for number in (_ANOTHER, *far)]
            tensors = self._measured([t.index for t in known], more)
            # Where a kink is too near in every direction, these draws tell nothing.
            return {
                t.index: not t.measured or (t.factor is not None and same(t.factor, factor))
                for t in tensors
            }

        trial = OfLoss(points, known, base, ask, again)
        seen = [t.factor is not None and same(t.factor, base) for t in known]
        if trial.fits(trial.values()) == seen:
            return trial
        # Masks that are kept until a batch has another shape are others by now.
        points = [self.draws.point(point.number) for point in points]
        known = self._measured([t.index for t in known], points)
        return OfLoss(points, known, base, ask, again)

    def _unnamed(self, wrong: Sequence[TensorSlopes], right: Sequence[TensorSlopes]) -> Finding:
        worst = max(
            (p for t in wrong for p in t.measured), key=lambda p: abs(p.own - p.slope.value)
        )
        evidence = (
            f"along one direction it is {worst.own:.7g}, and the derivative is "
            f"{worst.slope.value:.7g}"
        )
        if right:
            evidence += f"; right are those of {listed([t.name for t in right])}"
        return Finding(NOT_THE_DERIVATIVE, ", ".join(t.name for t in wrong), evidence=evidence)

    def _scaled(self, base: float, right: Sequence[TensorSlopes], point: Point) -> None:
        samples = self.draws.samples
        if samples.given and naming.is_one_sample(self.subject, point):
            samples = replace(samples, batch=1)
        words = naming.factor_words(base, samples)
        if base > 0 and words:
            self.scale = base
            self.notes.remarks.append(
                f"Scale: your gradients are {base:.7g} times the derivative of your own loss"
                f"{words}. Another reduction, no bug; it acts like a learning rate."
            )
            return
        names = ", ".join(tensor.name for tensor in right)
        values = {"factor": f"{base:.7g}", "words": words}
        found = Finding(SIGN if base < 0 else FACTOR, names, values)
        if self.candidate.gradients is None and base > 0 and self.read.starts_anew(point.place):
            found = replace(found, evidence=_STARTED_ANEW, severity=Severity.UNCERTAIN)
        self.notes.findings.append(found)

    def _scope(self, right: Sequence[TensorSlopes], base: float) -> None:
        what = "gradients" if self.candidate.gradients is not None else "steps"
        times = "" if base == 1.0 else f", each {base:.7g} times the derivative"
        self.notes.tested = [f"{what} of {len(right)} arrays in {POINTS} draws{times}"]
        self.notes.untested = [LAYERS_UNKNOWN]
        if self.candidate.step is None:
            self.notes.untested.append("a step (none is given)")


def _of_one_size(points: Sequence[Point], wrong: Sequence[TensorSlopes]) -> Finding:
    """Return that gradients are right for batches of one size alone."""
    less, more = (batch_of(point.place.x, point.place.y) for point in points[:2])
    pair = next(p for tensor in wrong for p in tensor.measured if p.point == 0)
    factor = round(pair.own / pair.slope.value * less * more) / (less * more)
    evidence = f"of {less} samples it is {factor:.7g} times the derivative"
    names = ", ".join(tensor.name for tensor in wrong)
    return Finding(BATCH_SIZE, names, {"first": more, "other": less}, evidence)


def check_derivative(subject: Subject, seed: int, search: bool = True) -> Notes:
    """Return whether the gradients are the derivative of the user's own loss.

    Where no bug explains that they are not, one change is searched for with which they are.
    """
    return Derivative(subject, seed, search).run()
