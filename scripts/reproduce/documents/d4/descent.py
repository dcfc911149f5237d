"""D4's gradient descent: one function with many valleys, a constant step, and where it ends."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from numpy_impl.descent import descend, gradient_descent
from numpy_impl.types import Array

from ...results import Context, Results, Table
from ...training import FirstSteps

START = 3.0
# The error of a complex step is of the order of the step's square: none is left.
TINY = 1e-200
# A run is at rest in a minimum if it ends so near to it and a further step moves it by less.
NEAR = 1e-3
STEPS, STARTS, RATES = 600, (-9.0, 10.0), (0.01, 0.6)
# The document's start, with so many sizes of step, for a long time.
SWEEP, LONG = 5901, 10_000
NOWHERE, OVERFLOW = -1, -2
START_COLOUR, END_COLOUR = "tab:green", "tab:red"
MAP_COLOURS = ["#dcae3c", "#3b6fb6", "#6db5a5", "#c9c3e6", "#eeeeee", "#7a3b3b"]


@dataclass(frozen=True)
class Case:
    """One run: its name, start, step and number of steps."""

    name: str
    start: float
    learning_rate: float
    steps: int


CASES = (
    Case("the document's", START, 0.1, 100),
    Case("longer steps", START, 0.3, 100),
    Case("too long", START, 0.43, 100),
    Case("another start", 6.0, 0.05, 100),
)


class Descent:
    """A run before its first step."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.weights = [np.array([case.start])]

    def first_steps(self, count: int) -> FirstSteps:
        """Return the first positions, and the function at the last."""
        start, rate = float(self.weights[0][0]), self.case.learning_rate
        path = gradient_descent(derivative, start, rate, count - 1)
        return FirstSteps({"steps": self.case.steps}, [*path.tolist(), float(function(path[-1]))])


def function(x: Array) -> Array:
    """Return ``f(x) = exp(-sin x) x^2``, also of complex numbers."""
    return np.exp(-np.sin(x)) * x**2


def derivative(x: Array) -> Array:
    """Return ``f'(x) = -x exp(-sin x) (x cos x - 2)``."""
    return -x * np.exp(-np.sin(x)) * (x * np.cos(x) - 2)


def complex_step(x: Array) -> Array:
    """Return ``f'(x) = Im f(x + ih) / h``, exact to rounding; it uses :func:`function` alone.

    Reference: W. Squire, G. Trapp (1998), "Using complex variables to estimate derivatives of real
    functions".
    """
    return np.imag(function(x + 1j * TINY)) / TINY


def stationary_points(low: float, high: float) -> tuple[Array, Array]:
    """Return the minima and the maxima of the function between two numbers, to rounding.

    f' changes its sign at 0 and where x cos x = 2; each change on a fine grid is bisected.
    """
    grid = np.linspace(low, high, 10_001)
    slopes = derivative(grid)
    left = np.flatnonzero((slopes[:-1] < 0) != (slopes[1:] < 0))
    rising = slopes[left] < 0
    a, b = grid[left], grid[left + 1]
    for _ in range(60):
        middle = (a + b) / 2
        same = (derivative(middle) < 0) == rising
        a, b = np.where(same, middle, a), np.where(same, b, middle)
    found = np.where(np.abs(b) < 1e-12, 0.0, b)
    return found[rising], found[~rising]


def curvature(x: Array) -> Array:
    """Return ``f''(x)``, by a complex step through f'.

    Near a minimum a step multiplies the distance to it by ``1 - learning_rate f''``: a run comes to
    rest there only if ``learning_rate < 2 / f''``.
    """
    return np.imag(derivative(x + 1j * TINY)) / TINY


