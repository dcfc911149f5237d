"""Ways to compute the deltas: at the output from the loss, and from layer to layer."""

from collections.abc import Callable, Iterator

import numpy as np

from numpy_impl.activations import ActivationFunction
from parity.bounds.activations import softmax, through
from parity.bounds.rounding import Approx
from parity.checking.catalogue.errors import error_variants
from parity.checking.catalogue.variant import COMMON, LEAKY, OTHERS, Scene, Variant, from_activation
from parity.checking.losses import LossKind

_SLOPES = [f for f in (*COMMON, *LEAKY, *OTHERS) if f.name != "linear"]


def output_variants(kind: LossKind, function: ActivationFunction) -> list[Variant]:
    """Return the ways to get ``dC/dz`` at the output layer, the right one first."""
    right = Variant(lambda scene: kind.delta(scene.fwd, scene.y))
    if function.name in ("softmax", "log_softmax"):
        return [right, *_softmax_variants(kind), *error_variants(kind, function)]

    def with_slope(variant: Variant) -> Variant:
        def compute(scene: Scene) -> Approx | None:
            incoming = kind.slope(scene.fwd.output, scene.y)
            return variant.compute(scene, scene.fwd.plan.depth - 1, incoming)

        return Variant(compute, variant.code, variant.title, variant.fix)

    slopes = (with_slope(variant) for variant in slope_variants(function)[1:])
    return [right, *slopes, *error_variants(kind, function)]


def _softmax_variants(kind: LossKind) -> list[Variant]:
    def of(formula: Callable[[Approx, Approx, Approx], Approx]) -> Callable[[Scene], Approx]:
        def compute(scene: Scene) -> Approx:
            z, a = scene.fwd.z[-1], scene.fwd.a[-1]
            return formula(z, a, kind.slope(a, scene.y))

        return compute

    def again(scene: Scene) -> Approx:
        z, a = scene.fwd.z[-1], scene.fwd.a[-1]
        return through(scene.function(-1), z, a, kind.delta(scene.fwd, scene.y))

    def fused_diagonal(scene: Scene) -> Approx:
        a = scene.fwd.a[-1]
        return kind.delta(scene.fwd, scene.y) * (a * (1.0 - a))

    full = "multiply by the whole Jacobian: delta = a * (g - sum(g * a)) with g = dC/da"
    once = "for softmax with cross-entropy use delta = a - y as it is"
    return [
        Variant(of(lambda z, a, g: g), "softmax-missing", "softmax Jacobian missing", full),
        Variant(
            of(lambda z, a, g: g * (a * (1.0 - a))),
            "softmax-diagonal", "softmax Jacobian cut to its diagonal a(1 - a)", full,
        ),
        Variant(
            again, "softmax-twice",
            "softmax Jacobian taken twice (the fused p - y passed through it again)", once,
        ),
        Variant(
            fused_diagonal, "softmax-fused-diagonal",
            "fused p - y passed through the softmax derivative p(1 - p) again (softmax taken "
            "twice)",
            once,
        ),
        Variant(
            of(lambda z, a, g: g * (softmax(a) * (1.0 - softmax(a)))),
            "softmax-diagonal-of-activation",
            "softmax Jacobian cut to its diagonal, and evaluated at softmax(softmax(z)): the "
            "derivative is taken at the activation instead of the pre-activation",
            f"hand the derivative z, not a, and {full}",
        ),
        Variant(
            of(lambda z, a, g: g * (z * (1.0 - z))),
            "softmax-diagonal-of-logits",
            "softmax Jacobian cut to its diagonal, and a(1 - a) put at the pre-activation", full,
        ),
        Variant(
            of(lambda z, a, g: softmax(a) * (g - (g * softmax(a)).sum(axis=-1, keepdims=True))),
            "softmax-of-activation",
            "softmax Jacobian evaluated at softmax(softmax(z)): taken at the activation instead of "
            "the pre-activation", "hand the derivative z, not a",
        ),
    ]  # fmt: skip


def row_variants(batch: int) -> list[Variant]:
    """Return what may happen to samples of the batch, as changes of the output's delta."""

    def weighted(index: int, weight: float) -> Callable[[Scene, Approx], Approx]:
        def compute(scene: Scene, delta: Approx) -> Approx:
            weights = np.ones((batch, 1))
            weights[index] = weight
            return delta * weights

        return compute

    found = [Variant(lambda scene, delta: delta)]
    if batch < 2:
        return found
    order = [batch - 1, 0, *range(1, batch - 1)]
    for i in order:
        which = {0: "first", 1: "second", 2: "third", batch - 1: "last"}.get(i, f"{i + 1}th")
        found.append(
            Variant(
                weighted(i, 0.0), "sample-left-out", f"{which} sample of the batch left out",
                f"let the loop or slice over the batch reach its {which} sample (x[i:j] ends "
                "before j)",
            )
        )  # fmt: skip
        found.append(
            Variant(
                weighted(i, 2.0), "sample-twice", f"{which} sample of the batch counted twice",
                "let the loop or slice over the batch visit each sample once",
            )
        )  # fmt: skip
    return found


