"""Random correct networks are never called different: no false alarm in any shape or function."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import parity
from keras_impl import keras, precision
from numpy_impl import activations, optimizers
from parity.comparing.twins import keras_activation
from tests import census

# Not exponential: the exponential of an exponential overflows, in either engine.
HIDDEN = st.sampled_from(sorted(set(activations.ACTIVATIONS) - {"exponential"}))
LOSSES = ["quadratic", "mean_squared_error", "mean_absolute_error", "categorical_crossentropy",
          "binary_crossentropy"]  # fmt: skip


@st.composite
def stacks(draw) -> list[tuple[str, dict]]:
    """Draw one to three Dense layers, each with or without activation, bias and dropout."""
    stack: list[tuple[str, dict]] = []
    if draw(st.booleans()):
        # Hundredths: TensorFlow flushes what is subnormal in float32 to 0, in float64 too.
        scale, offset = (draw(st.integers(-200, 200)) / 100 for _ in range(2))
        stack.append(("Rescaling", {"scale": scale, "offset": offset}))
    stack.append(("Flatten", {}))
    for _ in range(draw(st.integers(1, 3))):
        separate, name = draw(st.booleans()), draw(HIDDEN)
        options = {"units": draw(st.integers(1, 12)), "use_bias": draw(st.booleans())}
        stack.append(("Dense", options | {"activation": None if separate else name}))
        if separate:
            stack.append(("Activation", {"activation": name}))
        if draw(st.booleans()):
            stack.append(("Dropout", {"rate": draw(st.sampled_from([0.0, 0.2, 0.5, 0.9]))}))
    return stack


def optimizer(kind: str) -> keras.optimizers.Optimizer:
    kinds = optimizers.OPTIMIZERS.items()
    makers = {name: getattr(keras.optimizers, kind.__name__) for name, kind in kinds} | {
        "sgd": lambda: keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True),
        "rmsprop": lambda: keras.optimizers.RMSprop(0.01, centered=True),
        "adam": lambda: keras.optimizers.Adam(0.01, clipnorm=0.5),
    }
    return makers[kind]()


def _for_keras(options: dict) -> dict:
    name = options.get("activation")
    return options | {"activation": keras_activation(activations.get(name))} if name else options


# Where a row and a column of a gradient are zeros, Adafactor is NaN in float32 in both engines:
# see test_numpy_optimizers.py.
OPTIMIZERS = {
    "float64": [*optimizers.OPTIMIZERS],
    "float32": [name for name in optimizers.OPTIMIZERS if name != "adafactor"],
}


def _case(data):
    """Draw a model with its inputs and targets, in the precision that is set."""
    dtype = keras.config.floatx()
    shape = data.draw(st.sampled_from([(3,), (7,), (4, 3)]))
    outputs, batch = data.draw(st.integers(2, 6)), data.draw(st.integers(1, 9))
    last = data.draw(st.sampled_from(["softmax", "sigmoid"]))
    stack = [*data.draw(stacks()), ("Dense", {"units": outputs, "activation": last})]
    layers = [getattr(keras.layers, name)(**_for_keras(options)) for name, options in stack]
    model = keras.Sequential([keras.Input(shape), *layers])
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    # Drawn here and not by the initializers, which know nothing of this seed.
    model.set_weights([rng.standard_normal(w.shape) * 0.7 for w in model.get_weights()])
    x = rng.standard_normal((batch, *shape)).astype(dtype)
    y = np.eye(outputs, dtype=dtype)[rng.integers(0, outputs, batch)]
    return model, x, y


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.filterwarnings("ignore:You are using a softmax over axis -1")  # of a single unit
@settings(
    max_examples=census.count(40, 10), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
@given(data=st.data())
def test_random_networks_are_identical(dtype, data):
    with precision(dtype):
        model, x, y = _case(data)
        result = parity.compare(
            model,
            parity.numpy_twin(model),
            x,
            y,
            loss=data.draw(st.sampled_from(LOSSES)),
            optimizer=optimizer(data.draw(st.sampled_from(OPTIMIZERS[dtype]))),
            steps=2,
        )
    different = [row for row in result.rows if row.verdict is parity.Verdict.DIFFERENT]
    assert not different, str(result)


@pytest.mark.filterwarnings("ignore:You are using a softmax over axis -1")  # of a single unit
@settings(
    max_examples=census.count(20, 10), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
@given(data=st.data(), factor=st.sampled_from([-1.0, 0.5, 2.0, 1.001]))
def test_a_random_network_with_a_wrong_gradient_is_caught(data, factor):
    with precision("float64"):
        model, x, y = _case(data)
        network = parity.numpy_twin(model)
        last = network.layers[-1]
        right = last.backward  # pyright: ignore[reportAttributeAccessIssue]

        def wrong(delta, input_gradient=True):
            passed_on = right(delta, input_gradient)
            last.kernel_gradient *= factor  # pyright: ignore[reportAttributeAccessIssue]
            return passed_on

        last.backward = wrong  # pyright: ignore[reportAttributeAccessIssue]
        result = parity.compare(model, network, x, y, loss="quadratic")
    gradient = result.section("gradients")[-2]
    # A gradient that is 0 throughout (dead units, all dropped) cannot show a factor.
    assert gradient.verdict is parity.Verdict.DIFFERENT or gradient.keras == 0
