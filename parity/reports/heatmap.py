"""A tensor's errors as a small picture, in which a single wrong entry cannot get lost."""

import base64
import functools
import io
import math
from dataclasses import dataclass

import numpy as np

from numpy_impl.types import Array
from parity.checking.bugs.findings import TensorResult

MOST_CELLS = 128  # along each side
_SIDE = 384  # pixels that the longer side gets where it can
_CELL = (3, 28)  # pixels: to see one of many, and to keep one of few from being a poster
_THIN = 24  # pixels that the shorter side gets at least

# Palette: greys within the bound, then colours beyond it, so that the border is seen at a glance.
_MOST_DECADES = 20  # beyond the bound; a bound next to zero would else use up the scale
_LOWEST = -3  # decades: a thousandth of the bound and less is the darkest grey
_GREYS = 64
_NOT_FINITE = 255
_LAST = _NOT_FINITE - 1
_DARKEST, _BRIGHTEST = 0x20, 0x5A  # of the greys
_FIRST_COLOUR = 0.25  # of viridis, whose beginning is as dark as the greys
_RED = (0xE3, 0x1A, 0x1C)


@dataclass(frozen=True)
class HeatMap:
    """A picture of a tensor's errors.

    Attributes:
        uri: The PNG as a data URI, one pixel a cell.
        cells: Rows and columns of cells.
        block: Rows and columns of the tensor in each cell, which shows the largest of them.
        size: Width and height in pixels at which to show it.
        mark: Where the worst element is, in fractions of width and height; None if unknown.
    """

    uri: str
    cells: tuple[int, int]
    block: tuple[int, int]
    size: tuple[int, int]
    mark: tuple[float, float] | None


def decades(tensors: list[TensorResult]) -> int:
    """Return the power of ten, in units of the bound, at the bright end for all these tensors."""
    ratios = [float(t.ratio) for t in tensors]
    largest = max((r for r in ratios if math.isfinite(r) and r > 1), default=1.0)
    return min(_MOST_DECADES, max(1, math.ceil(math.log10(largest))))


def draw(tensor: TensorResult, top: int) -> HeatMap | None:
    """Draw the errors of one tensor.

    Args:
        tensor: Two dimensions are drawn as they lie; one as a row; more as their first by the rest.
        top: Power of ten of the brightest colour, from :func:`decades`.

    Returns:
        The picture; None where there are no errors to show, as for a tensor of another shape.
    """
    ratios = _ratios(tensor)
    if not ratios.size:
        return None
    flat = _flat(ratios)
    levels = _levels(flat, top)
    height, width = (math.ceil(n / MOST_CELLS) for n in flat.shape)
    # The palette is in order of size, so the largest level of a block is that of its largest error.
    for axis, step in ((0, height), (1, width)):
        levels = np.maximum.reduceat(levels, range(0, flat.shape[axis], step), axis=axis)
    rows, columns = levels.shape
    mark = None
    place = _place(tensor.index, ratios.shape)
    if place is not None:
        row, column = divmod(place, flat.shape[1])
        mark = ((column // width + 0.5) / columns, (row // height + 0.5) / rows)
    size = _size(rows, columns)
    return HeatMap(_png(levels), (rows, columns), (height, width), size, mark)


def scale_stops(top: int) -> list[tuple[str, float]]:
    """Return the colour scale as CSS colours and their places in percent, for a legend."""
    levels = [*np.linspace(0, _GREYS - 1, 4), *np.linspace(_GREYS, _LAST, 16)]
    decade = [_LOWEST * (1 - v / (_GREYS - 1)) if v < _GREYS else _decade(v, top) for v in levels]
    return [
        ("#" + bytes(_palette()[int(v)]).hex(), position(d, top))
        for v, d in zip(levels, decade, strict=True)
    ]


def position(decade: float, top: int) -> float:
    """Return where a power of ten is on the legend, in percent: the greys take a quarter."""
    share = 25.0
    if decade <= 0:
        return share * (1 - decade / _LOWEST)
    return share + (100 - share) * decade / top


def red() -> str:
    """Return the colour of what is NaN or infinite."""
    return "#" + bytes(_RED).hex()


def _decade(level: float, top: int) -> float:
    return top * (level - _GREYS) / (_LAST - _GREYS)


def _ratios(tensor: TensorResult) -> Array:
    """Return the errors in units of their bounds, or else of the bound at the worst element."""
    errors = np.asarray(tensor.errors, np.float64)
    bounds = np.asarray(tensor.bound if tensor.bounds is None else tensor.bounds, np.float64)
    bounds = np.where(np.isnan(bounds), np.inf, bounds)  # nothing known, so nothing excluded
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        ratios = np.where(errors == 0, 0.0, errors / bounds)
    if tensor.bounds is None and math.isfinite(tensor.ratio):
        # Elsewhere the bound may be larger, but no element is worse than the worst.
        ratios = np.minimum(ratios, tensor.ratio)
    return np.where(np.isfinite(errors), ratios, np.nan)


def _place(index: tuple[int, ...], shape: tuple[int, ...]) -> int | None:
    """Return the place of an element in the flat tensor; None where the tensor has none there."""
    if len(index) != len(shape) or not all(0 <= i < n for i, n in zip(index, shape, strict=True)):
        return None
    return int(np.ravel_multi_index(index, shape)) if shape else 0


def _flat(values: Array) -> Array:
    if values.ndim <= 1 or values.shape[1:] == (1,) * (values.ndim - 1):
        return values.reshape(1, -1)  # a column also: as a row it can be seen on a small screen
    return values.reshape(values.shape[0], -1)


def _levels(ratios: Array, top: int) -> Array:
    """Return each element's place in the palette."""
    finite = np.isfinite(ratios)
    safe = np.where(finite, np.maximum(ratios, 10.0**_LOWEST), 1.0)
    decade = np.log10(safe)
    within = np.floor((1 - decade / _LOWEST) * (_GREYS - 1))
    beyond = np.ceil(_GREYS + decade / top * (_LAST - _GREYS))
    levels = np.where(ratios <= 1, within, np.clip(beyond, _GREYS, _LAST))
    # A finite error where no error is allowed is infinitely many bounds: the brightest colour.
    levels = np.where(np.isposinf(ratios), _LAST, levels)
    return np.where(np.isnan(ratios), _NOT_FINITE, levels).astype(np.uint8)


@functools.cache
def _palette() -> Array:
    import matplotlib  # only whoever wants pictures pays for it

    palette = np.zeros((256, 3), np.uint8)
    palette[:_GREYS] = np.linspace(_DARKEST, _BRIGHTEST, _GREYS).round()[:, np.newaxis]
    places = np.linspace(_FIRST_COLOUR, 1.0, _LAST - _GREYS + 1)
    palette[_GREYS : _LAST + 1] = np.round(matplotlib.colormaps["viridis"](places)[:, :3] * 255)
    palette[_NOT_FINITE] = _RED
    return palette


def _size(rows: int, columns: int) -> tuple[int, int]:
    smallest, largest = _CELL
    cell = min(largest, max(smallest, _SIDE // max(rows, columns)))
    return max(columns * cell, _THIN), max(rows * cell, _THIN)


def _png(levels: Array) -> str:
    from PIL import Image

    image = Image.fromarray(levels)
    image.putpalette(_palette().tobytes())
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
