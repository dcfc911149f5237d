"""Find out how samples are passed, how the weights are laid out, and what ``forward`` computes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from numpy_impl.activations import ActivationFunction
from numpy_impl.types import Array
from parity.bounds.rounding import Approx
from parity.checking.asking.subject import Subject, TheirError, lowest
from parity.checking.model.functions import COMMON, ELEMENTWISE, LEAKY, OTHERS, OUTPUTS, fitting
from parity.checking.model.layout import Key, Layout
from parity.checking.model.network import Pass, Plan, rounding_for
from parity.checking.model.probe import Form, batch_size, draw_samples, draw_weights, sample_forms

# Hidden activations that differ from layer to layer, where ``forward`` gives the outputs alone, are
# looked for among these in networks of 3, 4 and 5 layers; the number of combinations is the limit.
_FREQUENT = [*COMMON, *LEAKY[:3], *OTHERS[:5]]
_POOLS = (ELEMENTWISE, _FREQUENT, [*COMMON, LEAKY[0], OTHERS[0]])
# How often each form is asked: enough samples to tell one activation from another.
_DRAWS = {"rows": 4, "columns": 4, "single": 8}
# Weights in the user's shapes, a batch, and what forward answered.
Asked = tuple[list[Array], Array, list[Array]]


@dataclass(frozen=True)
class Draw:
    """What ``forward`` answered on one set of weights and one batch.

    Attributes:
        weights: Upright.
        x: The batch, (N, inputs).
        output: The answer, (N, units).
        layers: Every layer's activation, (N, units), where ``forward`` gives them; else empty.
    """

    weights: dict[Key, Array]
    x: Array
    output: Array
    layers: list[Array]


@dataclass(frozen=True)
class Sample:
    """How ``forward`` answers, for one way to call it and one way to read the weights.

    Attributes:
        layout: How the weights are read here.
        form: How the batch was passed.
        draws: The answers: several, as one sample alone cannot tell ReLU from the identity.
        dtype: In which the user's code computes.
    """

    layout: Layout
    form: Form
    draws: list[Draw]
    dtype: np.dtype

    @property
    def first(self) -> Draw:
        """The first answer."""
        return self.draws[0]

    def expected(
        self, plan: Plan, tracked: bool, kind: type[Pass] = Pass, draw: Draw | None = None
    ) -> Pass:
        """Return what a plan gives for the same weights and batch, the first if not said."""
        d = draw or self.first
        rounding = rounding_for(plan, len(d.x), self.dtype, tracked)
        return kind(plan, d.weights, d.x, rounding)

    def agrees(self, plan: Plan, kind: type[Pass] = Pass) -> bool:
        """Return whether all answers are the plan's up to rounding."""
        for tracked, fits in ((False, _near), (True, within)):
            for draw in self.draws:
                if not fits(self.expected(plan, tracked, kind, draw).output, draw.output):
                    return False
        return True

    def layer_by_layer(self, plan: Plan) -> Iterator[tuple[Array, Approx]]:
        """Yield each layer's activation, and what it is to be by the user's own one below it.

        Nothing where ``forward`` gives the outputs alone.
        """
        fwd = self.expected(plan, tracked=True)
        signal = fwd.inputs[0]
        for layer, observed in enumerate(self.first.layers):
            yield observed, fwd.activation(layer, fwd.weighted(layer, signal))
            signal = fwd.rounding.exact(observed)


def _near(expected: Approx, output: Array) -> bool:
    return _close(expected.value, output)


def within(expected: Approx, observed: Array) -> bool:
    """Return whether a tensor is what is expected up to rounding on both sides."""
    return bool(np.all(np.abs(observed - expected.value) <= 2 * expected.bound))


