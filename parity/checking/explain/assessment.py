"""Ask for gradients on some probes: do they agree with the right ones, or what explains them?"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from itertools import pairwise

import numpy as np

from parity.bounds.rounding import Approx
from parity.checking.asking.gradients import Source
from parity.checking.asking.shapes import observe, reversed_observation
from parity.checking.asking.subject import Subject, lowest
from parity.checking.bugs.findings import Finding
from parity.checking.bugs.table import LAYER_ORDER
from parity.checking.explain import clipping, own_kind, own_loss
from parity.checking.explain.agreement import Agreement, agreement, scaled_bound
from parity.checking.explain.explainer import Explainer, Explanation, Scale, analyse
from parity.checking.explain.fit import MEANT, Match
from parity.checking.explain.own_kind import MeasuredLoss
from parity.checking.explain.own_loss import OwnLoss
from parity.checking.model.layout import Key, Layout
from parity.checking.model.losses import LossKind, correct_gradients, reductions
from parity.checking.model.network import Plan
from parity.checking.model.probe import Form, Probe, batch_size, draw_probe, wide

# A tensor of one element fits any factor; so many probes make sure that it does not fit by that.
_MOST_PROBES, _FEWEST_PROBES, _ENOUGH_NUMBERS = 6, 2, 6
# Fewer elements than this are off by a bug, not by the rounding of a lower precision.
_MANY = 8
# A sum of so many terms is off by so many times its largest result's rounding a term, at most.
_SUM = 2


@dataclass(frozen=True)
class Diagnosis:
    """What explains gradients that are not the right ones.

    Attributes:
        explanation: The likeliest, from the output down.
        scale: The factor of the gradients, and who deviates.
        explainer: What found it.
    """

    explanation: Explanation
    scale: Scale
    explainer: Explainer


@dataclass
class Assessment:
    """What was asked, and whether it agrees, or how it is explained.

    Attributes:
        form: How samples and labels were passed.
        probes: With the user's gradients.
        explain: Explains them; it is asked only where something is to be explained.
        agreed: The loss that they are the gradients of; None where they are not, or not as usual.
        misfits: What is wrong with the shapes of the answer.
        own: The user's own loss as measured on the first probe; None if there is none.
        times: Where that loss is none known here, how many times its derivative the gradients
            are, which then is the verdict; None where they are not that.
        penalised: Kernels whose gradients have a function of the weights added, unknown which.
    """

    form: Form
    probes: list[Probe]
    explain: Callable[[], Diagnosis]
    agreed: Agreement | None = None
    misfits: list[Finding] = field(default_factory=list[Finding])
    own: OwnLoss | None = None
    times: float | None = None
    penalised: frozenset[Key] = frozenset()

    @cached_property
    def analysis(self) -> Diagnosis:
        """What explains the gradients."""
        return self.explain()

    @property
    def kind(self) -> LossKind:
        """The loss that they are the gradients of, as far as they are."""
        return self.agreed.kind if self.agreed is not None else self.analysis.explanation.kind

    @property
    def factor(self) -> float:
        """Their factor on the loss that is summed over batch and outputs; 0 if there is none."""
        return self.agreed.factor if self.agreed is not None else self.analysis.scale.base

    @property
    def cost(self) -> int:
        """How many things are wrong."""
        if self.times is not None or self.agreed is not None:
            return 0
        explanation, deviations = self.analysis.explanation, self.analysis.scale.deviations
        known = explanation.cost + len(deviations) + len(self.misfits)
        return known + 2 * self._unusable

    @property
    def _unusable(self) -> int:
        """How many tensors have no gradient of a usable shape: nothing is known of them."""
        return len(self.probes[0].weights.keys() - self.probes[0].gradients.keys())

    @property
    def flaws(self) -> int:
        """How many things are wrong, penalties of weights not counted: they may be meant."""
        every = self.matches.values()
        meant = [bool(m.decay) + (m.penalty in MEANT) for m in every if m is not None]
        return self.cost - sum(meant)

    @property
    def matches(self) -> Mapping[Key, Match | None]:
        """What explains each tensor that is to be explained; None where nothing does."""
        return {} if self.agreed is not None else self.analysis.explanation.tensors

    @property
    def masked(self) -> bool:
        """Whether dropout was active."""
        return self.probes[0].masks is not None

    def beside(self, own: OwnLoss | None) -> None:
        """Take the user's own loss, if it says anything of these gradients.

        It drops no units, or others. Where gradients do, that is another function of the weights:
        all that counts is which loss it is.
        """
        self.own = None if self.masked and own is not None and own.kind is None else own

    @property
    def explains_something(self) -> bool:
        """Whether any tensor is explained."""
        return self.agreed is not None or any(self.matches.values())

    @property
    def explains_all(self) -> bool:
        """Whether every tensor is explained."""
        return self.times is not None or None not in self.matches.values()

    @property
    def vanishes(self) -> bool:
        """Whether all gradients are zero but for rounding, and not exactly zero, though not meant.

        They are no larger than the rounding errors of right gradients, of the loss summed over
        batch and outputs.
        """
        kind, some = self.kind, False
        for probe in self.probes:
            rights = correct_gradients(kind, probe.forward(tracked=True), probe.y)
            for key, _, gradient, noise in probe.tensors():
                bound = np.max(rights[key].bound)
                telling = bound <= wide(rights[key].rounding) * np.max(np.abs(rights[key].value))
                if not telling or np.any(np.abs(gradient) > bound + noise):
                    return False
                some = some or bool(np.any(gradient))
        return some

    def widely_off(self, rounded: "Assessment") -> bool:
        """Return whether what nothing explains is off nearly everywhere, as it is by rounding.

        A bug that is as small as float32's rounding sits in a few elements.

        Args:
            rounded: The same gradients, all explained up to a lower precision's rounding.
        """
        kind, number = rounded.kind, 0
        rights = [correct_gradients(kind, p.forward(tracked=True), p.y) for p in self.probes]
        for key, match in self.matches.items():
            if match is not None:
                continue
            values = [right[key] for right in rights]
            off, of = self._off(key, values, rounded)
            if off * 2 <= of or self._is_too_far(key, values, rounded):
                return False
            number += off
        return number >= _MANY

    def _is_too_far(self, key: Key, rights: Sequence[Approx], rounded: "Assessment") -> bool:
        """Return whether a tensor is off by more than one sum in float32 rounds.

        Where the layer's other tensor is right to float64's rounding, so is the delta, and nothing
        but the sum over the batch is left.
        """
        others = [m for k, m in self.matches.items() if k.layer == key.layer and k != key]
        if not others or None in others:
            return False
        match = rounded.matches.get(key)
        decay = 0.0 if match is None else match.decay
        batch, unit = len(self.probes[0].x), float(np.finfo(np.float32).eps)
        for probe, right in zip(self.probes, rights, strict=True):
            value = rounded.factor * right.value + decay * probe.weights[key]
            room = _SUM * batch * unit * float(np.max(np.abs(value)))
            if np.max(np.abs(probe.gradients[key] - value)) > room:
                return True
        return False

    def _off(self, key: Key, rights: Sequence[Approx], rounded: "Assessment") -> tuple[int, int]:
        """Return how many elements of a tensor are off on all probes, and of how many."""
        base, probes = rounded.factor, self.probes
        pairs = list(zip(probes, rights, strict=True))
        rest = np.concatenate([(p.gradients[key] - base * v.value).ravel() for p, v in pairs])
        bound = np.concatenate([scaled_bound(v, base).ravel() for v in rights])
        match = rounded.matches.get(key)
        if match is not None and match.decay:  # the median: a few wrong do not move it
            weight = np.concatenate([p.weights[key].ravel() for p in probes])
            rest = rest - np.median(rest / weight) * weight
        return int(np.count_nonzero(np.abs(rest) > bound)), rest.size


class Assessor:
    """Asks for gradients in any form, for one reading of the weights and one plan."""

    def __init__(
        self,
        subject: Subject,
        layout: Layout,
        plan: Plan,
        dtype: np.dtype,
        preferred: LossKind | None,
        seed: int,
    ) -> None:
        self.subject = subject
        self.layout = layout
        self.plan = plan
        self.dtype = dtype
        self.preferred = preferred
        self.seed = seed
        self.remarks: list[str] = []
        self.batch: int | None = None
        self.own: OwnLoss | None = None
        self.measured: MeasuredLoss | None = None
        self.clipping: clipping.Clipping | None = None
        self.of_steps = False

    @property
    def fixed_batch(self) -> bool:
        """Whether the user's code takes batches of one size only."""
        return self.subject.candidate.batch_size is not None

    def draw(self, form: Form, number: int, avoid: int = 0) -> Probe:
        """Return the probe of a number; the same number gives the same weights."""
        rng = np.random.default_rng([self.seed, number])
        taken = (avoid, *self.subject.avoid)
        batch = self.batch or batch_size(self.subject.candidate, form, self.layout.sizes, taken)
        probe, in_vain = draw_probe(self.plan, self.layout, form, self.dtype, batch, rng, number)
        remark = (
            "No probe keeps every unit away from its kink and alive; where one is at its kink, the "
            "bound has the whole jump in it."
        )
        if in_vain and remark not in self.remarks:
            self.remarks.append(remark)
        return probe

    def ask(
        self, source: Source, form: Form, number: int, avoid: int = 0
    ) -> tuple[Probe, list[Finding]]:
        """Return a probe with the user's gradients, and what is wrong with their shapes."""
        probe = self.draw(form, number, avoid)
        misfits = observe(source, self.layout, self.subject.names, probe)
        if self.clipping is not None and not misfits:
            self.clipping.lift(probe)
        probe.dtype = lowest(self.dtype, *(g.dtype for g in probe.gradients.values()))
        remark = (
            f"Precision: your gradients are {probe.dtype} where the weights are {self.dtype}. They "
            "were compared up to that rounding, and smaller errors are not seen."
        )
        if probe.dtype != self.dtype and remark not in self.remarks:
            self.remarks.append(remark)
        return probe, misfits

    def assess(self, source: Source, form: Form) -> Assessment:
        """Ask for gradients on several probes, and explain them.

        Raises:
            TheirError: The user's code does not take this form.
        """
        probes: list[Probe] = []
        misfits: list[Finding] = []
        for number in range(self.count(form)):
            probe, found = self.ask(source, form, number)
            probes.append(probe)
            misfits = misfits or found
        best = self.explained(probes, form, misfits)
        if best.cost and self._symmetric():
            for probe in probes:
                reversed_observation(probe)
            evidence = "read in the reverse order they fit"
            finding = Finding(LAYER_ORDER, "gradients", evidence=evidence)
            other = self.explained(probes, form, [*misfits, finding])
            # The order is only what it is taken for if nothing else is left open then.
            if other.cost < best.cost and other.explains_all:
                return other
            for probe in probes:
                reversed_observation(probe)
        return best

    def explained(
        self,
        probes: Sequence[Probe],
        form: Form,
        misfits: Sequence[Finding],
        right: bool = False,
    ) -> Assessment:
        """Explain what was observed on some probes.

        What is the derivative of a loss that is none known here needs no other explanation.
        ``right``: nothing wrong is tried, as nobody wants to know what it would be.
        """
        times: float | None = None
        agreed = None if misfits else self._agreement(probes)

        @cache
        def explainer() -> Explainer:
            own = None if times else self.own_kind(probes)
            return Explainer(probes, self.preferred, own, right)

        def explain() -> Diagnosis:
            explanation = explainer().explain()
            return Diagnosis(explanation, self._scale(probes[0], explanation), explainer())

        if self.own is not None and self.own.kind is None and not misfits:
            times = own_loss.follows(self.own, probes)
        if agreed is not None:
            return Assessment(form, list(probes), explain, agreed)
        if times is not None and not explainer().is_usual():
            nothing = Diagnosis(explainer().unexplained(), Scale(0.0, 0.0), explainer())
            return Assessment(form, list(probes), lambda: nothing, times=times)
        found = Assessment(form, list(probes), explain, misfits=list(misfits))
        if times is not None and found.flaws:
            found.times = times
        return found

    def _agreement(self, probes: Sequence[Probe]) -> Agreement | None:
        """Return the loss of which gradients are, be they clipped."""
        agreed = agreement(probes, self.preferred)
        if agreed is None and self.clipped(probes, self.preferred):
            agreed = agreement(probes, self.preferred)
        return agreed

    def clipped(self, probes: Sequence[Probe], kind: LossKind | None) -> bool:
        """Return whether gradients are clipped ones of a loss; they are unclipped from here on.

        What is clipped beside a loss of the user's own is compared with its derivative, if it is
        no step.
        """
        own, times = self.own, None
        if self.clipping is not None or (own is not None and not self.of_steps):
            return False
        if own is not None:
            if own.kind is None or own.penalised or own.added_up:
                return False
            times = own.factor
        found = self.clipping = clipping.find(probes, kind, times)
        if found is None:
            return False
        self.remarks.append(found.remark)
        for probe in probes:
            found.lift(probe)
        return True

    def with_explanation(self, before: Assessment, explanation: Explanation) -> Assessment:
        """Return an assessment with another explanation of its gradients."""
        scale = self._scale(before.probes[0], explanation)
        analysis = Diagnosis(explanation, scale, before.analysis.explainer)
        return replace(before, explain=lambda: analysis)

    def _scale(self, probe: Probe, explanation: Explanation) -> Scale:
        usual = [f for f, _ in reductions(explanation.kind, len(probe.x), probe.y.shape[1])]
        return analyse(explanation, usual)

    def own_kind(self, probes: Sequence[Probe]) -> MeasuredLoss | None:
        """Return the user's own loss where it is none that is known here, and can be measured."""
        if self.own is None or self.own.kind is not None or not own_loss.tells(self.own, probes):
            return None
        form = probes[0].form
        if self.measured is None or self.measured.form != form:
            self.measured = own_kind.of(self.subject, self.layout, form)
        return self.measured if self.measured.known(probes) else None

    def count(self, form: Form) -> int:
        """Return how many probes to take."""
        smallest = min(int(np.prod(shape)) for shape in self.layout.shapes)
        needed = -(-_ENOUGH_NUMBERS // max(smallest, 1))
        least = _FEWEST_PROBES if form.samples != "single" else 2 * _FEWEST_PROBES
        return min(max(needed, least), _MOST_PROBES)

    def _symmetric(self) -> bool:
        """Return whether the layers' shapes read the same last layer first."""
        sizes = self.layout.sizes
        pairs = list(pairwise(sizes))
        return len(pairs) > 1 and pairs == pairs[::-1]