def outcomes(ends: Array, rates: Array, minima: Array) -> Array:
    """Return where runs came to rest: the index of a minimum, NOWHERE or OVERFLOW.

    Args:
        ends: Where they ended, NaN if they left the finite numbers, shape (...).
        rates: Their steps, a shape that broadcasts with it.
        minima: Shape (M,).
    """
    with np.errstate(all="ignore"):
        moves = np.abs(rates * derivative(ends))
        apart = np.abs(ends[..., None] - minima)
    nearest = np.where(np.isnan(ends), 0, np.argmin(np.nan_to_num(apart, nan=np.inf), axis=-1))
    rests = (np.min(apart, axis=-1) < NEAR) & (moves < NEAR)
    return np.where(np.isnan(ends), OVERFLOW, np.where(rests, nearest, NOWHERE))


def reproduce(context: Context) -> Results:
    """Run the cases, sweep step sizes and starts, and draw."""
    context.status("gradient descent")
    minima, maxima = stationary_points(-30, 30)
    paths = [gradient_descent(derivative, c.start, c.learning_rate, c.steps) for c in CASES]
    _draw_paths(context, paths)
    _draw_map(context, minima)
    # The nearest on the left of 0: a run from the right that overshoots 0 falls into it.
    valley, barrier = minima[minima < -NEAR].max(), maxima[maxima < 0].max()
    return Results(
        {
            "derivative": _derivatives(),
            "descent": _cases(paths),
            "minima": _minima(minima),
            "sweep": _sweep(context, minima),
        },
        values={
            "sweep": f"{context.at_most(SWEEP, 60):,}",
            "valley": f"{valley:.3f}",
            "barrier": f"{barrier:.3f}",
            "rest_below": f"{2 / curvature(valley):.3f}",
            "jump_above": f"{(START - barrier) / derivative(np.array(START)):.3f}",
        },
    )


def _derivatives() -> Table:
    x = np.array([-4.0, -1.0, 0.5, START, 5.0, 8.0])
    exact, stepped = derivative(x), complex_step(x)
    rows = [
        [f"{at:g}", f"{a:.15g}", f"{b:.15g}", f"{abs(a - b) / np.spacing(abs(a)):.0f}"]
        for at, a, b in zip(x, exact, stepped, strict=True)
    ]
    columns = ["x", "f′(x)", "Im f(x + ih)/h", "apart, units in the last place"]
    return Table("The derivative, by its formula and by a complex step of f", columns, rows)


def _cases(paths: Sequence[Array]) -> Table:
    rows = []
    for case, path in zip(CASES, paths, strict=True):
        last = path[-10:]
        rests = np.ptp(last) < NEAR
        end = f"{path[-1]:.2g}" if abs(path[-1]) < NEAR else f"{path[-1]:.3f}"
        between = "" if rests else f"between {last.min():.2f} and {last.max():.2f}"
        shown = [f"{case.start:g}", f"{case.learning_rate:g}", str(case.steps), end]
        rows.append([case.name, *shown, f"{function(path[-1]):.3g}", between or "at rest"])
    columns = ["case", "start", "step", "steps", "end", "f(end)", "the last ten positions"]
    return Table("Gradient descent with a constant step", columns, rows)


def _minima(minima: Array) -> Table:
    rows = [
        [f"{m:.3f}", f"{function(m):.3f}", f"{curvature(m):.2f}", f"{2 / curvature(m):.3f}"]
        for m in minima[np.abs(minima) < STARTS[1]]
    ]
    return Table("The minima", ["x*", "f(x*)", "f″(x*)", "rests with steps below"], rows)


def _sweep(context: Context, minima: Array) -> Table:
    """Return what becomes of the document's start with many sizes of step."""
    rates = np.linspace(*RATES, context.at_most(SWEEP, 60))
    steps = context.at_most(LONG, STEPS)
    found = outcomes(descend(derivative, START, rates, steps, diverged="nan"), rates, minima)
    rows = []
    for outcome in sorted(set(found.tolist()), reverse=True):
        chosen = rates[found == outcome]
        ends = {NOWHERE: "nowhere at rest", OVERFLOW: "left the finite numbers"}
        what = ends.get(outcome) or f"at rest at {minima[outcome]:.3f}"
        rows.append([what, f"{chosen.min():.4f}", f"{chosen.max():.4f}", f"{len(chosen):,}"])
    columns = [f"after {steps:,} steps", "least step", "greatest step", "of the runs"]
    title = f"From {START:g} with {len(rates):,} sizes of step from {RATES[0]:g} to {RATES[1]:g}"
    return Table(title, columns, rows)