def samples(
    subject: Subject,
    layouts: Sequence[Layout],
    rng: np.random.Generator,
    refused: dict[str, str] | None = None,
) -> Iterator[Sample]:
    """Yield what ``forward`` answers, for every way to call it that gives outputs of fitting shape.

    Args:
        subject: The user's code.
        layouts: The readings of its weights.
        rng: Of weights and batches.
        refused: Takes, by the form in words, why ``forward`` cannot be called in that way.

    Raises:
        TheirError: It raises whichever way it is called; the error is that of the likeliest way.
    """
    first: TheirError | None = None
    returned = False
    refused = {} if refused is None else refused
    for form in sample_forms(subject.candidate):
        for sizes in dict.fromkeys(layout.sizes for layout in layouts):
            try:
                answers = [_ask(subject, form, sizes, rng) for _ in range(_DRAWS[form.samples])]
            except TheirError as error:
                first = first or error
                refused.setdefault(form.sample_text, f"raises {error.words}")
                continue
            returned = True
            refused[form.sample_text] = f"answers with shape {answers[0][2][-1].shape}"
            for layout in (entry for entry in layouts if entry.sizes == sizes):
                sample = _read(subject, answers, layout, form)
                if sample is not None:
                    refused[form.sample_text] = "computes another function than of single samples"
                    yield sample
    if not returned and first is not None:
        raise first


def _read(subject: Subject, answers: Sequence[Asked], layout: Layout, form: Form) -> Sample | None:
    """Return answers with the outputs read as the samples lie, or else the other way."""
    turned = [] if form.samples == "single" else [replace(form, turned_outputs=True)]
    for each in (form, *turned):
        draws = [read(arrays, x, answer, layout, each) for arrays, x, answer in answers]
        known = [draw for draw in draws if draw is not None]
        if len(known) == len(draws):
            dtype = lowest(subject.dtype, answers[0][2][-1].dtype)
            return Sample(layout, each, known, dtype)
    return None


def _ask(subject: Subject, form: Form, sizes: tuple[int, ...], rng: np.random.Generator) -> Asked:
    """Return random weights in the user's shapes, a random batch, and the answer."""
    batch = batch_size(subject.candidate, form, sizes, subject.avoid)
    arrays = draw_weights(subject.shapes, rng)
    x, _ = draw_samples(batch, sizes[0], sizes[-1], rng, 0)
    subject.set_weights(arrays)
    return arrays, x, subject.forward(form.x(x))


def read(
    arrays: list[Array], x: Array, answer: list[Array], layout: Layout, form: Form
) -> Draw | None:
    """Return an answer with the outputs and, if there are any, all layers' activations upright."""
    units, depth, batch = layout.sizes[1:], len(layout.sizes) - 1, len(x)
    weights = layout.unpack(arrays)
    if len(answer) == batch > 1 and all(a.size == units[-1] for a in answer):
        return Draw(weights, x, np.stack([a.reshape(-1) for a in answer]), [])
    output = form.outputs(answer[-1], batch, units[-1])
    if output is None:
        return None
    layers: list[Array] = []
    if depth > 1 and len(answer) in (depth, depth + 1):
        seen = [form.outputs(a, batch, n) for a, n in zip(answer[-depth:], units, strict=True)]
        layers = [a for a in seen if a is not None]
    return Draw(weights, x, output, layers if len(layers) == depth else [])


def guess(sample: Sample, name: str, mixed: bool) -> Plan | None:
    """Return the plan, activations found out, that a sample agrees with; None if there is none.

    Args:
        sample: What ``forward`` answered.
        name: Of the plan.
        mixed: Whether to look for hidden layers unlike each other; else for layers all alike.
    """
    layout = sample.layout
    depth = len(layout.sizes) - 1
    draft = Plan(name, layout.sizes, (COMMON[0],) * depth, layout.has_bias, (0.0,) * depth)
    if sample.first.layers:
        found = _layer_by_layer(sample, draft)
        return found if found is not None and sample.agrees(found) else None
    for activations in _mixed(sample, depth) if mixed else _alike(sample, depth):
        plan = replace(draft, activations=activations)
        if sample.agrees(plan):
            return plan
    return None


def guess_stretched(sample: Sample, name: str) -> Plan | None:
    """Return the plan of a sample whose output, or any layer shown, is a known function stretched.

    Hidden layers that are not shown are all alike.
    """
    layout, draw = sample.layout, sample.first
    depth = len(layout.sizes) - 1
    draft = Plan(name, layout.sizes, (COMMON[0],) * depth, layout.has_bias, (0.0,) * depth)
    if draw.layers:
        found = _layer_by_layer(sample, draft, stretched=True)
        return found if found is not None and sample.agrees(found) else None
    for hidden in ELEMENTWISE[: 1 if depth == 1 else None]:
        signal = draw.x
        with np.errstate(all="ignore"):
            for layer in range(depth - 1):
                signal = hidden.value(_weighted(draw, layer, signal))
            z = _weighted(draw, depth - 1, signal)
        for output in fitting(z, draw.output) if np.all(np.isfinite(z)) else ():
            plan = replace(draft, activations=(*[hidden] * (depth - 1), output))
            if sample.agrees(plan):
                return plan
    return None


