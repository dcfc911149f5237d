"""Batch and layer normalization: ``gamma (x - mean) / sqrt(variance + epsilon) + beta``."""

from collections.abc import Callable, Iterator, Mapping
from typing import cast

import numpy as np

from numpy_impl.types import Array
from parity.bounds.dual import Dual
from parity.checking.bugs.layers import (
    NORM_AXIS,
    NORM_AXIS_BACKWARD,
    NORM_COUNT,
    NORM_EPSILON_BACKWARD,
    NORM_EPSILON_PLACE,
    NORM_EPSILON_VALUE,
    NORM_GAMMA,
    NORM_GAMMA_OF_X,
    NORM_GAMMA_PLACE,
    NORM_INFERENCE,
    NORM_INVERSE,
    NORM_MEAN_TERM,
    NORM_N_MINUS_1,
    NORM_SHARE,
    NORM_STATISTICS_TERMS,
    NORM_VARIANCE_TERM,
)
from parity.checking.layer.kind import Arrays, FormulaSlip, Kind, Options, Role, Slips

Axes = tuple[int, ...]
# The axes over which mean and variance are taken, of x with its channels last.
_OF_BATCH: Axes = (0, 1, 2)
_OF_FEATURES: Axes = (3,)
# In use: Keras has 1e-3, PyTorch 1e-5, papers 1e-8 and others.
_EPSILONS = (1e-3, 1e-5, 1e-8, 1e-6, 1e-7, 1e-4, 1e-9, 1e-10, 1e-12)


def _norm(arrays: Arrays, options: Options, slips: Slips) -> list[Dual]:
    x, gamma, beta, epsilon = arrays["x"], arrays["gamma"], arrays["beta"], options["epsilon"]
    axes: Axes = slips.how(NORM_AXIS) or options["axes"]
    mean = x.mean(*axes)
    centred = x - mean
    squares = centred * centred
    n = int(np.prod([x.shape[axis] for axis in axes]))
    variance = squares.mean(*axes)
    variance = slips.instead(NORM_N_MINUS_1, variance, lambda: squares.sum(*axes) * (1 / (n - 1)))
    if options.get("moving") is not None and NORM_INFERENCE not in slips:
        mean, variance = (x.constant(array) for array in options["moving"])
        centred = x - mean
    epsilon = slips.how(NORM_EPSILON_VALUE) or epsilon
    inverse = (variance + epsilon).sqrt().reciprocal()
    inverse = slips.instead(
        NORM_EPSILON_PLACE, inverse, lambda: (variance.sqrt() + epsilon).reciprocal()
    )
    fixed = {bug: bug in slips or NORM_STATISTICS_TERMS in slips
             for bug in (NORM_MEAN_TERM, NORM_VARIANCE_TERM)}  # fmt: skip
    normal = (x - mean.frozen() if fixed[NORM_MEAN_TERM] else centred) * (
        inverse.frozen() if fixed[NORM_VARIANCE_TERM] else inverse
    )
    normal = slips.bent(
        NORM_EPSILON_BACKWARD,
        normal,
        lambda: _closed(x, normal, variance.sqrt().reciprocal(), axes),
    )
    if NORM_AXIS_BACKWARD in slips:
        normal = normal.bent(_closed(x, normal, inverse, slips.how(NORM_AXIS_BACKWARD)))
    one = inverse.constant(np.ones(inverse.shape))
    normal = slips.bent(NORM_INVERSE, normal, lambda: _closed(x, normal, one, axes))
    shares: tuple[float, ...] | None = slips.how(NORM_COUNT) or slips.how(NORM_SHARE)
    if shares is not None:
        normal = normal.bent(_closed(x, normal, inverse, axes, *shares))
    out = normal * gamma
    out = slips.bent(
        NORM_GAMMA_PLACE,
        out,
        lambda: normal.frozen() * gamma + _closed(x * gamma.frozen(), normal, inverse, axes),
    )
    out = slips.bent(NORM_GAMMA, out, lambda: normal + normal.frozen() * gamma)
    for how, what in (("x", x), ("x - mean", centred)):
        out = slips.bent(NORM_GAMMA_OF_X, out, _gamma_of(normal, gamma, what), how)
    return [out + beta]


def _gamma_of(normal: Dual, gamma: Dual, what: Dual) -> Callable[[], Dual]:
    return lambda: normal * gamma.frozen() + what.frozen() * gamma


def _closed(x: Dual, normal: Dual, inverse: Dual, axes: Axes, *shares: float) -> Dual:
    """Return what has the derivative that backward functions write in one line.

    Args:
        x: The inputs.
        normal: They, normalized.
        inverse: By what they are multiplied.
        axes: Over which both means are taken.
        shares: Factors of the mean's share, of the variance's, and of what is left.
    """
    of_mean, of_variance, of_x = (*shares, *(1.0, 1.0, 1.0)[len(shares) :])
    scaled, fixed = x * inverse.frozen(), normal.frozen()
    through_mean = scaled.mean(*axes) * of_mean
    return scaled * of_x - through_mean - fixed * (fixed * scaled).mean(*axes) * of_variance