def _draw_paths(context: Context, paths: Sequence[Array]) -> None:
    figure = Figure(figsize=(9.6, 6.6), layout="constrained")
    windows = ((-3.2, 4.4), (-3.2, 4.4), (-5.6, 4.4), (4.2, 9.2))
    grid = figure.subplots(2, 2).ravel()
    for place, axes, case, path, window in zip("abcd", grid, CASES, paths, windows, strict=True):
        x = np.linspace(*window, 400)
        axes.plot(x, function(x), color="lightsteelblue", linewidth=2, zorder=1)
        axes.plot(path, function(path), color="black", linewidth=0.6, marker=".", markersize=4)
        for at, colour, label in ((path[0], START_COLOUR, "start"), (path[-1], END_COLOUR, "end")):
            axes.scatter(at, function(at), s=70, color=colour, label=label, zorder=3)
        axes.set(title=f"({place}) {case.name}: step {case.learning_rate:g}, {case.steps} steps")
        axes.set(xlabel="x", xlim=window)
        axes.grid(alpha=0.3)
    for row in (grid[0], grid[2]):
        row.set_ylabel("f(x)")
    grid[0].legend(loc="upper left")
    figure.savefig(context.out / "descent.png", format="png", dpi=110)


def _map(context: Context, minima: Array, shown: Array) -> Array:
    """Return for every step (a row) and start (a column) where the run comes to rest.

    Returns:
        The index in ``shown``, or from ``len(shown)`` on: another minimum, nowhere, overflow.
    """
    starts = np.linspace(*STARTS, context.at_most(460, 24))
    rates = np.linspace(*RATES, context.at_most(300, 16))[:, None]
    found = outcomes(descend(derivative, starts, rates, STEPS, diverged="nan"), rates, minima)
    codes = np.full(found.shape, len(shown))
    for place, minimum in enumerate(shown):
        codes[found == np.flatnonzero(minima == minimum)[0]] = place
    codes[found == NOWHERE] = len(shown) + 1
    codes[found == OVERFLOW] = len(shown) + 2
    return codes


def _draw_map(context: Context, minima: Array) -> None:
    """Colour every start and every step by where the run comes to rest."""
    shown = minima[(minima > STARTS[0]) & (minima < STARTS[1])]
    names = [f"rests at {m:.2f}" for m in shown]
    names += ["rests at another minimum", "nowhere at rest", "left the finite numbers"]
    colours = MAP_COLOURS[: len(shown)] + MAP_COLOURS[-3:]
    figure = Figure(figsize=(9.6, 5.4), layout="constrained")
    axes = figure.subplots()
    axes.imshow(
        _map(context, minima, shown), cmap=ListedColormap(colours), vmin=-0.5,
        vmax=len(names) - 0.5, aspect="auto", origin="lower", extent=(*STARTS, *RATES),
        interpolation="nearest",
    )  # fmt: skip
    for case, place in zip(CASES, "abcd", strict=True):
        axes.plot(case.start, case.learning_rate, "o", color="white", markeredgecolor="black")
        axes.annotate(place, (case.start, case.learning_rate), (6, 4), textcoords="offset points")
    axes.set(xlabel="start", ylabel="step", title=f"where it is after {STEPS} steps")
    handles = [Patch(color=c, label=name) for c, name in zip(colours, names, strict=True)]
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    figure.savefig(context.out / "basins.png", format="png", dpi=110)
