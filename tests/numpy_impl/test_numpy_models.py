"""The documented architectures and the initial values they start from."""

import numpy as np
import pytest
from scipy import stats

from numpy_impl import initializers, models
from numpy_impl.layers import Dense, Dropout

# document's table: inputs, then (units, activation, bias) a layer; a number is a dropout rate.
DOCUMENTED = {
    "64-40-10": (64, [(40, "sigmoid", True), (10, "sigmoid", True)]),
    "784-30-10": (784, [(30, "sigmoid", True), (10, "sigmoid", True)]),
    "784-100-10": (784, [(100, "sigmoid", True), (10, "sigmoid", True)]),
    "64-200-10": (64, [(200, "tanh", False), 0.5, (10, "softmax", False)]),
    "784-64-10": (784, [(64, "sigmoid", True), (10, "softmax", True)]),
    "784-500-300-10": (784, [(500, "relu", True), (300, "relu", True), (10, "softmax", True)]),
    "lenet": (
        784,
        [
            "Reshape",
            "Conv2D",
            "MaxPooling2D",
            "Conv2D",
            "MaxPooling2D",
            "Flatten",
            (500, "relu", True),
            (10, "softmax", True),
        ],
    ),
    "lstm": (784, ["Reshape", "LSTM", (10, "softmax", True)]),
    "sigmoid:2-2-1-3": (2, [(2, "sigmoid", True), (1, "sigmoid", True), (3, "sigmoid", True)]),
}
NORMAL = stats.norm(0, 1)
UNIFORM = stats.uniform(-1, 2)


def _glorot(inputs: int, units: int):
    limit = np.sqrt(6 / (inputs + units))
    return stats.uniform(-limit, 2 * limit)


# name -> distribution of each kernel, and of each bias (None: zeros).
DISTRIBUTIONS = {
    "64-40-10": ([NORMAL, NORMAL], NORMAL),
    "784-30-10": ([NORMAL, NORMAL], NORMAL),
    "784-100-10": ([NORMAL, NORMAL], NORMAL),
    "64-200-10": ([UNIFORM, UNIFORM], None),
    "784-64-10": ([NORMAL, NORMAL], None),
    "784-500-300-10": ([_glorot(784, 500), _glorot(500, 300), _glorot(300, 10)], None),
}


def _description(network) -> tuple[int, list]:
    layers = []
    for layer in network.layers:
        if isinstance(layer, Dropout):
            layers.append(layer.rate)
        elif isinstance(layer, Dense):
            layers.append((layer.units, layer.activation.name, layer.use_bias))
        else:
            layers.append(type(layer).__name__)
    return network.input_shape[0], layers


def test_every_name_is_documented() -> None:
    assert set(models.ARCHITECTURES) == set(DOCUMENTED) - {"sigmoid:2-2-1-3"}
    assert set(DISTRIBUTIONS) == {name for name in models.ARCHITECTURES if "-" in name}


@pytest.mark.parametrize("name", DOCUMENTED)
def test_architecture(name: str) -> None:
    network = models.build(name)
    assert _description(network) == DOCUMENTED[name]
    assert network.name == name
    assert network.dtype == "float32"
    assert not network.parameters.any()  # no generator: zeros
    assert models.build(name, dtype="float64").dtype == "float64"


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_initial_weights(name: str) -> None:
    network = models.build(name, np.random.default_rng(1), dtype="float64")
    kernels, bias = DISTRIBUTIONS[name]
    for distribution, weight in zip(
        kernels, [w for w in network.weights if w.ndim == 2], strict=True
    ):
        # A true generator falls below this once in ten thousand seeds; this seed is fixed.
        assert stats.kstest(weight.ravel(), distribution.cdf).pvalue > 1e-4
    biases = [w for w in network.weights if w.ndim == 1]
    if bias is None:
        assert not any(b.any() for b in biases)
    else:
        assert stats.kstest(np.concatenate(biases), bias.cdf).pvalue > 1e-4


def test_a_wrong_distribution_would_be_seen() -> None:
    network = models.build("784-30-10", np.random.default_rng(1))
    for wrong in (stats.norm(0, 1.1), stats.norm(0.1, 1), UNIFORM, _glorot(784, 30)):
        assert stats.kstest(network.weights[0].ravel(), wrong.cdf).pvalue < 1e-4


@pytest.mark.parametrize("name", DOCUMENTED)
def test_seeds_and_dtypes(name: str) -> None:
    one, two, other = (models.build(name, np.random.default_rng(s)) for s in (1, 1, 2))
    wide = models.build(name, np.random.default_rng(1), dtype="float64")
    np.testing.assert_array_equal(one.parameters, two.parameters)
    assert (one.parameters != other.parameters).any()
    np.testing.assert_array_equal(one.parameters, wide.parameters.astype("float32"))


def test_dropout_off() -> None:
    on, off = (
        models.build("64-200-10", np.random.default_rng(1), dropout=dropout)
        for dropout in (None, 0.0)
    )
    assert _description(off) == (64, [(200, "tanh", False), (10, "softmax", False)])
    np.testing.assert_array_equal(on.parameters, off.parameters)


