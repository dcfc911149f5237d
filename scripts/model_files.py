"""A saved model, of any kind and in either engine, ready to be asked for scores.

The kinds are ``.npz`` (``numpy_impl.serialization``), ``.keras``, and ``.weights.h5`` with the
weights of a documented network. The NumPy engine reads all of them without Keras.

A model takes pixels in 0..1 (784 inputs) or 0..16 (64 inputs); if its first layer is ``Rescaling``,
it does its own scaling and takes 0..255 or 0..16, as the pictures are stored.
"""

import math
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from numpy_impl import Sequential, models, serialization
from numpy_impl.files import bounded
from numpy_impl.functional import AnyNetwork
from numpy_impl.types import Array
from terminal_io import CliError, os_reason

if TYPE_CHECKING:
    from keras_impl import keras


CLASSES = 10
BRIGHTEST = 255
SUFFIXES = (".npz", ".keras", ".weights.h5")
# The model that comes with the project.
SHIPPED_MODEL = Path(__file__).parent / "weights" / "mnist-robust.npz"
# A second network, which says whether a picture of 28x28 pixels shows a digit at all: a score for
# each digit, and the last for what is none.
SHIPPED_REJECTER = SHIPPED_MODEL.with_name("digit-or-none.npz")
# Scores are computed in double precision whatever the file's, so that the engines' rounding errors
# are far below the decimals that are shown.
DTYPE = "float64"
# A convolution lays a picture out as many times as its windows overlap: so many pictures at a time.
LOT = 64


Forward = Callable[[Array], Array]
# Inputs, and what each output counts, to the gradient by the inputs.
Pullback = Callable[[Array, Array], Array]