def slope_variants(function: ActivationFunction) -> list[Variant]:
    """Return the ways to pass a delta through an element-wise activation, the right one first.

    Each takes ``(scene, layer, e)``, e the gradient at the activation.
    """
    name = function.name

    def missing(scene: Scene, layer: int, e: Approx) -> Approx:
        return e

    def at_activation(scene: Scene, layer: int, e: Approx) -> Approx | None:
        return e * scene.slope(function, scene.fwd.a[layer])

    def at_dropped(scene: Scene, layer: int, e: Approx) -> Approx | None:
        if scene.fwd.masks[layer] is None:
            return None
        return e * scene.slope(function, scene.fwd.inputs[layer + 1])

    def form_at_z(scene: Scene, layer: int, e: Approx) -> Approx | None:
        form = from_activation(name, scene.fwd.z[layer])
        return None if form is None else e * form

    def form_at_dropped(scene: Scene, layer: int, e: Approx) -> Approx | None:
        if scene.fwd.masks[layer] is None:
            return None
        form = from_activation(name, scene.fwd.inputs[layer + 1])
        return None if form is None else e * form

    def twice(scene: Scene, layer: int, e: Approx) -> Approx:
        slope = scene.slope(function, scene.fwd.z[layer])
        return e * slope * slope

    relu = name.startswith(("relu", "leaky"))
    hint = " (or ReLU's mask tested on the post-activation with >=, which always holds)"
    code = "missing-derivative"
    title = "missing activation derivative" + (hint if name == "relu" else "")
    fix = f"multiply the delta by {name}'(z), elementwise"
    z_fix = f"call the derivative of {name} with z, not with a = {name}(z)"
    a_fix = f"the formula needs a = {name}(z), not z"
    found = [
        Variant(
            lambda scene, layer, e: through(function, scene.fwd.z[layer], scene.fwd.a[layer], e)
        ),
        Variant(missing, code, title, fix),
        Variant(
            form_at_dropped, "derivative-at-dropped",
            f"{name}'s derivative taken at the dropped and rescaled activation instead of at the "
            "activation itself (that is, not at the pre-activation z)",
            "keep the activation as it was before dropout for the derivative",
        ),
        Variant(
            at_activation, "derivative-at-activation",
            f"{name}'s derivative taken at the activation instead of the pre-activation", z_fix,
        ),
        Variant(
            at_dropped, "derivative-at-dropped",
            f"{name}'s derivative taken at the dropped activation instead of the pre-activation",
            z_fix,
        ),
        Variant(
            form_at_z, "derivative-at-pre-activation",
            f"{name}'s derivative, written in terms of the activation, taken at the pre-activation",
            a_fix,
        ),
    ]  # fmt: skip
    found += list(_other_slopes(function))
    if not relu:
        title = f"{name}'s derivative multiplied in twice"
        found.append(Variant(twice, "derivative-twice", title, "multiply by it once"))
    if name == "linear":
        found = [v for v in found if v.code in ("right", "other-derivative")]
    return found


def _other_slopes(function: ActivationFunction) -> Iterator[Variant]:
    def of(other: ActivationFunction) -> Variant:
        return Variant(
            lambda scene, layer, e: e * scene.slope(other, scene.fwd.z[layer]),
            "other-derivative",
            f"another activation's derivative: {other.name}'s in a layer of {function.name}",
            f"use the derivative of {function.name}",
        )

    def of_form(name: str) -> Variant:
        def compute(scene: Scene, layer: int, e: Approx) -> Approx | None:
            form = from_activation(name, scene.fwd.a[layer])
            return None if form is None else e * form

        shown = "a(1 - a)" if name == "sigmoid" else "1 - a^2"
        return Variant(
            compute,
            "other-derivative",
            f"another activation's derivative: {name}'s {shown} in a layer of {function.name}",
            f"use the derivative of {function.name}",
        )

    def elsewhere(offset: int) -> Variant:
        def compute(scene: Scene, layer: int, e: Approx) -> Approx | None:
            if not 0 <= layer + offset < scene.fwd.plan.depth:
                return None
            z = scene.fwd.z[layer + offset]
            return e * scene.slope(function, z) if z.value.shape == e.value.shape else None

        which = "next" if offset > 0 else "previous"
        return Variant(
            compute, "derivative-of-other-layer",
            f"activation derivative taken at the {which} layer's pre-activation",
            "use the pre-activation of the same layer",
        )  # fmt: skip

    yield from (of_form(name) for name in ("sigmoid", "tanh") if name != function.name)
    yield from (of(other) for other in _SLOPES if other.name != function.name)
    yield from (elsewhere(1), elsewhere(-1))


