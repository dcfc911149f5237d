"""D4's whatAmI: trained networks are asked about one of MNIST's pictures and about a photograph."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from digit_data.datasets import DatasetError
from digit_data.pictures.examine import Examined, open_image, to_grey
from numpy_impl import Sequential

from .... import model_files
from ....model_files import Classifier
from ....recipes import Array
from ....samples import RecipeSamples
from ....whatami import answers, pictures
from ....whatami import plots as answer_plots
from ....whatami.answers import Answer
from ....whatami.looking import WHOLE, SeenPicture, View, look
from ... import ROOT
from ...results import Context, Results, Table

INDEX = 1004
PHOTO = Path("docs/images/photo.jpg")
VIEW = View(28, keep=True)
SIDE = 28


def classifier(network: Sequential) -> Classifier:
    """Return a network as ``scripts.whatami`` asks it: in double precision."""
    layers = [type(layer).__name__ for layer in network.layers]
    double = network.clone(model_files.DTYPE)
    path, shapes = Path(network.name), (network.input_shape, network.output_shape)
    return Classifier(path, *shapes, layers, double.forward)


def resized(path: Path) -> Array:
    """Return a picture as a program would that only shrinks it: all of it, grey, dark ink bright.

    Returns:
        Shape (28, 28), 0..1.
    """
    grey = Image.fromarray(np.uint8(255 * to_grey(open_image(path))))
    return 1 - np.asarray(grey.resize((SIDE, SIDE), Image.Resampling.BOX)) / 255


def picture(context: Context) -> int:
    """Return the number of the document's test picture."""
    return context.at_most(INDEX, 7)


def looked_at(index: int, data: Path | None) -> list[SeenPicture]:
    """Return MNIST's test picture, the photograph prepared, and the photograph merely shrunk.

    Raises:
        DatasetError: A test set without such a picture.
    """
    digit = look(pictures.mnist_source(index, data), VIEW)
    if digit.error is not None:
        raise DatasetError(digit.error)
    photo = replace(look(pictures.Source(str(ROOT / PHOTO)), VIEW), name=PHOTO.name)
    shrunk = Examined([resized(ROOT / PHOTO)], [WHOLE], 1, [])
    return [digit, photo, replace(photo, name=f"{PHOTO.name}, only resized", found=shrunk)]


def reproduce(
    context: Context, samples: RecipeSamples, network: Sequential, seen: list[SeenPicture]
) -> Results:
    """Ask D4's network and the one that comes with the project; draw the former's answers."""
    context.status("whatAmI")
    index = picture(context)
    robust = model_files.load(model_files.SHIPPED_MODEL)
    own = answers.answer(classifier(network), seen)
    _draw(context.out / "whatami.png", seen, own)
    labels = samples.y_test.argmax(1)
    right = robust.scores(samples.x_test.reshape(-1, SIDE, SIDE)).argmax(1) == labels
    return Results(
        {"asked": _asked({"D4": own, "mnist-robust": answers.answer(robust, seen)})},
        values={
            "index": index,
            "label": int(labels[index]),
            "lines_index": own[0].lines(),
            "lines_photo": own[1].lines(),
            "resized": [own[2].winners[0], own[2].best],
            "robust": round(100 * float(right.mean()), 2),
        },
    )


def _draw(path: Path, seen: list[SeenPicture], own: list[Answer]) -> None:
    answer_plots.save(path, list(zip(seen, own, strict=True)))
    with Image.open(path) as drawn:  # half as large a file in so many colours
        few = drawn.convert("RGB").quantize(128)
    few.save(path, format="png", optimize=True)


def _asked(given: dict[str, list[Answer]]) -> Table:
    rows = [
        [answer.file, name, str(answer.winners[0]), answer.best]
        for name, all_answers in given.items()
        for answer in all_answers
    ]
    return Table("What the networks say", ["picture", "network", "digit", "score"], sorted(rows))