class Classifier:
    """A network that gives ten scores for a picture.

    Args:
        path: Where it comes from, for errors.
        input_shape: Shape of one input; 64 or 784 numbers in all.
        output_shape: Must be (10,).
        layers: The class names of its layers.
        predict: The network: (N, *input_shape) to (N, 10).
        pullback: Its gradient by the inputs; None if it is not asked for.

    Attributes:
        side: 8 or 28: how many pixels high and wide the pictures are.
        rejecter: A second network, (N, 784) to (N, 11), whose last score says that a picture shows
            no digit; None if none is asked.
        rejecter_pullback: Its gradient.

    Raises:
        CliError: Other shapes.
    """

    def __init__(
        self,
        path: Path,
        input_shape: tuple[int | None, ...],
        output_shape: tuple[int | None, ...],
        layers: Sequence[str],
        predict: Forward,
        pullback: Pullback | None = None,
    ) -> None:
        shape = tuple(n for n in input_shape if n is not None)
        if len(shape) != len(input_shape) or math.prod(shape) not in (64, 784):
            raise CliError(
                f"{path}: expected a model with 64 or 784 inputs. Received: input shape "
                f"{input_shape}"
            )
        if output_shape != (CLASSES,):
            raise CliError(
                f"{path}: expected a model with {CLASSES} outputs, a score for each digit. "
                f"Received: output shape {output_shape}"
            )
        self.side = math.isqrt(math.prod(shape))
        self._shape = shape
        self._predict, self._pullback = predict, pullback
        self.rejecter: Forward | None = None
        self.rejecter_pullback: Pullback | None = None
        first = next((name for name in layers if name not in ("InputLayer", "Flatten")), "")
        self._brightest = BRIGHTEST if self.side == 28 and first == "Rescaling" else 1

    def scores(self, pictures: Array) -> Array:
        """Return the outputs for pictures, in one batch.

        Args:
            pictures: Shape (N, side, side); pixels in 0..1 for side 28 and in 0..16 for side 8.

        Returns:
            Scores, (N, 10) float64.
        """
        x = np.asarray(pictures, DTYPE).reshape(-1, *self._shape)
        # A damaged model overflows; the caller sees it in the scores.
        with np.errstate(all="ignore"):
            return np.asarray(self._predict(x * self._brightest), DTYPE)

    def digit_scores(self, pictures: Array) -> Array | None:
        """Return how surely each picture shows a digit, whichever it is.

        Args:
            pictures: As for :meth:`scores`.

        Returns:
            Scores in 0..1, (N,) float64; None if there is no rejecter.
        """
        outputs = self._rejected(pictures)
        return None if outputs is None else 1 - outputs[:, CLASSES]

    def known(self, pictures: Array) -> Array:
        """Return how well each picture is known: as the same digit by both networks.

        Args:
            pictures: As for :meth:`scores`.

        Returns:
            The highest product of a digit's score and the rejecter's for it, (N,) float64, in 0..1;
            without a rejecter the highest score.
        """
        scores, outputs = np.nan_to_num(self.scores(pictures)), self._rejected(pictures)
        return (scores if outputs is None else scores * outputs[:, :CLASSES]).max(axis=1)

    def _rejected(self, pictures: Array) -> Array | None:
        """Return the rejecter's outputs, (N, 11)."""
        if self.rejecter is None:
            return None
        rows = np.asarray(pictures, DTYPE).reshape(len(pictures), -1)
        starts = range(0, max(len(rows), 1), LOT)
        return np.concatenate([np.asarray(self.rejecter(rows[i : i + LOT]), DTYPE) for i in starts])

    def gradient(self, pictures: Array, digit: int | None) -> Array:
        """Return the gradient of a score by the pixels.

        Args:
            pictures: As for :meth:`scores`.
            digit: Whose score; None: that of any digit, which is :meth:`digit_scores`.

        Returns:
            The shape of ``pictures``, float64: score in 0..1 for a unit of a pixel.

        Raises:
            CliError: The network cannot be differentiated here.
        """
        pull = self.rejecter_pullback if digit is None else self._pullback
        if pull is None:
            raise CliError("expected a network that can be differentiated. Received: another one")
        x = np.asarray(pictures, DTYPE)
        flat = x.reshape(len(x), -1)
        if digit is None:
            dout = np.zeros((len(x), CLASSES + 1))
            dout[:, CLASSES] = -1.0
            return pull(flat, dout).reshape(x.shape)
        dout = np.zeros((len(x), CLASSES))
        dout[:, digit] = 1.0
        factor = self._brightest
        try:
            with np.errstate(all="ignore"):
                gradient = pull(x.reshape(-1, *self._shape) * factor, dout)
        except (ValueError, NotImplementedError) as error:
            raise CliError(f"expected a network to be differentiated. {error}") from error
        return np.asarray(gradient, DTYPE).reshape(x.shape) * factor


def load(path: Path, engine: str = "numpy") -> Classifier:
    """Load a model file.

    Args:
        path: A ``.npz`` file of ``numpy_impl.serialization``, a ``.keras`` file, or a
            ``.weights.h5`` file of a network in ``numpy_impl.models.ARCHITECTURES``.
        engine: Which engine is to compute the scores, "numpy" or "keras"; either can use any kind
            of file, and both give the same scores. Only the Keras engine imports Keras.

    Returns:
        The model. If it takes 28x28 pixels, the rejecter that comes with the project is with it, in
        the same engine.

    Raises:
        CliError: No such file, another kind of file, damaged, with layers that the engine does not
            have, or not a classifier of digits.
    """
    kind = _kind(path)
    if engine == "keras":
        model = _keras_classifier(path, kind)
    else:
        model = _numpy_classifier(path, READERS[kind](path))
    if model.side == 28:
        network = _read_npz(SHIPPED_REJECTER).clone(DTYPE)
        if engine == "keras":
            model.rejecter, model.rejecter_pullback = _keras_twin(network)
        else:
            model.rejecter, model.rejecter_pullback = network.forward, _pullback(network)
    return model


