"""What reads files from others, the exceptions that it documents, and good files to begin with."""

import gzip
import io
import json
import pickle
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import h5py
import numpy as np
from PIL import Image, ImageDraw

from digit_data.datasets import DatasetError, load_mnist
from digit_data.pictures.examine import ImageError, examine, open_image
from numpy_impl import models, serialization
from scripts import model_files
from terminal_io import CliError
from tests.digit_data import mnist_writers
from tests.fuzzing import foreign, mutations, programs, trained
from tests.fuzzing.reader import Reader


def _encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def _drawn() -> Image.Image:
    image = Image.new("L", (40, 40), 255)
    ImageDraw.Draw(image).line([(12, 10), (28, 10), (18, 32)], fill=20, width=3)
    return image


def _pictures(kind: str) -> Callable[[Path], Sequence[bytes]]:
    def bases(folder: Path) -> Sequence[bytes]:
        grey = _drawn()
        colour = grey.convert("RGB")
        clear = colour.copy()
        clear.putalpha(grey)
        deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
        real = Image.fromarray(np.asarray(grey).astype(np.float32))
        several = {"save_all": True, "append_images": [grey.rotate(9), grey.rotate(90)]}
        made: dict[str, list[tuple[Image.Image, dict[str, object]]]] = {
            "PNG": [(grey, {}), (grey.convert("1"), {}), (grey.convert("P"), {"transparency": 0}),
                    (colour, {}), (clear, {}), (deep, {}), (grey, several)],
            "JPEG": [(grey, {}), (colour, {"progressive": True}), (grey.convert("CMYK"), {})],
            "GIF": [(grey, {}), (grey, several)],
            "BMP": [(grey, {}), (colour, {}), (grey.convert("1"), {})],
            "TIFF": [(grey, {}), (colour, {"compression": "tiff_lzw"}), (deep, {}), (real, {}),
                     (grey.convert("1"), {"compression": "group4"}), (grey, several),
                     (colour, {"compression": "jpeg"})],
            "WEBP": [(colour, {}), (clear, {"lossless": True}), (colour, several)],
            "AVIF": [(colour, {})],
            "PPM": [(grey, {}), (colour, {}), (grey.convert("1"), {})],
        }  # fmt: skip
        return [_encoded(image, kind, **options) for image, options in made[kind]]

    return bases


def _look(path: Path) -> None:
    with path.open("rb") as file:
        image = open_image(io.BytesIO(file.read()))
    for side in (28, 8):
        for picture in examine(image, side, segment=side == 8).pictures:
            top = 1 if side == 28 else 16
            assert picture.shape == (side, side)
            assert np.isfinite(picture).all()
            assert picture.min() >= 0
            assert picture.max() <= top * 1.0001


def _mnist(write: Callable[[Path], Path]) -> Callable[[Path], Sequence[bytes]]:
    return lambda folder: [write(folder).read_bytes()]


def _pickles(folder: Path) -> Sequence[bytes]:
    pairs = mnist_writers.pairs_of(mnist_writers.tiny(2))
    made = [mnist_writers.python2_pickle(pairs), *(pickle.dumps(pairs, n) for n in (2, 5))]
    return [gzip.compress(one) for one in made]


def _idx(path: Path) -> None:
    # The other three are good ones.
    folder = mnist_writers.write_idx(path.parent, mnist_writers.tiny(2))
    (folder / mnist_writers.IDX_NAMES["x_train"]).write_bytes(path.read_bytes())
    load_mnist(folder / mnist_writers.IDX_NAMES["x_train"])


def _ask(path: Path) -> None:
    model = model_files.load(path)
    model.scores(np.zeros((1, model.side, model.side)))


def _network(folder: Path) -> Sequence[bytes]:
    path = folder / "good.npz"
    serialization.save(models.build("64-40-10", np.random.default_rng(0)), path)
    plain = path.read_bytes()
    with np.load(path) as arrays:
        np.savez_compressed(path, **dict(arrays))
    return [plain, path.read_bytes()]


def _weights(folder: Path) -> Sequence[bytes]:
    """Return what Keras's ``save_weights`` writes; made without Keras, whose import is slow."""
    network = models.build("64-40-10", np.random.default_rng(0))
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        for i, weight in enumerate(network.weights):
            group = "dense" if i < 2 else "dense_1"
            file[f"layers/{group}/vars/{i % 2}"] = weight
        file.create_group("optimizer/vars")
    return [content.getvalue()]


def _keras(folder: Path) -> Sequence[bytes]:
    """Return what Keras's ``save`` writes."""

    def layer(name: str, kind: str, **config: object) -> dict[str, object]:
        described = {"name": name, "trainable": True, "dtype": "float32", **config}
        return {
            "module": "keras.layers", "class_name": kind, "config": described,
            "registered_name": None, "build_config": {"input_shape": [None, 64]},
            "name": name, "inbound_nodes": [],
        }  # fmt: skip

    entry = layer("input", "InputLayer", batch_shape=[None, 64], sparse=False)
    layers = [
        entry,
        layer("dense", "Dense", units=40, activation="sigmoid", use_bias=True),
        layer("drop", "Dropout", rate=0.5, seed=None, noise_shape=None),
        layer("dense_1", "Dense", units=10, activation="sigmoid", use_bias=True),
    ]
    config = {
        "module": "keras", "class_name": "Sequential", "registered_name": "Sequential",
        "config": {"name": "sequential", "trainable": True, "dtype": "float32", "layers": layers},
    }  # fmt: skip
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.15.0"}))
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("model.weights.h5", _weights(folder)[0])
    return [content.getvalue()]


_BYTES = (mutations.changed,)
_ARCHIVE = (mutations.in_a_member,)
_GZIP = (mutations.unpacked_first,)

READERS = [
    *(
        Reader(f"picture {kind}", _pictures(kind), _BYTES, _look, ImageError, "picture")
        for kind in ("JPEG", "GIF", "BMP", "TIFF", "WEBP", "AVIF", "PPM")
    ),
    Reader("picture PNG", _pictures("PNG"), (mutations.with_checksums,), _look, ImageError, "x"),
    Reader(
        "MNIST npz", _mnist(lambda folder: mnist_writers.write_npz(folder, mnist_writers.tiny(2))),
        _ARCHIVE, load_mnist, DatasetError, "mnist.npz",
    ),
    Reader("MNIST pickle", _pickles, _GZIP, load_mnist, DatasetError, "mnist.pkl.gz"),
    Reader(
        "MNIST idx", lambda folder: [mnist_writers.idx_bytes(mnist_writers.tiny(2).x_train)],
        _BYTES, _idx, DatasetError, "damaged",
    ),
    Reader(
        "MNIST arff",
        _mnist(lambda folder: mnist_writers.write_arff(folder, mnist_writers.tiny(2), True)),
        _GZIP, load_mnist, DatasetError, "mnist.arff.gz",
    ),
    Reader("model npz", _network, _ARCHIVE, _ask, CliError, "model.npz"),
    Reader("model keras", _keras, _ARCHIVE, _ask, CliError, "model.keras"),
    Reader("model weights.h5", _weights, _BYTES, _ask, CliError, "model.weights.h5"),
    *trained.READERS,
    *foreign.READERS,
    *programs.READERS,
]  # fmt: skip