def propagation_variants() -> list[Variant]:
    """Return the ways to bring a delta from a layer to the one below, the right one first.

    Each takes ``(scene, layer, delta)`` with the delta of ``layer + 1`` and returns the gradient at
    the input of ``layer + 1``.
    """

    def right(scene: Scene, layer: int, delta: Approx) -> Approx:
        return delta @ scene.fwd.kernels[layer + 1].T

    def updated(scene: Scene, layer: int, delta: Approx) -> Approx | None:
        if scene.probe.after is None:
            return None
        return delta @ scene.exact(scene.probe.after[layer + 1]).T

    def turned(scene: Scene, layer: int, delta: Approx) -> Approx | None:
        kernel = scene.fwd.kernels[layer + 1]
        return delta @ kernel if kernel.value.shape[0] == kernel.value.shape[1] else None

    def rolled(last: bool) -> Callable[[Scene, int, Approx], Approx | None]:
        def compute(scene: Scene, layer: int, delta: Approx) -> Approx | None:
            bias, kernel = scene.fwd.biases[layer + 1], scene.fwd.kernels[layer + 1].value
            if bias is None:
                return None
            row = bias.value[None]
            parts = [kernel[1:], row] if last else [row, kernel[:-1]]
            return delta @ scene.exact(np.concatenate(parts)).T

        return compute

    def other(offset: int, turned: bool) -> Variant:
        def compute(scene: Scene, layer: int, delta: Approx) -> Approx | None:
            index = layer + 1 + offset
            if not 0 <= index < scene.fwd.plan.depth:
                return None
            kernel = scene.fwd.kernels[index] if turned else scene.fwd.kernels[index].T
            fits = (delta.value.shape[1], scene.fwd.z[layer].value.shape[1])
            return delta @ kernel if kernel.value.shape == fits else None

        return Variant(
            compute, "wrong-layer", "delta propagated through the wrong layer's kernel",
            "use the kernel of the layer that the delta comes from",
        )  # fmt: skip

    column = "delta propagated with the bias column of the kernel in place of a weight"
    drop = "cut the bias out of the kernel (it is its own row or column) before you transpose it"
    return [
        Variant(right),
        Variant(
            updated, "updated-weights", "delta propagated with already updated weights",
            "compute all gradients first, then update; or keep a copy of the kernel",
        ),
        Variant(
            turned, "propagation-transposed", "delta propagated through the kernel untransposed "
            "(transposed the wrong way)", "transpose the kernel in the backward pass",
        ),
        Variant(rolled(last=True), "bias-column", column, drop),
        Variant(rolled(last=False), "bias-column", column, drop),
        *(other(offset, turned) for offset in (-1, 1) for turned in (False, True)),
    ]  # fmt: skip


def dropout_variants() -> list[Variant]:
    """Return the ways to pass a gradient back through dropout, the right one first.

    A missing or doubled scale shows as a factor, not here. Each takes ``(scene, layer, e)``.
    """

    def right(scene: Scene, layer: int, e: Approx) -> Approx:
        return scene.fwd.dropped(layer, e)

    def missing(scene: Scene, layer: int, e: Approx) -> Approx | None:
        return None if scene.fwd.masks[layer] is None else e

    def redrawn(scene: Scene, layer: int, e: Approx) -> Approx | None:
        observed = scene.probe.kernel_gradients[layer]
        if scene.fwd.masks[layer] is None or observed is None:
            return None
        return (e * scene.fwd.drop_scale(layer)).where(np.any(observed != 0, axis=0)[None])

    return [
        Variant(right),
        Variant(
            missing, "dropout-mask-missing", "dropout mask missing in the backward pass",
            "multiply the gradient by the same mask (and scale) as the activations",
        ),
        Variant(
            redrawn, "dropout-mask-redrawn", "dropout mask redrawn for the backward pass",
            "keep the mask of the forward pass and use it again",
        ),
    ]  # fmt: skip