def _layer_by_layer(sample: Sample, draft: Plan, stretched: bool = False) -> Plan | None:
    chosen: list[ActivationFunction] = []
    for layer in range(draft.depth):
        pool = OUTPUTS if layer == draft.depth - 1 else ELEMENTWISE
        fits = [f for f in pool if all(_layer_fits(f, layer, draw) for draw in sample.draws)]
        if stretched and not fits:
            signal = sample.first.layers[layer - 1] if layer else sample.first.x
            made = fitting(_weighted(sample.first, layer, signal), sample.first.layers[layer])
            fits = [f for f in made if all(_layer_fits(f, layer, draw) for draw in sample.draws)]
        if not fits:
            return None
        chosen.append(fits[0])
    return replace(draft, activations=tuple(chosen))


def _layer_fits(function: ActivationFunction, layer: int, draw: Draw) -> bool:
    """Return whether a layer's activation follows from the user's own activation below it."""
    signal = draw.layers[layer - 1] if layer else draw.x
    with np.errstate(all="ignore"):
        return _close(function.value(_weighted(draw, layer, signal)), draw.layers[layer])


def _alike(sample: Sample, depth: int) -> Iterator[tuple[ActivationFunction, ...]]:
    """Yield activations that give the outputs at a glance, the same in all hidden layers."""
    for hidden in ELEMENTWISE[: 1 if depth == 1 else None]:
        yield from _at_a_glance(sample, [[hidden]] * (depth - 1))


def _mixed(sample: Sample, depth: int) -> Iterator[tuple[ActivationFunction, ...]]:
    """Yield those of hidden layers that are not all the same."""
    if depth < 3 or depth - 1 > len(_POOLS) + 1:
        return
    for activations in _at_a_glance(sample, [_POOLS[depth - 3]] * (depth - 1)):
        if len(set(activations[:-1])) > 1:
            yield activations


def _at_a_glance(
    sample: Sample, pools: Sequence[Sequence[ActivationFunction]]
) -> Iterator[tuple[ActivationFunction, ...]]:
    """Yield activations, each hidden layer's of its own pool, that give about the first outputs."""
    draw = sample.first
    with np.errstate(all="ignore"):
        signals = draw.x[None]  # of every combination, in the order of ``product``
        for layer, pool in enumerate(pools):
            z = _weighted(draw, layer, signals)
            signals = np.stack([f.value(z) for f in pool], axis=1).reshape(-1, *z.shape[1:])
        z = _weighted(draw, len(pools), signals)
        differences = [np.max(np.abs(f.value(z) - draw.output), axis=(1, 2)) for f in OUTPUTS]
    fits = np.stack(differences, axis=1) <= _glance(draw.output)
    hidden = list(product(*pools))
    for combination, output in np.argwhere(fits):
        yield (*hidden[combination], OUTPUTS[output])


def _weighted(draw: Draw, layer: int, signal: Array) -> Array:
    z = signal @ draw.weights[Key(layer, "kernel")]
    bias = draw.weights.get(Key(layer, "bias"))
    return z if bias is None else z + bias


def _close(one: Array, other: Array) -> bool:
    return one.shape == other.shape and bool(np.max(np.abs(one - other)) <= _glance(other))


def _glance(output: Array) -> float:
    """Return how far from an answer a guess may be to be looked at more closely."""
    return 1e-3 * max(float(np.max(np.abs(output))), 1e-3)


def no_batches(name: str, why: str) -> str:
    """Return the remark that a callable was asked for one sample a call alone, and why."""
    return (
        f"Batches: not tested, as {name} takes one sample a call; with samples {why}. What shows "
        "in batches only (a sum that is not divided by the batch size, say) is not seen."
    )
