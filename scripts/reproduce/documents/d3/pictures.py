"""The pictures of D3: the loss by epoch, overfitting, and where early stopping ends."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .stopping import LossRecorder
from .training import Trained

TRAINING, VALIDATION, MARK = "tab:blue", "tab:orange", "tab:red"
DPI = 110


def descents(trained: Mapping[str, Sequence[Trained]], path: Path) -> None:
    """Draw the training loss of each seed by epoch, a colour for each way to train.

    Args:
        trained: By name, the trainings of all seeds.
        path: The PNG file to write.
    """
    figure = Figure(figsize=(8, 4.2), layout="constrained")
    axes = figure.subplots()
    for colour, (name, each) in enumerate(trained.items()):
        for seed, one in enumerate(each):
            losses = one.history.epochs["loss"]
            label = name if seed == 0 else None
            axes.plot(range(1, len(losses) + 1), losses, f"C{colour}", lw=1.3, label=label)
    axes.set(xlabel="epoch", ylabel="training loss", yscale="log")
    ticks = [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10]
    axes.set_yticks(ticks, labels=[f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, format="png", dpi=DPI)


def overfitting(recorders: Mapping[str, LossRecorder], path: Path) -> None:
    """Draw training and validation loss of several trainings beside each other.

    Where the validation loss is lowest before the end, the network overfits from there on.

    Args:
        recorders: What was recorded, by the training's name.
        path: The PNG file to write.
    """
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    for axes, (name, r) in zip(figure.subplots(1, 2, sharey=True), recorders.items(), strict=True):
        axes.plot(r.epochs, r.train, color=TRAINING, label="training loss")
        axes.plot(r.epochs, r.valid, color=VALIDATION, label="loss on the test part")
        if r.lowest < len(r.valid) - 1:
            at = r.epochs[r.lowest]
            _mark(axes, at, r.valid[r.lowest], f"overfits after epoch {at}")
        title = f"{name}, {len(r.data.x_train):,} pictures"
        axes.set(title=title, xlabel="epoch", ylim=(0, _top(r.valid)))
        axes.grid(alpha=0.3)
        axes.legend(loc="upper right")
    figure.axes[0].set_ylabel("loss")
    figure.savefig(path, format="png", dpi=DPI)


def stopping(trained: Trained, best: int, path: Path) -> None:
    """Draw a training that was stopped: both losses, the best epoch and the last.

    Args:
        trained: The training, with "val_loss" in its history.
        best: The epoch whose weights were restored, from 0.
        path: The PNG file to write.
    """
    loss, valid = (trained.history.epochs[name] for name in ("loss", "val_loss"))
    epochs = range(1, len(loss) + 1)
    figure = Figure(figsize=(8, 4.2), layout="constrained")
    axes = figure.subplots()
    axes.plot(epochs, loss, color=TRAINING, label="training loss")
    axes.plot(epochs, valid, color=VALIDATION, label="loss on the held-out part")
    _mark(axes, best + 1, valid[best], f"lowest in epoch {best + 1}")
    axes.axvline(len(loss), color="grey", ls=":", label=f"stopped after epoch {len(loss)}")
    axes.set(xlabel="epoch", ylabel="loss", ylim=(0, _top(valid)))
    axes.grid(alpha=0.3)
    axes.legend(loc="upper center")
    figure.savefig(path, format="png", dpi=DPI)


def _top(losses: Sequence[float]) -> float:
    """Return how far up to draw: the first epochs' losses would squeeze all others."""
    return min(1.0, 1.05 * max(losses))


def _mark(axes: Axes, epoch: int, loss: float, text: str) -> None:
    axes.axvline(epoch, color=MARK, lw=1, ls="--")
    axes.plot([epoch], [loss], "o", color=MARK, label=text)
