"""Probe the gradients in one form of samples and labels, and explain what comes back."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from parity.bounds.rounding import Approx
from parity.checking import observe, scales
from parity.checking.calls import Form, batch_size
from parity.checking.explain import Explainer, Explanation
from parity.checking.fit import Match, scaled_bound
from parity.checking.layout import Layout
from parity.checking.losses import LossKind, correct_gradients, reductions
from parity.checking.plan import Plan
from parity.checking.probe import Probe, draw_probe
from parity.checking.sources import Source
from parity.checking.subject import Subject, lowest
from parity.checking.witnesses import OwnLoss
from parity.findings import Finding

# A tensor of one element fits any factor; so many probes make sure that it does not fit by that.
_MOST_PROBES, _FEWEST_PROBES, _ENOUGH_NUMBERS = 6, 2, 6
# Fewer elements than this are off by a bug, not by the rounding of a lower precision.
_MANY = 8


@dataclass
class Assessment:
    """What was asked and how it is explained.

    Attributes:
        form: How samples and labels were passed.
        probes: With the user's gradients.
        explanation: The likeliest, from the output down.
        scale: The factor of the gradients, and who deviates.
        misfits: What is wrong with the shapes of the answer.
        own: The user's own loss as measured on the first probe; None if there is none.
    """

    form: Form
    probes: list[Probe]
    explanation: Explanation
    scale: scales.Scale
    explainer: Explainer
    misfits: list[Finding] = field(default_factory=list)
    own: OwnLoss | None = None

    @property
    def cost(self) -> int:
        """How many things are wrong."""
        known = self.explanation.cost + len(self.scale.deviations) + len(self.misfits)
        return known + 2 * self._unusable

    @property
    def _unusable(self) -> int:
        """How many tensors have no gradient of a usable shape: nothing is known of them."""
        probe = self.probes[0]
        biases = zip(probe.bias_gradients, probe.plan.has_bias, strict=True)
        return sum(g is None for g in probe.kernel_gradients) + sum(
            g is None and has_bias for g, has_bias in biases
        )

    @property
    def flaws(self) -> int:
        """How many things are wrong, weight decay not counted: it may be meant."""
        return self.cost - sum(match is not None and bool(match.decay) for match in self.matches)

    @property
    def masked(self) -> bool:
        """Whether dropout was active."""
        return self.probes[0].masks is not None

    @property
    def matches(self) -> list[Match | None]:
        """What explains each tensor."""
        return [match for fit in self.explanation.layers for match in fit.tensors.values()]

    @property
    def explains_something(self) -> bool:
        """Whether any tensor is explained."""
        return any(match is not None for match in self.matches)

    def widely_off(self, rounded: "Assessment") -> bool:
        """Return whether what nothing explains is off nearly everywhere, as it is by rounding.

        A bug that is as small as float32's rounding sits in a few elements.

        Args:
            rounded: The same gradients, all explained up to a lower precision's rounding.
        """
        base, number = rounded.scale.base, 0
        rights = [
            correct_gradients(rounded.explanation.kind, p.forward(tracked=True), p.y)
            for p in self.probes
        ]
        for fit in self.explanation.layers:
            for index, part in enumerate(("kernel", "bias")):
                if fit.tensors.get(part, True) is not None:
                    continue
                off, of = self._off(fit.layer, index, base, rights, rounded)
                if off * 2 <= of:
                    return False
                number += off
        return number >= _MANY

    def _off(
        self,
        layer: int,
        index: int,
        base: float,
        rights: Sequence[tuple[Sequence[Approx | None], ...]],
        rounded: "Assessment",
    ) -> tuple[int, int]:
        """Return how many elements of a tensor are off on all probes, and of how many."""
        rests, bounds, weights = [], [], []
        for probe, right in zip(self.probes, rights, strict=True):
            g = (probe.kernel_gradients, probe.bias_gradients)[index][layer]
            w = (probe.kernels, probe.biases)[index][layer]
            v = right[index][layer]
            if g is not None and w is not None and v is not None:
                rests.append((g - base * v.value).ravel())
                bounds.append(scaled_bound(v, base).ravel())
                weights.append(w.ravel())
        if not rests:
            return 0, 0
        rest, bound, weight = (np.concatenate(parts) for parts in (rests, bounds, weights))
        match = rounded.explanation.fit(layer).tensors[("kernel", "bias")[index]]
        if match is not None and match.decay:  # the median: a few wrong do not move it
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

    @property
    def fixed_batch(self) -> bool:
        """Whether the user's code takes batches of one size only."""
        return self.subject.candidate.batch_size is not None

    def draw(self, form: Form, number: int, avoid: int = 0) -> Probe:
        """Return the probe of a number; the same number gives the same weights."""
        rng = np.random.default_rng([self.seed, number])
        batch = self.batch or batch_size(self.subject.candidate, form, self.layout.sizes, avoid)
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
        misfits = observe.observe(source, self.layout, self.subject.names, probe)
        probe.dtype = lowest(self.dtype, *probe.dtypes)
        return probe, misfits

    def assess(self, source: Source, form: Form) -> Assessment:
        """Ask for gradients on several probes, and explain them.

        Raises:
            TheirError: The user's code does not take this form.
        """
        probes, misfits = [], []
        for number in range(self.count(form)):
            probe, found = self.ask(source, form, number)
            probes.append(probe)
            misfits = misfits or found
        best = self.explained(probes, form, misfits)
        if best.cost and self._symmetric():
            for probe in probes:
                observe.reversed_observation(probe)
            finding = Finding(
                "layer-order", "gradients in the wrong layer order (last layer first)",
                "gradients", "reverse the list of gradients before you return it",
                "read in the reverse order they fit",
            )  # fmt: skip
            other = self.explained(probes, form, [*misfits, finding])
            if other.cost < best.cost:
                return other
            for probe in probes:
                observe.reversed_observation(probe)
        return best

    def explained(
        self, probes: Sequence[Probe], form: Form, misfits: Sequence[Finding]
    ) -> Assessment:
        """Explain what was observed on some probes."""
        explainer = Explainer(probes, self.preferred)
        explanation = explainer.explain()
        probe = probes[0]
        usual = [f for f, _ in reductions(explanation.kind, len(probe.x), probe.y.shape[1])]
        scale = scales.analyse(explanation, usual)
        return Assessment(form, list(probes), explanation, scale, explainer, list(misfits))

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
