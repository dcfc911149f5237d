"""All that the rejecter learns from: digits by label 0 to 9, and what is none by label 10."""

from pathlib import Path

import cv2
import numpy as np

from digit_data.datasets import load_mnist
from digit_data.drawn import drawn_digits
from digit_data.types import Array
from scripts import model_files

from . import drawings, glyphs, scenery, things, touching
from .inks import Generator, cut, grey, seen, varied

NO_DIGIT = 10
# As for the network that answers: the last 5,000 of MNIST's training pictures are held out.
MNIST_USED = 55_000
# A fragment of which the best score is higher is taken for a digit.
KNOWN = 0.97
THINGS = {"sign": 12_000, "outline": 9_000, "enclosed": 5_000}
LETTERS = "".join(character for character in glyphs.LATIN if character.isalpha())


def cut_apart(data: Path | None, rng: Generator) -> tuple[Array, Array, Array]:
    """Return digits that were cut from their neighbours, labels, and what is no whole digit.

    Of fragments those are left out that the network that answers surely knows: half an eight may be
    a three, and then it shall be one.
    """
    mnist = load_mnist(data)
    x, y = mnist.x_train[:MNIST_USED], mnist.y_train[:MNIST_USED]
    whole, more, less = touching.parts(x, y, 1_600, rng)
    fragments = np.array(scenery.without_bars(less))
    best = model_files.load(model_files.SHIPPED_MODEL).scores(fragments).max(axis=1)
    none = np.concatenate([np.array(more), fragments[best < KNOWN]])
    return np.array([p for p, _ in whole]), np.array([d for _, d in whole]), none


def boundary(data: Path | None, rng: Generator) -> dict[str, Array]:
    """Return digits that are not trained on, by kind, (N, 28, 28): few of each shall be lost."""
    held_out = load_mnist(data).x_train[MNIST_USED:]
    fonts = glyphs.glyphs(glyphs.files(glyphs.BOUNDARY), "0123456789")
    return {
        "MNIST": held_out.astype(np.float32) / 255,
        "printed": np.array([p for _, p in glyphs.pictures(fonts, 3_000, rng)]),
    }


def digits(data: Path | None, rng: Generator) -> tuple[Array, Array]:
    """Return digits of every kind, (N, 28, 28) float32 in 0..1, and labels, (N,)."""
    mnist = load_mnist(data)
    x, y = mnist.x_train[:MNIST_USED], mnist.y_train[:MNIST_USED]
    fonts = glyphs.glyphs(glyphs.files(glyphs.TEXT), "0123456789")
    displays = glyphs.glyphs(glyphs.files(glyphs.DISPLAYS), "0123456789")
    rendered = list(glyphs.pictures(fonts, 18_000, rng))
    rendered += glyphs.pictures(displays, 2_000, rng)
    own, own_labels = drawings.digits(12_000, rng)
    flagged, flagged_labels = drawn_digits(3_000, rng)
    small = rng.permutation(len(x))[:6_000]
    shot = rng.permutation(len(x))[:1_000]
    shots = [(scenery.found(iter([scenery.photographed(x[i], rng)])), int(y[i])) for i in shot]
    shots = [(pictures[0], label) for pictures, label in shots if len(pictures) == 1]
    pictures = [
        x.astype(np.float32) / 255, np.array([p for _, p in rendered]), own, flagged,
        np.array([coarse(picture, rng) for picture in x[small]]), np.array([p for p, _ in shots]),
    ]  # fmt: skip
    labels = [
        y, np.array([int(c) for c, _ in rendered]), own_labels, flagged_labels,
        y[small], np.array([label for _, label in shots]),
    ]  # fmt: skip
    return np.concatenate(pictures), np.concatenate(labels)


