"""Convolution and pooling: what is computed in windows of a picture, or of a sequence.

A sequence is a picture of width 1. The window of output (i, j) starts at (i, j) times the strides.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from numpy_impl.types import Array
from parity.bounds.dual import Dual, joined
from parity.checking.bugs.layers import (
    AVERAGE_NOT_DIVIDED,
    DILATION_FORGOTTEN,
    KERNEL_FLIPPED,
    KERNEL_NOT_FLIPPED,
    MAX_TO_ALL,
    PADDING_FORGOTTEN,
    STRIDE_FORGOTTEN,
    TIES_ALL,
    TIES_NONE,
    WINDOWS_OVERWRITTEN,
)
from parity.checking.layer.kind import (
    Arrays,
    FormulaSlip,
    Kind,
    Options,
    Role,
    Slips,
    activation,
    activation_slips,
    padded,
)

Pair = tuple[int, int]


class Windows:
    """Where the windows lie.

    Args:
        size: Height and width of x.
        kernel: Height and width of a window.
        strides: How far it moves.
        padding: "same" or "valid", as in Keras, or the width of zeros on every side.
        dilation: How far the elements of a window lie apart.
    """

    def __init__(
        self, size: Pair, kernel: Pair, strides: Pair, padding: str | int, dilation: Pair = (1, 1)
    ) -> None:
        self.kernel, self.strides, self.dilation = kernel, strides, dilation
        self.reach = _pair(1 + d * (k - 1) for d, k in zip(dilation, kernel, strict=True))
        self.pads = [
            _pads(padding, n, r, s) for n, r, s in zip(size, self.reach, strides, strict=True)
        ]
        full = [n + sum(p) for n, p in zip(size, self.pads, strict=True)]
        self.out = _pair(
            (n - r) // s + 1 for n, r, s in zip(full, self.reach, strides, strict=True)
        )

    def offsets(self) -> Iterator[Pair]:
        """Yield the places in a window, row by row."""
        yield from np.ndindex(*self.kernel)  # pyright: ignore[reportReturnType]

    def seen(
        self,
        x: Dual,
        strides: Pair | None = None,
        shifted: bool = False,
        dilation: Pair | None = None,
    ) -> list[Dual]:
        """Return for each place in the windows what lies there, (batch, *out, channels).

        Args:
            x: (batch, height, width, channels).
            strides: Other ones, as a slip has them.
            shifted: With the slip that puts x into the corner of its padded form.
            dilation: Another one, as a slip has it.
        """
        (top, bottom), (left, right) = self.pads
        if shifted:
            top, bottom, left, right = 0, top + bottom, 0, left + right
        wide = padded(x, [(0, 0), (top, bottom), (left, right), (0, 0)])
        (s, t), (d, e) = strides or self.strides, dilation or self.dilation
        rows, columns = self.out
        return [
            wide[:, i * d : i * d + s * rows : s, j * e : j * e + t * columns : t][
                :, :rows, :columns
            ]
            for i, j in self.offsets()
        ]

    def written_last(self) -> list[Array]:
        """Return for each place in the windows where no later window writes onto it."""
        found: list[Array] = []
        for i, j in self.offsets():
            alone = [
                _alone(n, k * d, s, d, r)
                for n, k, s, d, r in zip(
                    self.out, (i, j), self.strides, self.dilation, self.reach, strict=True
                )
            ]
            found.append((alone[0][:, None] & alone[1][None, :])[None, :, :, None])
        return found

    @property
    def overlap(self) -> bool:
        """Whether windows overlap."""
        return any(r > s for r, s in zip(self.reach, self.strides, strict=True))

    def slips(self) -> Iterator[FormulaSlip]:
        """Yield what can be wrong with the places of windows."""
        if self.strides != (1, 1):
            yield FormulaSlip(STRIDE_FORGOTTEN)
        if self.dilation != (1, 1):
            yield FormulaSlip(DILATION_FORGOTTEN)
        if any(sum(p) for p in self.pads):
            yield FormulaSlip(PADDING_FORGOTTEN, None, {"how": ""})
        if self.overlap:
            yield FormulaSlip(WINDOWS_OVERWRITTEN)

    def misplaced(self, x: Dual, slips: Slips) -> list[Dual] | None:
        """Return what a backward function with a slip takes to lie in the windows."""
        if STRIDE_FORGOTTEN in slips:
            return self.seen(x, strides=(1, 1))
        if DILATION_FORGOTTEN in slips:
            return self.seen(x, dilation=(1, 1))
        if PADDING_FORGOTTEN in slips:
            return self.seen(x, shifted=True)
        if WINDOWS_OVERWRITTEN in slips:
            last = self.written_last()
            return [part.where(w) for part, w in zip(self.seen(x), last, strict=True)]
        return None


def _alone(count: int, offset: int, stride: int, dilation: int, reach: int) -> Array:
    """Return of each window whether no later one has the element at an offset in it, too."""
    window, later = np.arange(count), np.arange(1, reach + 1)
    there = offset - later * stride  # where the element is in the later window
    covers = (there >= 0) & (there % dilation == 0)
    return ~np.any(covers & (window[:, None] + later < count), axis=1)


def _pair(numbers: Any) -> Pair:
    a, b = numbers
    return int(a), int(b)


def _pads(padding: str | int, n: int, reach: int, stride: int) -> Pair:
    if padding == "same":
        whole = max((-(-n // stride) - 1) * stride + reach - n, 0)
        return whole // 2, whole - whole // 2
    if padding == "causal":
        return reach - 1, 0
    return (0, 0) if padding == "valid" else (int(padding), int(padding))


def _windows(x: Dual, kernel: Pair, options: Options) -> Windows:
    size = (x.shape[1], x.shape[2])
    dilation = options.get("dilation", (1, 1))
    return Windows(size, kernel, options["strides"], options["padding"], dilation)


def _correlated(parts: list[Dual], kernel: Dual, groups: int, flipped: bool = False) -> Dual:
    rows, columns = kernel.shape[:2]
    total: Dual | None = None
    for place, part in enumerate(parts):
        i, j = divmod(place, columns)
        at = kernel[rows - 1 - i, columns - 1 - j] if flipped else kernel[i, j]
        share = _in_groups(part, at, groups)
        total = share if total is None else total + share
    assert total is not None
    return total


def _in_groups(part: Dual, at: Dual, groups: int) -> Dual:
    """Return ``part @ at``; with groups, of each group of channels with its own filters."""
    if groups == 1:
        return part @ at
    c, f = at.shape[0], at.shape[1] // groups
    if part.shape[-1] != c * groups or at.shape[1] != f * groups:
        raise ValueError(f"expected {groups} groups of {c} channels. Received: {part.shape[-1]}")
    return joined(
        [part[..., g * c : (g + 1) * c] @ at[:, g * f : (g + 1) * f] for g in range(groups)],
        -1,
    )


def _conv(arrays: Arrays, options: Options, slips: Slips) -> list[Dual]:
    x, kernel, groups = arrays["x"], arrays["kernel"], options["groups"]
    windows = _windows(x, _pair(kernel.shape[:2]), options)

    def summed(parts: list[Dual], kernel: Dual, flipped: bool = False) -> Dual:
        return _correlated(parts, kernel, groups, flipped)

    parts = windows.seen(x)
    out = summed(parts, kernel, KERNEL_FLIPPED in slips)
    fixed = [part.frozen() for part in parts]
    out = slips.bent(
        KERNEL_NOT_FLIPPED,
        out,
        lambda: summed(parts, kernel.frozen(), True) + summed(fixed, kernel),
    )
    misplaced = windows.misplaced(x, slips)
    if misplaced is not None:
        there = fixed if WINDOWS_OVERWRITTEN in slips else [part.frozen() for part in misplaced]
        out = out.bent(summed(misplaced, kernel.frozen()) + summed(there, kernel))
    return [activation(options["activation"], out + arrays["bias"], slips)]


def _conv_slips(sizes: Mapping[str, int], options: Options) -> Iterator[FormulaSlip]:
    kernel = (sizes["k"], sizes.get("l", 1))
    if kernel != (1, 1):
        yield FormulaSlip(KERNEL_FLIPPED)
        yield FormulaSlip(KERNEL_NOT_FLIPPED)
    yield from _window_slips(sizes, kernel, options)
    yield from activation_slips(options["activation"])


def _window_slips(
    sizes: Mapping[str, int], kernel: Pair, options: Options
) -> Iterator[FormulaSlip]:
    size = (sizes["h"], sizes.get("w", 1))
    dilation = options.get("dilation", (1, 1))
    yield from Windows(size, kernel, options["strides"], options["padding"], dilation).slips()


def _conv_options(config: Options) -> Options:
    return {
        "activation": config["activation"],
        "padding": config["padding"],
        "strides": _two(config["strides"]),
        "dilation": _two(config["dilation_rate"]),
        "kernel": _two(config["kernel_size"]),
        "filters": config["filters"],
        "use_bias": config["use_bias"],
        "sequence": len(config["kernel_size"]) == 1,
        "groups": config["groups"],
    }


def _two(numbers: Any) -> Pair:
    """Return a setting for height and width, as a sequence has it for its time alone."""
    whole = tuple(int(n) for n in np.atleast_1d(numbers))
    return (whole[0], 1) if len(whole) == 1 else (whole[0], whole[1])


def _conv_sizes(options: Options) -> dict[str, int]:
    k, l = options["kernel"]  # noqa: E741 (the letter of the axis)
    return {"k": k, "l": l, "f": options["filters"]}


def _for_keras(ops: Any, weights: Mapping[str, Any], options: Options) -> list[Any]:
    kernel = weights["kernel"]
    return [kernel[:, 0] if options["sequence"] else kernel, weights["bias"]]


def _inputs(options: Options) -> dict[str, Any]:
    """Return the inputs, which have as many times the kernel's channels as there are groups."""
    groups = options["groups"]
    many = "c" if groups == 1 else f"{groups}c"
    axes = (*_PICTURES, "b h c", "b c h", "h c", "c h")
    return {"inputs": (Role("x", tuple(each.replace("c", many) for each in axes)),)}


