"""Look through the digits: a window with a slider, or without a display a grid of pictures.

``python -m scripts.browse`` shows scikit-learn's digits, ``python -m scripts.browse mnist`` MNIST;
with ``--model`` also what a trained model says. In the window the arrow keys go on and back.
"""

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backend_bases import Event, KeyEvent
from matplotlib.figure import Figure
from matplotlib.widgets import Slider

from digit_data import datasets
from digit_data.datasets import DatasetError
from numpy_impl.types import Array
from terminal_io import CliError, atomic, os_reason, printable, run

from . import model_files, plots, starting
from .model_files import BRIGHTEST, CLASSES, Classifier
from .reproduce.documents.d0.reading import UNDECIDED, read

# How many the grid shows.
GRID = 40
SAID, OTHER = "tab:blue", "lightgrey"

EPILOG = """\
examples:
  python -m scripts.browse
  python -m scripts.browse mnist --data mnist.npz --index 1004 --model model.npz
  python -m scripts.browse --part train --out digits.png
"""


@dataclass(frozen=True)
class Examples:
    """Pictures to look through.

    Attributes:
        name: "digits" or "mnist".
        part: "test" or "train".
        pictures: Shape (N, side, side), as stored: pixels in 0..16 for side 8, 0..255 for 28.
        labels: Their digits, shape (N,).
    """

    name: str
    part: str
    pictures: Array
    labels: Array

    @property
    def brightest(self) -> int:
        """The value of a white pixel."""
        return 16 if self.pictures.shape[-1] == 8 else BRIGHTEST

    def scores(self, model: Classifier, shown: slice) -> Array:
        """Return a model's outputs for some of the pictures, shape (N, 10)."""
        pictures = self.pictures[shown]
        return model.scores(pictures if pictures.shape[-1] == 8 else pictures / BRIGHTEST)


def load(name: str, part: str, data: Path | None = None) -> Examples:
    """Load a part of a data set.

    Args:
        name: "digits", scikit-learn's, split as D0 does, or "mnist".
        part: "test" or "train".
        data: Where MNIST is; None leaves it to ``MNIST_PATH``.

    Raises:
        DatasetError: No MNIST there.
    """
    mnist = name == "mnist"
    parts = datasets.load_mnist(data) if mnist else datasets.load_digits_split("last359")
    if part == "test":
        return Examples(name, part, parts.x_test, parts.y_test)
    return Examples(name, part, parts.x_train, parts.y_train)


class Browser:
    """A figure that shows an example, and a slider that chooses which.

    Args:
        figure: An empty one, of a window or not.
        examples: What to look through.
        model: What is asked about each; None: nothing.
        index: The first one shown.

    Attributes:
        axes: Where the picture is.
        bars: Where the model's ten scores are; None without a model.
        slider: The slider; whoever has the window has to keep this object.
    """

    def __init__(
        self, figure: Figure, examples: Examples, model: Classifier | None = None, index: int = 0
    ) -> None:
        self._examples, self._model, self._figure = examples, model, figure
        self._last = len(examples.labels) - 1
        grid = figure.add_gridspec(2, 1 if model is None else 2, height_ratios=[9, 1])
        self.axes = figure.add_subplot(grid[0, 0], xticks=[], yticks=[])
        self._image = self.axes.imshow(
            examples.pictures[index], cmap="gray_r", interpolation="nearest", vmin=0,
            vmax=examples.brightest,
        )  # fmt: skip
        self.bars = None if model is None else figure.add_subplot(grid[0, 1])
        self.slider = Slider(
            figure.add_subplot(grid[1, :]), "example", 0, self._last, valinit=index, valstep=1,
            valfmt="%d", initcolor="none",
        )  # fmt: skip
        self.slider.on_changed(self._show)
        figure.canvas.mpl_connect("key_press_event", self._on_key)
        self._show(index)

    def _show(self, value: float) -> None:
        i, examples = int(value), self._examples
        self._image.set_data(examples.pictures[i])
        label = int(examples.labels[i])
        self.axes.set_title(f"{examples.name}, {examples.part} {i}: labelled {label}")
        if self.bars is not None and self._model is not None:
            self._show_scores(self.bars, examples.scores(self._model, slice(i, i + 1)))
        self._figure.canvas.draw_idle()

    def _show_scores(self, axes: Axes, scores: Array) -> None:
        digit = int(read(scores)[0])
        axes.clear()
        colours = [SAID if k == digit else OTHER for k in range(CLASSES)]
        axes.bar(range(CLASSES), scores[0], color=colours)
        axes.set(xticks=range(CLASSES), ylim=(0, 1), yticks=[0, 0.5, 1], box_aspect=1)
        axes.set_title(
            "the model is undecided" if digit == UNDECIDED else f"the model says {digit}"
        )

    def _on_key(self, event: Event) -> None:
        key = event.key if isinstance(event, KeyEvent) else None
        step = {"right": 1, "left": -1}.get(key or "", 0)
        if step:
            self.slider.set_val(min(max(self.slider.val + step, 0), self._last))


