"""D4's perceptron: points in a plane, lines that divide them, and a line that is learned."""

import timeit
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from numpy_impl.perceptron import Perceptron
from numpy_impl.types import Array

from ...results import Context, Results, Table
from ...training import FirstSteps

# The line y = 0.5 x - 0.2, as the document's x . w > b has it: -0.5 x + y > -0.2.
EDUCATED = Perceptron(np.array([-0.5, 1.0]), 0.2)
BAD = Perceptron(np.array([1.0, 0.4]), 0.1)
# The document leaves its points open; these are drawn from [-1, 1]^2, none nearer to the line than
# the gap, by a seed with which the learning rule takes ten epochs.
POINTS, NEW, GAP, SEED = 30, 8, 0.1, 10
TRIANGLE_X = 0.8
EPOCHS = 200
CROSS, CIRCLE, NEUTRAL = "tab:blue", "tab:orange", "black"


@dataclass(frozen=True)
class Points:
    """Points of a plane, shape (N, 2), and what each shall give: 1 for crosses, 0 for circles."""

    x: Array
    y: Array


def distances(unit: Perceptron, points: Array) -> Array:
    """Return how far points are from a perceptron's line, negative on the side that gives 0."""
    return (points @ unit.weights + unit.bias) / np.linalg.norm(unit.weights)


def draw_points(count: int, rng: np.random.Generator) -> Points:
    """Draw points that the document's line divides, with a gap on either side of it."""
    drawn = rng.uniform(-1, 1, (20 * count, 2))
    kept = drawn[np.abs(distances(EDUCATED, drawn)) > GAP][:count]
    return Points(kept, EDUCATED.predict(kept))


def one_point(point: Array, weights: Array, threshold: float) -> int:
    """Return the document's perceptron for one point: 1 if ``x . w > b``, else 0."""
    return 1 if point @ weights > threshold else 0


def in_a_loop(points: Array, weights: Array, threshold: float) -> list[int]:
    """Return it for many points, one after the other."""
    return [one_point(point, weights, threshold) for point in points]


def vectorised(points: Array, weights: Array, threshold: float) -> Array:
    """Return it for all points at once."""
    return (points @ weights > threshold).astype(int)


def mistake_bound(unit: Perceptron, points: Array) -> float:
    """Return how many mistakes the learning rule makes at most where ``unit`` divides the points.

    ``(R / gamma)^2``, with the bias as the weight of a further input that is always 1: ``R`` is the
    longest input and ``gamma`` the least distance of an input to the dividing plane.

    Args:
        unit: One that gives all points what they shall give.
        points: Shape (N, inputs).

    Reference: A. B. J. Novikoff (1962), "On convergence proofs for perceptrons".
    """
    inputs = np.column_stack([points, np.ones(len(points))])
    plane = np.append(unit.weights, unit.bias)
    gamma = np.abs(inputs @ plane).min() / np.linalg.norm(plane)
    return float(np.square(inputs).sum(axis=1).max() / gamma**2)


def learn(points: Points) -> tuple[list[Perceptron], list[int]]:
    """Return the perceptron before learning and after each epoch, and each epoch's mistakes."""
    unit = Perceptron(np.zeros(2))
    stages, mistakes = [Perceptron(unit.weights, unit.bias)], []
    while len(mistakes) < EPOCHS and (not mistakes or mistakes[-1]):
        mistakes += unit.fit(points.x, points.y, epochs=1)
        stages.append(Perceptron(unit.weights, unit.bias))
    return stages, mistakes


class Learning:
    """The perceptron before it learns; of its epochs, in which nothing is rounded away, all."""

    def __init__(self) -> None:
        self.points = draw_points(POINTS, np.random.default_rng(SEED))
        self.weights = [self.points.x]

    def first_steps(self, count: int) -> FirstSteps:
        """Return the mistakes of the first epochs, and the norm of the weights after all."""
        stages, mistakes = learn(self.points)
        norm = float(np.linalg.norm([*stages[-1].weights, stages[-1].bias]))
        return FirstSteps({"points": len(self.points.x)}, [*mistakes[:count], norm])


def height(unit: Perceptron, x: Array | float) -> Any:
    """Return the y of a perceptron's line at x."""
    return -(unit.weights[0] * x + unit.bias) / unit.weights[1]


def triangle(first: Perceptron, second: Perceptron) -> Array:
    """Return the point half-way between two lines, on which the two perceptrons disagree."""
    return np.array([TRIANGLE_X, (height(first, TRIANGLE_X) + height(second, TRIANGLE_X)) / 2])


def reproduce(context: Context) -> Results:
    """Classify the points by guesses and by learning; time the loop; draw."""
    context.status("perceptron")
    rng = np.random.default_rng(SEED)
    points, new = draw_points(POINTS, rng), rng.uniform(-1, 1, (NEW, 2))
    stages, mistakes = learn(points)
    learned = stages[-1]
    apart = triangle(EDUCATED, learned)
    _draw_guesses(context, points)
    _draw_new(context, points, new, apart, learned)
    _draw_learning(context, points, stages, mistakes)
    return Results(
        {"guesses": _guesses(points, apart, learned), "loop": _times(context)},
        values={
            "points": POINTS,
            "gap": GAP,
            "epochs": len(mistakes),
            "mistakes": sum(mistakes),
            "mistake_bound": round(mistake_bound(EDUCATED, points.x)),
            "triangle": [round(float(value), 2) for value in apart],
        },
    )


def _line(unit: Perceptron) -> str:
    slope, offset = -unit.weights[0] / unit.weights[1], -unit.bias / unit.weights[1]
    sign = "+" if offset >= 0 else "−"
    return f"y = {slope:.2f}x {sign} {abs(offset):.2f}".replace("-", "−")