_PICTURES = ("b h w c", "b c h w", "h w c b", "c h w b", "h w c", "c h w", "h w", "b h w")
_FILTERED = tuple(axes.replace("c", "f") for axes in _PICTURES)
CONV = Kind(
    inputs=(Role("x", (*_PICTURES, "b h c", "b c h", "h c", "c h")),),
    weights=(
        Role(
            "kernel",
            ("k l c f", "f c k l", "f k l c", "c f k l", "c k l f", "k l", "f k l",
             "k c f", "f c k", "f k c", "c f k"),
        ),
        Role("bias", ("f",), needed=False),
    ),
    outputs=((*_FILTERED, "b h f", "b f h", "h f", "f h"),),
    formula=_conv,
    slips=_conv_slips,
    options=_conv_options,
    sizes=_conv_sizes,
    varied=_inputs,
    keras=_for_keras,
)  # fmt: skip


def _stacked(parts: list[Dual]) -> Dual:
    return joined([part.reshape(1, *part.shape) for part in parts], 0)


def _pool(arrays: Arrays, options: Options, slips: Slips) -> list[Dual]:
    x = arrays["x"]
    windows = _windows(x, options["kernel"], options)
    parts = windows.seen(x)
    which = None
    if options["largest"]:
        which = np.argmax(np.stack([part.value for part in parts]), axis=0)
    out = _pooled(parts, which)
    if which is not None:
        out = slips.bent(MAX_TO_ALL, out, lambda: _pooled(parts, None) * float(len(parts)), "all")
        out = slips.bent(MAX_TO_ALL, out, lambda: _pooled(parts, None), "shares")
    out = slips.bent(AVERAGE_NOT_DIVIDED, out, lambda: out * float(len(parts)))
    misplaced = windows.misplaced(x, slips)
    if misplaced is not None:
        out = out.bent(_pooled(misplaced, which))
    for bug in (TIES_ALL, TIES_NONE):
        if bug in slips:
            out = out.bent(_at_ties(parts, slips.how(bug)))
    return [out]