def test_sizes() -> None:
    for name in ([2, 2, 1, 3], (2, 2, 1, 3), "sigmoid:2-2-1-3", np.array([2, 2, 1, 3])):
        network = models.build(name, np.random.default_rng(1))  # type: ignore[arg-type]
        assert _description(network) == DOCUMENTED["sigmoid:2-2-1-3"]
        assert network.name == "sigmoid:2-2-1-3"
        assert network.parameters.all()  # biases from N(0, 1) as well


UNKNOWN = ["64-40-11", "", "relu:2-3", "64-40-10 ", "Sigmoid:2-3"]
NO_SIZES = [
    "sigmoid:", "sigmoid:5", "sigmoid:2-0-3", "sigmoid:2--3", "sigmoid:2-x", "sigmoid:2-1e3",
    "sigmoid:+2-3", "sigmoid: 2-3", "sigmoid:1_0-3", [], [3], [2, 0], [2, -1], [2.5, 3],
]  # fmt: skip


@pytest.mark.parametrize("name", UNKNOWN)
def test_unknown_name(name: str) -> None:
    with pytest.raises(ValueError, match="Unknown architecture") as caught:
        models.build(name)
    assert "Expected one of: 64-40-10, 784-30-10, 784-100-10, 64-200-10, 784-64-10," in str(
        caught.value
    )
    assert str(caught.value).endswith(f"Received: {name!r}")


@pytest.mark.parametrize("name", NO_SIZES)
def test_no_sizes(name) -> None:
    with pytest.raises(ValueError, match="Expected two or more positive layer sizes") as caught:
        models.build(name)
    assert str(caught.value).endswith(f"Received: {name!r}")


SHAPE = (400, 500)
COUNT = 400 * 500
GLOROT_LIMIT = np.sqrt(6 / 900)
# name -> variance, fourth moment over squared variance, and limit, for that shape.
MOMENTS = {
    "standard_normal": (1, 3, None),
    "uniform_one": (1 / 3, 9 / 5, 1),
    "scaled_normal": (1 / 400, 3, None),
    "glorot_uniform": (GLOROT_LIMIT**2 / 3, 9 / 5, GLOROT_LIMIT),
    "he_normal": (2 / 400, 3, None),
}


@pytest.mark.parametrize("name", MOMENTS)
def test_moments_and_limits(name: str) -> None:
    draw = initializers.get(name)(SHAPE, np.random.default_rng(1))
    variance, kurtosis, limit = MOMENTS[name]
    assert draw.shape == SHAPE
    assert draw.dtype == "float64"
    # Five standard errors: of the mean root(var / n), of the variance var root((k - 1) / n).
    assert abs(draw.mean()) < 5 * np.sqrt(variance / COUNT)
    assert abs(draw.var() - variance) < 5 * variance * np.sqrt((kurtosis - 1) / COUNT)
    if limit is None:
        assert np.abs(draw).max() > 4 * np.sqrt(variance)
    else:
        # The chance that none of n draws is in the last 10 / n of the range is e^-10 a side.
        assert (1 - 20 / COUNT) * limit < draw.max() < limit
        assert (1 - 20 / COUNT) * limit < -draw.min() <= limit


def test_zeros() -> None:
    rng = np.random.default_rng(1)
    assert not initializers.zeros((3, 2), rng).any()
    assert rng.random() == np.random.default_rng(1).random()  # nothing was drawn
    assert set(initializers.INITIALIZERS) == set(MOMENTS) | {"zeros", "orthogonal"}


@pytest.mark.parametrize("shape", [(3, 7), (7, 3), (4, 4)])
def test_orthogonal(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    draws = [initializers.orthogonal(shape, rng) for _ in range(400)]
    for draw in draws:
        assert draw.shape == shape
        small = draw @ draw.T if shape[0] < shape[1] else draw.T @ draw
        np.testing.assert_allclose(small, np.eye(min(shape)), atol=1e-14)
    # Every direction is as likely as its opposite: mean 0, variance 1 / the longer side; five
    # standard errors.
    mean = np.mean(draws, axis=0)
    assert np.abs(mean).max() < 5 / np.sqrt(400 * max(shape))


def test_no_global_random_state() -> None:
    before = np.random.get_state(legacy=False)  # noqa: NPY002
    for name in DOCUMENTED:
        network = models.build(name, np.random.default_rng(1))
        network.draw_masks(3)
    for initializer in initializers.INITIALIZERS.values():
        initializer((3, 2), np.random.default_rng(1))
    after = np.random.get_state(legacy=False)  # noqa: NPY002
    assert str(before) == str(after)
    np.testing.assert_array_equal(before["state"]["key"], after["state"]["key"])


def test_initializer_names() -> None:
    own = initializers.zeros
    assert initializers.get(own) is own
    with pytest.raises(ValueError, match=r"Unknown initializer\. Expected one of: g") as caught:
        initializers.get("xavier")
    assert str(caught.value).endswith("Received: 'xavier'")