def coarse(picture: Array, rng: Generator) -> Array:
    """Return a picture, (28, 28) uint8, as it looks if there were but 7 to 12 pixels of it."""
    ink = cut(np.where(picture > 40, picture, 0).astype(np.uint8))
    factor = int(rng.integers(7, 13)) / max(ink.shape)
    small = cv2.resize(ink, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    way = cv2.INTER_NEAREST if rng.random() < 0.5 else cv2.INTER_CUBIC
    return seen(cv2.resize(small, None, fx=6, fy=6, interpolation=way))


def negatives(digits: Array, rng: Generator) -> Array:
    """Return what is no digit, (N, 28, 28) float32 in 0..1; ``digits`` are put side by side."""
    text = glyphs.files(glyphs.TEXT)
    latin = glyphs.glyphs(text, glyphs.LATIN)
    scripted = glyphs.files({name: glyphs.TEXT[name] for name in glyphs.SCRIPTED})
    foreign = glyphs.glyphs(scripted, glyphs.GREEK + glyphs.CYRILLIC + glyphs.HEBREW)
    scripts = glyphs.glyphs(scripted, glyphs.SCRIPTS)
    fanciful = glyphs.glyphs(glyphs.files(glyphs.FANCIFUL)[::8], LETTERS)
    signs = glyphs.glyphs(glyphs.files(glyphs.SYMBOLS), glyphs.SIGNS)
    photographs = scenery.photographs()
    hollow = [
        seen(glyphs.outlined(varied(latin[i][1], rng), rng))
        for i in rng.integers(len(latin), size=800)
    ]
    scenes: list[tuple[int, scenery.Scene]] = [
        (1_500, lambda rng: scenery.crop(photographs, rng)),
        (300, scenery.texture),
        (700, scenery.paper),
        (150, lambda rng: scenery.page(text, rng)),
    ]
    letters = drawings.by_hand(list(drawings.LETTERS.values()), 9_000, rng)[0]
    made = [
        [p for _, p in glyphs.pictures(latin, 10_000, rng)],
        [p for _, p in glyphs.pictures(foreign, 3_500, rng)],
        [p for _, p in glyphs.pictures(scripts, 5_000, rng)],
        [p for _, p in glyphs.pictures(fanciful, 4_000, rng)],
        [p for _, p in glyphs.pictures(signs, 9_000, rng)],
        hollow,
        letters,
        [coarse(grey(255 * picture), rng) for picture in letters[:3_000]],
        drawings.by_hand(list(drawings.SIGNS.values()), 5_000, rng)[0],
        drawings.chance(drawings.scribble, 2_500, rng),
        drawings.chance(drawings.figure, 5_000, rng),
        drawings.chance(drawings.doodle, 5_000, rng),
        drawings.chance(drawings.silhouette, 7_000, rng),
        drawings.chance(drawings.lying, 1_000, rng),
        drawings.masks(drawings.solid, 4_000, rng),
        scenery.without_bars(list(drawings.masks(drawings.blob, 4_000, rng))),
        drawings.pairs(digits, 7_000, rng),
        *(
            scenery.without_bars(scenery.found(scene(rng) for _ in range(count)))
            for count, scene in scenes
        ),
    ]
    return np.concatenate([np.reshape(part, (-1, 28, 28)) for part in made]).astype(np.float32)


def more_negatives(data: Path | None, rng: Generator) -> Array:
    """Return letters of many scripts, icons, things, and turned digits, (N, 28, 28) in 0..1."""
    mnist = load_mnist(data)
    x = mnist.x_train[:MNIST_USED].astype(np.float32) / 255
    made = [
        [p for _, p in glyphs.pictures(glyphs.of_peoples(), 16_000, rng)],
        [p for _, p in glyphs.pictures(glyphs.icons(), 5_000, rng)],
        *(things.pictures(kind, count, rng) for kind, count in THINGS.items()),
        things.turned(x, mnist.y_train[:MNIST_USED], 6_000, rng),
    ]
    return np.array([p for part in made for p in scenery.without_bars(part)], np.float32)
