"""What every layer has to pass. A test of a layer is a table of models, and calls these.

A model is a function that returns Keras layers for a given input shape, or a whole Functional
model; all end in (N, outputs).
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import parity
from keras_impl import keras
from keras_impl.precision import precision
from keras_impl.pullback import pullback
from numpy_impl import losses
from numpy_impl.files import keras_files, npz
from numpy_impl.functional import AnyNetwork, as_list, one_or_list
from numpy_impl.network import Sequential
from numpy_impl.types import Precision
from parity.bounds.layers import backward, forward
from parity.bounds.rounding import Rounding
from parity.comparing import twins
from parity.comparing.rows import Verdict, compare_tensors
from tests import census

Layers = Callable[[], Sequence[keras.Layer] | keras.Model]
DTYPES: tuple[Precision, ...] = ("float64", "float32")


def pair(
    layers: Layers, shape: tuple[int, ...] = (), whole: int = 0, seed: int = 0, samples: int = 6
) -> tuple[keras.Model, AnyNetwork, Any, Any]:
    """Return a Keras model with random weights, its twin, inputs and targets.

    Args:
        whole: Inputs are integers below this, for an Embedding; 0: normal numbers.
    """
    rng = np.random.default_rng(seed)
    made = layers()
    whole_model = isinstance(made, keras.Model)
    model: Any = made if whole_model else keras.Sequential([keras.Input(shape), *made])
    dtype = model.compute_dtype
    # Positive numbers for what has to be, such as a moving variance.
    model.set_weights(
        [
            (rng.uniform(0.5, 1.5, w.shape) if w.ndim == 1 else 0.6 * rng.normal(size=w.shape))
            for w in model.get_weights()
        ]
    )
    shapes = [(samples, *tensor.shape[1:]) for tensor in model.inputs]
    x = [rng.integers(0, whole, s) if whole else rng.normal(size=s) for s in shapes]
    y = [rng.normal(size=(samples, tensor.shape[-1])) for tensor in model.outputs]
    x, y = (one_or_list([array.astype(dtype) for array in arrays]) for arrays in (x, y))
    return model, parity.numpy_twin(model), x, y


def losses_of(model: keras.Model, loss: str = "mean_squared_error") -> tuple[Any, losses.Loss]:
    """Return that loss for every output of a model, for Keras and for NumPy, with weights."""
    n = len(model.outputs)
    own = losses.get(loss)
    return ([loss] * n, losses.WeightedSum([own] * n, [1.0, 0.25][:n])) if n > 1 else (loss, own)


def agrees_with_keras(
    layers: Layers,
    shape: tuple[int, ...] = (),
    dtype: Precision = "float64",
    whole: int = 0,
    optimizer: Callable[[], keras.optimizers.Optimizer] = lambda: keras.optimizers.SGD(
        0.05, momentum=0.5
    ),
    steps: int = 3,
):
    """Forward, loss, gradients and three steps are equal up to rounding, and bounds are finite."""
    with precision(dtype):
        model, network, x, y = pair(layers, shape, whole)
        result = parity.compare(
            model, network, x, y, loss=losses_of(model)[0],
            loss_weights=[1.0, 0.25] if len(model.outputs) > 1 else None,
            optimizer=optimizer(), steps=steps,
        )  # fmt: skip
        assert result.passed, str(result)
        # A gradient of exactly 0 has no scale in which its bound could be small.
        rows = [row for row in result.rows if row.keras or row.numpy]
        bounds = [row.bound for row in rows if row.section in ("forward", "gradients")]
        # A bound of a millionth of a tensor's scale (in float64; a tenth in float32) says enough.
        most = {"float64": 1e10, "float32": 2e6}[dtype]
        assert all(bound is not None and bound < most for bound in bounds), str(result)


def one_layer_agrees_with_keras(layer: keras.Layer, shape: tuple[int, ...]):
    """Output and all gradients of one layer are Keras's within their bounds, in float64.

    Quicker than a network, so that many options can be tried.
    """
    rng = np.random.default_rng(0)
    layer.build((None, *shape))
    own = twins.numpy_layer(layer, "float64")
    network = Sequential([own], shape, dtype="float64")
    own.sees_data = False  # so that the gradient of the input is computed
    weights = [rng.normal(size=w.shape) for w in layer.get_weights()]
    layer.set_weights(weights)
    network.set_weights(weights)
    x = rng.normal(size=(3, *shape))
    delta = rng.normal(size=layer.compute_output_shape(x.shape))
    trained = [variable.path for variable in layer.trainable_variables]

    def call(tensors: Any) -> Any:
        kept = [variable.value for variable in layer.non_trainable_variables]
        return layer.stateless_call([tensors[path] for path in trained], kept, tensors["x"])[0]

    arrays = {"x": x, **dict(zip(trained, weights, strict=True))}
    (y,), gradients = pullback(call, arrays, [delta])
    theirs = [y, *gradients.values()]
    ours = [network.forward(x, training=True), own.backward(delta), *network.weight_gradients]
    r = Rounding("float64", 1000)
    output, kept = forward(own, r.exact(x), None, True)
    bounds, back = backward(own, kept, r.exact(delta), False)
    for their, our, bounded in zip(theirs, ours, [output, back, *bounds], strict=True):
        row = compare_tensors("forward", "", their, our, bounded)
        assert row.verdict in (Verdict.IDENTICAL, Verdict.ROUNDING), row
        assert row.bound is not None
        assert row.bound < 1e6, row


def sees_a_wrong_gradient(layers: Layers, shape: tuple[int, ...] = (), whole: int = 0):
    """Each gradient that is off by a millionth in its largest element is called different.

    In a sample two of them.
    """
    with precision("float64"):
        model, network, x, y = pair(layers, shape, whole)
        right = network.loss_and_gradients
        key = f"wrong {' '.join(network.trained_names)}"
        for k, name in census.sample(list(enumerate(network.trained_names)), 2, key):

            def off(*arguments, k=k, name=name):
                cost, gradients = right(*arguments)
                gradients = [g.copy() for g in gradients]
                place = np.unravel_index(np.argmax(np.abs(gradients[k])), gradients[k].shape)
                if name.endswith("/key_bias"):  # which is 0 but for rounding
                    gradients[k][place] += 1e-6 * max(np.max(np.abs(g)) for g in gradients)
                gradients[k][place] *= 1 + 1e-6
                return cost, gradients

            network.loss_and_gradients = off  # type: ignore[method-assign]
            result = parity.compare(model, network, x, y, loss=losses_of(model)[0])
            wrong = [row.tensor for row in result.failures()]
            assert wrong == [name], str(result)


def backward_is_the_derivative_of_forward(
    layers: Layers, shape: tuple[int, ...] = (), whole: int = 0
):
    """Along a random direction in every weight and the input, by central differences."""
    with precision("float64"):
        model, network, x, y = pair(layers, shape, whole)
    loss, rng, h = losses_of(model)[1], np.random.default_rng(1), 1e-5
    states = network.get_weights()

    def cost() -> float:
        network.set_weights(states)
        network.parameters[...] = here
        return network.loss_and_gradients(x, y, loss)[0]

    start = here = network.parameters.copy()
    network.loss_and_gradients(x, y, loss)
    gradients = network.gradients.copy()
    for name, part in zip(network.trained_names, network.slices, strict=True):
        direction = np.zeros_like(start)
        direction[part] = rng.normal(size=direction[part].shape)
        sides = []
        for sign in (1, -1):
            here = start + sign * h * direction
            sides.append(cost())
        measured = (sides[0] - sides[1]) / (2 * h)
        assert measured == pytest.approx(gradients @ direction, rel=1e-5, abs=1e-8), name


def survives_files(layers: Layers, shape: tuple[int, ...], folder: Path, whole: int = 0):
    """A ``.keras`` file is read without Keras, ``.npz`` and the way back to Keras lose nothing."""
    with precision("float64"):
        model, network, x, _ = pair(layers, shape, whole)
        model.save(folder / "model.keras")
        back = parity.keras_twin(network)
    read = keras_files.load_keras(folder / "model.keras")
    npz.save(read, folder / "model.npz")
    loaded = npz.load(folder / "model.npz")
    for other in (read, loaded, network.clone()):
        assert other.weight_names == network.weight_names
        for one, same in zip(as_list(other.predict(x)), as_list(network.predict(x)), strict=True):
            np.testing.assert_array_equal(one, same)
    for own, theirs in zip(back.get_weights(), network.weights, strict=True):
        np.testing.assert_array_equal(own, theirs)