def read(path: Path) -> AnyNetwork:
    """Read any network, in the precision of its file, without Keras.

    Args:
        path: As for :func:`load`.

    Raises:
        CliError: As there; and weights that are no numbers.
    """
    network = READERS[_kind(path)](path)
    _check_finite(path, network.weights)
    return network


def _keras_twin(network: AnyNetwork) -> tuple[Forward, Pullback]:
    import keras_impl
    from parity import keras_twin

    with keras_impl.precision(DTYPE):
        twin = keras_twin(network)
    return _in_double(twin), _keras_pullback(twin)


def _kind(path: Path) -> str:
    """Return the file's suffix; check that it is there and begins as its suffix says."""
    # Whatever else is called .h5 the reader names: models of Keras 2, say.
    kind = next((suffix for suffix in (*READERS, ".h5") if path.name.endswith(suffix)), None)
    if kind is None:
        listed = ", ".join(SUFFIXES[:-1])
        raise CliError(
            f"{path}: expected a model file, {listed} or {SUFFIXES[-1]}. Received: suffix "
            f"{path.suffix!r}"
        )
    try:
        with bounded.opened(path) as file:
            archive = zipfile.is_zipfile(file)
    except bounded.Refusal as error:
        raise CliError(f"{path}: expected a model file. Received: {error.received}") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = os_reason(error) if isinstance(error, OSError) else error
        raise CliError(f"expected a model file. Received: {reason}") from error
    if kind in (".npz", ".keras") and not archive:  # NumPy and Keras would say misleading things
        raise CliError(f"{path}: expected a model file, a zip archive. Received: no such archive")
    return kind if kind in READERS else ".weights.h5"


def _read_npz(path: Path) -> AnyNetwork:
    try:
        return serialization.load(path)
    except ValueError as error:
        raise CliError(str(error)) from error


def _read_keras_file(path: Path) -> AnyNetwork:
    from numpy_impl.files import keras_files
    from numpy_impl.files.keras_config import OtherModel

    try:
        return keras_files.load_keras(path)
    except ImportError as error:
        raise CliError(f"{path}: expected h5py to read it with. Received: {error}") from error
    except ValueError as error:
        # A whole model with other layers, Keras itself may read; it would refuse all else too.
        hint = "; try --engine keras" if isinstance(error.__cause__, OtherModel) else ""
        raise CliError(f"{error}{hint}") from error


def _read_weights(path: Path) -> Sequential:
    from numpy_impl.files import keras_files

    try:
        network = models.build(keras_files.documented_architecture(path), dtype=DTYPE)
        keras_files.load_keras_weights(path, network)
    except ImportError as error:
        raise CliError(f"{path}: expected h5py to read it with. Received: {error}") from error
    except ValueError as error:
        raise CliError(str(error)) from error
    return network


READERS: dict[str, Callable[[Path], AnyNetwork]] = {
    ".npz": _read_npz,
    ".keras": _read_keras_file,
    ".weights.h5": _read_weights,
}


def _numpy_classifier(path: Path, network: AnyNetwork) -> Classifier:
    _check_finite(path, network.weights)
    double = network.clone(DTYPE)
    inputs, outputs = network.input_names, network.output_names
    if len(inputs) != 1 or len(outputs) != 1:
        raise CliError(
            f"{path}: expected one input and one output. "
            f"Received: {', '.join(inputs)} and {', '.join(outputs)}"
        )
    chain = isinstance(network, Sequential)  # a graph with branches has no first layer
    names = [type(layer).__name__ for layer in network.layers] if chain else []
    return Classifier(
        path, network.input_shape, network.output_shape, names, double.forward, _pullback(double)
    )


def _pullback(network: AnyNetwork) -> Pullback:
    from numpy_impl.input_gradient import input_gradient

    return lambda x, dout: input_gradient(network, x, dout)