def grid(examples: Examples, model: Classifier | None, index: int, path: Path) -> None:
    """Write the examples from ``index`` on, as many as ``GRID``, as one PNG."""
    shown = slice(index, index + GRID)
    pictures, labels = examples.pictures[shown], examples.labels[shown]
    scores = None if model is None else examples.scores(model, shown)
    title = f"{examples.name}, {examples.part} {index} to {index + len(labels) - 1}"
    with atomic(path) as partial:
        plots.samples(pictures, labels, scores, partial, title=title)


def window() -> Figure | None:
    """Return the figure of a new window, or None if none can be opened.

    That is so without a display, and with a backend of matplotlib's that only writes files.
    """
    from matplotlib import pyplot  # late, as it takes a while and a grid does without

    try:
        figure = pyplot.figure(figsize=(8, 5), layout="constrained")
    except ImportError:  # MPLBACKEND asks for windows and there is no display
        return None
    if figure.canvas.required_interactive_framework is None:
        pyplot.close(figure)
        return None
    return figure


def run_window(browser: Browser) -> None:
    """Show a browser's window until it is closed, and keep the browser until then."""
    from matplotlib import pyplot

    pyplot.show()


def _options(argv: Sequence[str] | None) -> Namespace:
    parser = starting.parser("browse", __doc__, EPILOG)
    add = parser.add_argument
    add("name", nargs="?", choices=("digits", "mnist"), default="digits", help="default: digits")
    add("--part", choices=("test", "train"), default="test", help="default: test")
    add("--index", type=int, default=0, metavar="N", help="the first one shown, from 0")
    add("--data", type=Path, metavar="PATH", help="where MNIST is (MNIST_PATH)")
    add("--model", type=Path, metavar="FILE", help="show also what this trained model says")
    out = f"write a grid of {GRID} pictures instead of opening a window"
    add("--out", type=Path, metavar="FILE.png", help=out)
    options = parser.parse_args(argv)
    if options.data is not None and options.name != "mnist":
        raise CliError(f"--data: expected together with mnist. Received: {options.data} alone")
    if options.out is not None and options.out.is_dir():
        raise CliError(f"--out: expected a file to write. Received: {options.out}, a folder")
    return options


def _model(path: Path | None, examples: Examples) -> Classifier | None:
    if path is None:
        return None
    model, side = model_files.load(path), examples.pictures.shape[-1]
    if model.side != side:
        raise CliError(
            f"{path}: expected a model with {side * side} inputs for {examples.name}. "
            f"Received: one with {model.side * model.side}"
        )
    return model


def _run(argv: Sequence[str] | None) -> int:
    options = _options(argv)
    try:
        examples = load(options.name, options.part, options.data)
    except DatasetError as error:
        raise CliError(str(error)) from error
    last = len(examples.labels) - 1
    if not 0 <= options.index <= last:
        raise CliError(f"--index: expected 0..{last}. Received: {options.index}")
    model = _model(options.model, examples)
    figure = window() if options.out is None else None
    if figure is not None:
        run_window(Browser(figure, examples, model, options.index))
        return 0
    path = options.out or Path("runs/browse") / f"{options.name}-{options.part}.png"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        grid(examples, model, options.index, path)
    except OSError as error:
        reason = os_reason(error)
        raise CliError(f"--out: expected a file to write. Received: {reason}") from error
    reason = "" if options.out is not None else "no display for a window; "
    print(f"{reason}wrote {printable(path)}")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    return run("browse", lambda: _run(argv))


if __name__ == "__main__":
    raise SystemExit(main())