def _at_ties(parts: list[Dual], how: str) -> Dual:
    """Return the largest elements, each of several equal ones having its part of the gradient."""
    values = np.stack([part.value for part in parts])
    largest = values == values.max(axis=0)
    count = largest.sum(axis=0)
    if how == "the last":
        backwards = np.cumsum(largest[::-1], axis=0)[::-1]
        largest = largest & (backwards == 1)
    if how == "none":
        largest = largest & (count == 1)
    whole = _stacked(parts).where(largest).sum(0)[0]
    return whole * (1.0 / count) if how == "equal parts" else whole


def _pooled(parts: list[Dual], which: Array | None) -> Dual:
    """Return the mean of what lies in the windows, or of each the element that is named."""
    whole = _stacked(parts)
    if which is None:
        return whole.mean(0)[0]
    return whole.moved(lambda places: np.take_along_axis(places, which[None], 0)[0])


def _pool_slips(sizes: Mapping[str, int], options: Options) -> Iterator[FormulaSlip]:
    if options["largest"]:
        yield FormulaSlip(MAX_TO_ALL, "all", {"which": "every element"})
        yield FormulaSlip(MAX_TO_ALL, "shares", {"which": "every element, in equal shares,"})
    else:
        yield FormulaSlip(AVERAGE_NOT_DIVIDED)
    yield from _window_slips(sizes, options["kernel"], options)


def _pool_options(config: Options) -> Options:
    if config["padding"] != "valid":
        raise ValueError(f"Expected pooling with padding='valid'. Received: {config['padding']!r}")
    return {
        "padding": "valid",
        "kernel": _two(config["pool_size"]),
        "strides": _two(config["strides"] or config["pool_size"]),
    }


# One of equal maxima may have the gradient, or each its part of it.
_AT_TIES = (
    (FormulaSlip(TIES_ALL, "all"), False),
    (FormulaSlip(TIES_NONE, "none"), False),
    (FormulaSlip(TIES_ALL, "the last"), True),
    (FormulaSlip(TIES_ALL, "equal parts"), True),
)


def _pool_kind(largest: bool) -> Kind:
    return Kind(
        inputs=(Role("x", (*_PICTURES, "b h c", "b c h")),),
        weights=(),
        outputs=((*_PICTURES, "b h c", "b c h"),),
        formula=_pool,
        slips=_pool_slips,
        options=lambda config: {**_pool_options(config), "largest": largest},
        at_ties=_AT_TIES if largest else (),
    )


MAX_POOLING, AVERAGE_POOLING = _pool_kind(True), _pool_kind(False)