def _keras_classifier(path: Path, kind: str) -> Classifier:
    import keras_impl
    from keras_impl.autodiff import chain

    with keras_impl.precision(DTYPE):
        model = KERAS_READERS[kind](path)
    try:
        names = [type(layer).__name__ for layer in chain(model)]
    except ValueError:  # a graph with branches has no first layer
        names = []

    _check_finite(path, model.get_weights())
    input_shape, output_shape = model.input_shape, model.output_shape
    if not isinstance(input_shape, tuple) or not isinstance(output_shape, tuple):
        raise CliError(f"{path}: expected one input and one output. Received: {input_shape}")
    shapes = input_shape[1:], output_shape[1:]
    return Classifier(path, *shapes, names, _in_double(model), _keras_pullback(model))


def _keras_pullback(model: "keras.Model") -> Pullback:
    """Return what differentiates a Keras model in double precision."""
    import keras_impl
    from keras_impl.input_gradient import input_gradient

    def pull(x: Array, dout: Array) -> Array:
        with keras_impl.precision(DTYPE):
            return input_gradient(model, x, dout)

    return pull


def _in_double(model: "keras.Model") -> Forward:
    """Return what computes a Keras model's outputs in double precision."""
    import keras_impl

    def predict(x: Array) -> Array:
        with keras_impl.precision(DTYPE):
            return model.predict_on_batch(x)

    return predict


def _check_finite(path: Path, weights: Sequence[Array]) -> None:
    """Refuse what no training that went well has: with it, no score is a number."""
    for i, weight in enumerate(weights):
        if not np.isfinite(weight).all():
            raise CliError(
                f"{path}: expected a model whose weights are numbers. Received: NaN or infinity in "
                f"weights[{i}]"
            )


def _twin_of_npz(path: Path) -> "keras.Model":
    from parity import keras_twin

    return keras_twin(_read_npz(path))


def load_keras(path: Path) -> "keras.Model":
    """Read a ``.keras`` file with Keras, in the file's own precision.

    Raises:
        CliError: No such file, damaged, no model, or one whose weights are not numbers.
    """
    from keras_impl import keras
    from keras_impl.sizes import count_weights
    from numpy_impl.files import keras_files

    _kind(path)
    try:
        stored = keras_files.stored_numbers(path)
    except ValueError as error:
        raise CliError(str(error)) from error
    try:
        with zipfile.ZipFile(path) as archive:
            config = archive.read("config.json").decode()
        # First without values: a few words of the config can ask for any number of weights.
        wanted = count_weights(config)
        if wanted > stored:
            raise ValueError(f"a model of {wanted} weights in a file with {stored}")
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # whatever the file makes Keras raise, it is the file's fault
        raise CliError(f"{path}: expected a Keras model. Received: {error}") from error
    if not isinstance(model, keras.Model):
        raise CliError(f"{path}: expected a Keras model. Received: {type(model).__name__}")
    _check_finite(path, model.get_weights())
    return model


def _weights_in_keras(path: Path) -> "keras.Model":
    from keras_impl import models as keras_models
    from numpy_impl.files import keras_files

    try:
        model = keras_models.build(keras_files.documented_architecture(path))
        model.load_weights(path)
    except Exception as error:  # whatever the file makes Keras raise, it is the file's fault
        raise CliError(f"{path}: expected weights for Keras. Received: {error}") from error
    return model


def _double(model: "keras.Model") -> "keras.Model":
    """Return the same model in double precision."""
    from keras_impl import keras

    def convert(layer: "keras.Layer") -> "keras.Layer":
        return type(layer).from_config({**layer.get_config(), "dtype": DTYPE})

    double: Any = keras.models.clone_model(model, clone_function=convert)
    double.set_weights(model.get_weights())
    return double


KERAS_READERS: "dict[str, Callable[[Path], keras.Model]]" = {
    ".npz": _twin_of_npz,
    ".keras": lambda path: _double(load_keras(path)),
    ".weights.h5": _weights_in_keras,
}