def moments(x: Array, axes: Axes) -> tuple[Array, Array, int]:
    """Return mean and variance of x over some axes, as vectors, and over how many elements."""
    n = int(np.prod([x.shape[axis] for axis in axes]))
    return x.mean(axis=axes).reshape(-1), x.var(axis=axes).reshape(-1), n


def _slips(sizes: Mapping[str, int], options: Options) -> Iterator[FormulaSlip]:
    axes: Axes = options["axes"]
    shape = (sizes["b"], sizes.get("h", 1), sizes.get("w", 1), sizes["c"])
    yield FormulaSlip(NORM_GAMMA)
    for what in ("x", "x - mean"):
        yield FormulaSlip(NORM_GAMMA_OF_X, what, {"what": what})
    yield FormulaSlip(NORM_EPSILON_PLACE)
    for other in _EPSILONS:
        if other != options["epsilon"]:
            words = {"found": f"{other:g}", "meant": f"{options['epsilon']:g}"}
            yield FormulaSlip(NORM_EPSILON_VALUE, other, words)
    if options.get("moving") is not None:
        yield FormulaSlip(NORM_INFERENCE)
        return
    for bug in (NORM_MEAN_TERM, NORM_VARIANCE_TERM, NORM_STATISTICS_TERMS, NORM_EPSILON_BACKWARD):
        yield FormulaSlip(bug)
    yield FormulaSlip(NORM_INVERSE)
    if axes == _OF_FEATURES:
        yield FormulaSlip(NORM_GAMMA_PLACE)
    yield from _shares(shape, axes)
    if np.prod([shape[axis] for axis in axes]) > 1:
        yield FormulaSlip(NORM_N_MINUS_1)
    for other in (_OF_BATCH, (0,), _OF_FEATURES, (1, 2, 3), (1, 2)):
        if other != axes and np.prod([shape[axis] for axis in other]) > 1:
            words = {"axes": _words(other, shape), "meant": _words(axes, shape)}
            yield FormulaSlip(NORM_AXIS, other, words)
            yield FormulaSlip(NORM_AXIS_BACKWARD, other)


def _shares(shape: tuple[int, ...], axes: Axes) -> Iterator[FormulaSlip]:
    """Yield means of backward that have other counts, or factors."""
    n = int(np.prod([shape[axis] for axis in axes]))
    counts: dict[int, str] = {n - 1: "", n: ""}
    for some in (
        (0,),
        _OF_FEATURES,
        (1,),
        (2,),
        (1, 2),
        (0, 1),
        _OF_BATCH,
        (1, 2, 3),
        (0, 3),
        (0, 1, 2, 3),
    ):
        count = int(np.prod([shape[axis] for axis in some]))
        counts.setdefault(count, f" ({_words(some, shape)})" if count > 1 else "")
    meant = f"{n} ({_words(axes, shape)})"
    wrong = {count: f"{count}{words}" for count, words in counts.items() if count not in (0, n)}

    def counted(what: str, *shares: float) -> FormulaSlip:
        return FormulaSlip(NORM_COUNT, shares, {"what": what, "meant": meant})

    for count, found in wrong.items():
        share = n / count
        yield counted(f"each mean is divided by {found}", share, share)
        yield counted(f"dxhat is multiplied by {found}", 1.0, 1.0, 1 / share)
    for factor, words in ((2.0, "2"), (0.5, "1/2"), (-1.0, "-1"), (-0.5, "-1/2"), (-2.0, "-2")):
        yield FormulaSlip(NORM_SHARE, (1.0, factor), {"which": "variance", "factor": words})
        yield FormulaSlip(NORM_SHARE, (factor, 1.0), {"which": "mean", "factor": words})
    for count, found in wrong.items():
        yield counted(f"the mean of dxhat is divided by {found}", n / count, 1.0)
        yield counted(f"the mean of dxhat * xhat is divided by {found}", 1.0, n / count)


def _words(axes: Axes, shape: tuple[int, ...]) -> str:
    """Return axes by the names that they have in the user's array."""
    names = ("the batch", "height", "width", "the features")
    short = ("the batch", "time", "", "the features")
    given = names if shape[2] > 1 else short
    return " and ".join(given[axis] for axis in axes if shape[axis] > 1)


def _options(config: Options, axes: Axes) -> Options:
    of = config["axis"]
    if isinstance(of, list | tuple) and len(cast(list[int], of)) > 1:
        raise ValueError(f"Expected normalization over one axis. Received: axis={of!r}")
    return {**{name: config[name] for name in ("epsilon", "center", "scale")}, "axes": axes}


def _kind(axes: Axes, moving: bool) -> Kind:
    pictures = ("b h w c", "b c h w", "b c", "c b", "b h c", "b c h", "h b c", "c")
    return Kind(
        inputs=(Role("x", pictures),),
        weights=(
            Role("gamma", ("c",), needed=False, left_out=1.0, option="scale"),
            Role("beta", ("c",), needed=False, option="center"),
        ),
        outputs=(pictures,),
        formula=_norm,
        slips=_slips,
        options=lambda config: _options(config, axes),
        moving=moving,
    )


BATCH_NORMALIZATION = _kind(_OF_BATCH, moving=True)
LAYER_NORMALIZATION = _kind(_OF_FEATURES, moving=False)