def _guesses(points: Points, apart: Array, learned: Perceptron) -> Table:
    rows = []
    for name, unit in (("bad guess", BAD), ("educated guess", EDUCATED), ("learned", learned)):
        right = int((unit.predict(points.x) == points.y).sum())
        weights = ", ".join(f"{weight:.2f}" for weight in unit.weights)
        says = "cross" if unit.predict(apart) else "circle"
        shown = [f"({weights})", f"{-unit.bias:.2f}", _line(unit), f"{right} of {len(points.y)}"]
        rows.append([name, *shown, says])
    columns = ["perceptron", "w", "b", "line", "right", "the triangle"]
    return Table("Crosses and circles", columns, rows)


def _times(context: Context) -> Table:
    rng, rows = np.random.default_rng(0), []
    weights, threshold = EDUCATED.weights, -EDUCATED.bias
    for count in (POINTS, 1000, context.at_most(100_000, 2000)):
        arguments = (rng.uniform(-1, 1, (count, 2)), weights, threshold)
        assert in_a_loop(*arguments) == vectorised(*arguments).tolist()
        loop, whole = (_seconds(function, arguments) for function in (in_a_loop, vectorised))
        milliseconds = [f"{1000 * seconds:.3g}" for seconds in (loop, whole)]
        rows.append([f"{count:,}", *milliseconds, f"{loop / whole:.0f}"])
    columns = ["points", "loop, ms", "vectorised, ms", "ratio"]
    return Table("The same answers in a loop and at once, best of 5", columns, rows)


def _seconds(function: Callable[..., object], arguments: Sequence[object]) -> float:
    return min(timeit.repeat(lambda: function(*arguments), number=1, repeat=5))


def _plane(axes: Axes, points: Points, title: str) -> None:
    """Draw crosses and circles on equal axes."""
    for target, marker, colour in ((1, "x", CROSS), (0, "o", CIRCLE)):
        chosen = points.x[points.y == target]
        label = "crosses, 1" if target else "circles, 0"
        face = {} if target else {"facecolors": "none"}
        axes.scatter(*chosen.T, marker=marker, label=label, **{"color": colour} | face)
    axes.set(xlim=(-1.08, 1.08), ylim=(-1.08, 1.08), aspect="equal", title=title)
    axes.set(xlabel="x", ylabel="y")
    axes.grid(alpha=0.3)


def _draw_line(axes: Axes, unit: Perceptron, label: str | None = None, **style: Any) -> None:
    if unit.weights[1]:
        x = np.array([-1.2, 1.2])
        axes.plot(x, height(unit, x), label=label, **style)


def _legend(figure: Figure, axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3)


def _draw_guesses(context: Context, points: Points) -> None:
    figure = Figure(figsize=(9, 5), layout="constrained")
    guesses = (("a bad guess", BAD), ("an educated guess", EDUCATED))
    for axes, (title, unit) in zip(figure.subplots(1, 2), guesses, strict=True):
        wrong = unit.predict(points.x) != points.y
        _plane(axes, points, f"{title}: {wrong.sum()} of {len(wrong)} wrong\n{_line(unit)}")
        axes.scatter(
            *points.x[wrong].T, s=160, marker="s", facecolors="none", edgecolors="tab:red",
            label="wrong",
        )  # fmt: skip
        _draw_line(axes, unit, color=NEUTRAL)
    _legend(figure, figure.axes[0])
    figure.savefig(context.out / "guesses.png", format="png", dpi=110)


def _draw_new(
    context: Context, points: Points, new: Array, apart: Array, learned: Perceptron
) -> None:
    figure = Figure(figsize=(6.4, 6.2), layout="constrained")
    axes = figure.subplots()
    _plane(axes, points, "new points: squares, and a triangle between two lines")
    says = EDUCATED.predict(new)
    for answer, colour in ((1, CROSS), (0, CIRCLE)):
        label = f"new, the educated guess says {answer}"
        axes.scatter(*new[says == answer].T, marker="s", color=colour, label=label)
    answers = f"{EDUCATED.predict(apart)} by the one, {learned.predict(apart)} by the other"
    axes.scatter(*apart, marker="^", s=110, color="tab:red", label=f"new: {answers}", zorder=3)
    _draw_line(axes, EDUCATED, f"educated: {_line(EDUCATED)}", color=NEUTRAL)
    _draw_line(axes, learned, f"learned: {_line(learned)}", color=NEUTRAL, linestyle="--")
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2)
    figure.savefig(context.out / "new-points.png", format="png", dpi=110)


def _draw_learning(
    context: Context, points: Points, stages: Sequence[Perceptron], mistakes: Sequence[int]
) -> None:
    figure = Figure(figsize=(9.6, 4.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    _plane(left, points, "the line after each epoch")
    colours = colormaps["viridis_r"](np.linspace(0.1, 0.9, len(mistakes)))
    for unit, colour in zip(stages[1:-1], colours, strict=False):
        _draw_line(left, unit, color=colour)
    _draw_line(left, stages[-1], "learned", color=NEUTRAL, linewidth=2)
    _legend(figure, left)
    right.bar(range(1, len(mistakes) + 1), mistakes, color=[*colours[:-1], NEUTRAL])
    right.set(xlabel="epoch", ylabel="mistakes", title=f"{sum(mistakes)} mistakes in all")
    right.set_xticks(range(1, len(mistakes) + 1))
    right.yaxis.set_major_locator(MaxNLocator(integer=True))
    right.set_axisbelow(True)
    right.grid(alpha=0.3, axis="y")
    figure.savefig(context.out / "learning.png", format="png", dpi=110)
