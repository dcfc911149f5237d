"""Costs and their gradients on examples worked by hand."""

import math

import numpy as np
import pytest

from numpy_impl import losses
from tests.numpy_impl import textbook
from tests.numpy_impl.textbook import unit

# errors: (1, -2, 2) and (0, 3, -1); their squares sum to 9 and 10, their sizes to 5 and 4.
TRUE = np.array([[0.0, 2.0, 1.0], [5.0, -1.0, 0.5]])
PREDICTED = np.array([[1.0, 0.0, 3.0], [5.0, 2.0, -0.5]])
ERRORS = PREDICTED - TRUE


def _close(measured, expected, operations: int = 8) -> None:
    """Assert equality up to ``operations`` roundings, relative to the largest element."""
    measured, expected = np.asarray(measured), np.asarray(expected)
    allowed = operations * unit() * max(1.0, float(np.max(np.abs(expected))))
    assert np.max(np.abs(measured - expected)) <= allowed, (measured, expected)


def value_and_gradient(loss, y_pred, y_true):
    """Return both, the gradient also as written into an array that is given."""
    gradient = loss.gradient(y_pred, y_true)
    given = np.full_like(gradient, np.nan)
    assert loss.gradient(y_pred, y_true, out=given) is given
    np.testing.assert_array_equal(given, gradient)
    return loss.value(y_pred, y_true), gradient


def test_quadratic() -> None:
    value, gradient = value_and_gradient(losses.Quadratic(), PREDICTED, TRUE)
    assert value == 4.75  # (9/2 + 10/2) / 2 samples
    np.testing.assert_array_equal(gradient, ERRORS / 2)


def test_mean_squared_error() -> None:
    value, gradient = value_and_gradient(losses.get("mse"), PREDICTED, TRUE)
    _close(value, 19 / 6)  # (9/3 + 10/3) / 2
    _close(gradient, ERRORS / 3)  # 2 e / (3 outputs x 2 samples)


def test_mean_absolute_error() -> None:
    value, gradient = value_and_gradient(losses.get("mae"), PREDICTED, TRUE)
    assert value == 1.5  # (5/3 + 4/3) / 2
    _close(gradient, np.array([[1, -1, 1], [0, 1, -1]]) / 6)


def test_categorical_on_probabilities() -> None:
    # Row 1: q = (1/4, 3/4) of total 4, true class 1: -ln 3/4; dC/dp_i = (1 - y_i / q_i) / total,
    #        so (1, 1 - 4/3) / 4. Row 2: q = (1/2, 1/2), total 1, class 0: ln 2; (1 - 2, 1).
    predicted, true = np.array([[1.0, 3.0], [0.5, 0.5]]), np.array([[0.0, 1.0], [1.0, 0.0]])
    value, gradient = value_and_gradient(losses.CategoricalCrossentropy(), predicted, true)
    _close(value, (math.log(4 / 3) + math.log(2)) / 2)
    _close(gradient, np.array([[1 / 4, -1 / 12], [-1, 1]]) / 2)


def test_categorical_on_logits() -> None:
    # softmax(ln 1, ln 3) = (1/4, 3/4); class 0 costs ln 4, and p - y = (-3/4, 3/4).
    logits, true = np.log([[1.0, 3.0]]), np.array([[1.0, 0.0]])
    for options in ({"from_logits": True}, {"fused": True}):
        loss = losses.get("categorical_crossentropy", **options)
        value, gradient = value_and_gradient(loss, logits, true)
        _close(value, math.log(4))
        _close(gradient, [[-0.75, 0.75]])


def test_targets_may_be_probabilities() -> None:
    # softmax(0, 0) = (1/2, 1/2): any target that sums to 1 costs ln 2.
    loss = losses.get("categorical_crossentropy", from_logits=True)
    value, gradient = value_and_gradient(loss, np.zeros((1, 2)), np.array([[0.25, 0.75]]))
    _close(value, math.log(2))
    _close(gradient, [[0.25, -0.25]])


def test_binary_on_probabilities() -> None:
    # p = 1/4 where y = 1 and p = 3/4 where y = 0: both cost ln 4; slopes -1/p = -4, 1/(1-p) = 4.
    # Nothing is renormalised: the row sums to 1 by chance, the second to 1/2.
    predicted, true = np.array([[0.25, 0.75], [0.25, 0.25]]), np.array([[1.0, 0.0], [1.0, 1.0]])
    value, gradient = value_and_gradient(losses.BinaryCrossentropy(), predicted, true)
    _close(value, math.log(4))
    _close(gradient, np.array([[-4, 4], [-4, -4]]) / 4)


def test_binary_on_logits() -> None:
    # z = 0: ln 2 whatever y. z = ln 3: sigmoid = 3/4; y = 1 costs ln 4/3, slope -1/4.
    logits, true = np.array([[0.0], [math.log(3)]]), np.array([[0.0], [1.0]])
    loss = losses.get("binary_crossentropy", from_logits=True)
    value, gradient = value_and_gradient(loss, logits, true)
    _close(value, (math.log(2) + math.log(4 / 3)) / 2)
    _close(gradient, np.array([[0.5], [-0.25]]) / 2)


def test_logits_of_any_size() -> None:
    # -log softmax(-1e4, 1e4)_0 = 2e4; softplus(1e4) - 0 * 1e4 = 1e4.
    logits, true = np.array([[-1e4, 1e4]]), np.array([[1.0, 0.0]])
    for name, expected in (("categorical_crossentropy", 2e4), ("binary_crossentropy", 1e4)):
        value, gradient = value_and_gradient(losses.get(name, from_logits=True), logits, true)
        assert value == expected
        assert gradient.tolist() == (np.array([[-1.0, 1.0]]) / (2e4 / expected)).tolist()


def test_sparse_is_categorical_with_labels() -> None:
    rng = np.random.default_rng(1)
    z, labels = rng.standard_normal((20, 4)), rng.integers(0, 4, 20)
    for options, predicted in (({}, np.exp(z)), ({"from_logits": True}, z)):
        dense = losses.CategoricalCrossentropy(**options)
        sparse = losses.SparseCategoricalCrossentropy(**options)
        expected = value_and_gradient(dense, predicted, np.eye(4)[labels])
        measured = value_and_gradient(sparse, predicted, labels)
        assert measured[0] == expected[0]
        np.testing.assert_array_equal(measured[1], expected[1])
        assert sparse.sparse
        assert not dense.sparse


CLIPPED = [
    # The true class's probability below epsilon, and above 1 - epsilon; each row sums to 1.
    (np.array([[1e-9, 1 - 1e-9]]), -math.log(1e-7)),
    (np.array([[1 - 1e-9, 1e-9]]), -math.log(1 - 1e-7)),
]


@pytest.mark.parametrize(("predicted", "cost"), CLIPPED)
def test_where_clipped_the_cost_is_level(predicted: np.ndarray, cost: float) -> None:
    for name, outputs in (("categorical_crossentropy", 2), ("binary_crossentropy", 1)):
        true = np.array([[1.0, 0.0]])[:, :outputs]
        value, gradient = value_and_gradient(losses.get(name), predicted[:, :outputs], true)
        _close(value, cost, operations=20)
        assert not gradient.any()


def test_clipping_one_sample_leaves_the_others() -> None:
    # Row 1 is clipped; row 2 has q = (1/2, 1/2), class 0: gradient (1 - 2, 1) / 2 samples.
    predicted, true = np.array([[1e-9, 1 - 1e-9], [0.5, 0.5]]), np.array([[1.0, 0.0], [1.0, 0.0]])
    value, gradient = value_and_gradient(losses.CategoricalCrossentropy(), predicted, true)
    _close(value, (math.log(1e7) + math.log(2)) / 2, operations=20)
    _close(gradient, [[0, 0], [-0.5, 0.5]])


def test_float32_clips_at_float32() -> None:
    predicted = np.array([[1.0, 0.0]], "float32")
    value, gradient = value_and_gradient(
        losses.CategoricalCrossentropy(), predicted, np.array([[1.0, 0.0]], "float32")
    )
    # 1 - 1e-7 in float32 is 1 - 2^-23, and -ln of it 2^-23 (1 + 2^-24).
    assert value == pytest.approx(2.0**-23, rel=2 * unit("float32"))
    assert gradient.dtype == "float32"
    assert not gradient.any()


@pytest.mark.parametrize("name", sorted(textbook.LOSSES))
def test_gradient_is_that_of_the_textbook_cost(name: str) -> None:
    rng = np.random.default_rng(3)
    predicted, true = rng.uniform(0.1, 0.9, (6, 4)), np.eye(4)[rng.integers(0, 4, 6)]
    kind, _, logits = name.partition("@")
    loss = losses.get(kind, from_logits=True) if logits else losses.get(kind)
    value, gradient = value_and_gradient(loss, predicted, true)
    cost = textbook.LOSSES[name]
    _close(value, cost(true, predicted), operations=60)  # sums of 24 terms, twice
    _close(gradient, textbook.gradients(lambda at: cost(true, at[0]), [predicted])[0], 60)


def test_names() -> None:
    for name, kind in losses.LOSSES.items():
        assert type(losses.get(name)) is kind
    own = losses.Quadratic()
    assert losses.get(own) is own
    with pytest.raises(ValueError, match=r"a loss only\. Received: Quadratic and fused$"):
        losses.get(own, fused=True)
    with pytest.raises(ValueError, match=r"Unknown loss\. Expected one of: quadratic, ") as e:
        losses.get("quadratisch")
    assert str(e.value).endswith("Received: 'quadratisch'")
    for name in ("value", "gradient", "logits_gradient"):
        with pytest.raises(TypeError, match=f"Loss defines no {name}"):
            getattr(losses.Loss(), name)(TRUE, TRUE)


@pytest.mark.parametrize("name", losses.LOSSES)
def test_a_sequence_counts_as_so_many_samples(name) -> None:
    """The mean is over samples and steps: (2, 3, 4) outputs cost what (6, 4) do."""
    rng = np.random.default_rng(0)
    predicted = rng.dirichlet(np.ones(4), (2, 3))
    loss = losses.get(name)
    true = rng.integers(0, 4, (2, 3)) if loss.sparse else rng.dirichlet(np.ones(4), (2, 3))
    value, gradient = value_and_gradient(loss, predicted, true)
    rows = predicted.reshape(6, 4), true.reshape(6, *true.shape[2:])
    assert value == loss.value(*rows)
    np.testing.assert_array_equal(gradient, loss.gradient(*rows).reshape(2, 3, 4))


@pytest.mark.parametrize("name", losses.LOSSES)
def test_each_step_of_a_sequence_has_a_value_of_its_own(name) -> None:
    rng = np.random.default_rng(0)
    predicted = rng.dirichlet(np.ones(4), (2, 3))
    loss = losses.get(name)
    true = rng.integers(0, 4, (2, 3)) if loss.sparse else rng.dirichlet(np.ones(4), (2, 3))
    values = loss.values(predicted, true)
    assert values.shape == (2, 3)
    for i, j in np.ndindex(2, 3):
        alone = loss.value(predicted[i, j : j + 1], true[i, j : j + 1])
        assert values[i, j] == pytest.approx(alone, rel=8 * unit())


def test_losses_of_several_outputs_add_up() -> None:
    # 1/2 (1 + 0) and 1/2 4, averaged over two samples each: 0.25 and 1; weighted 2 x 0.25 + 3 x 1.
    ones, zeros = np.array([[1.0], [0]]), np.zeros((2, 1))
    twos = np.array([[2.0], [0]])
    own = [losses.Quadratic(), losses.Quadratic()]
    assert losses.WeightedSum(own).value([ones, twos], [zeros, zeros]) == 1.25
    weighted = losses.WeightedSum(own, [2, 3])
    assert weighted.value([ones, twos], [zeros, zeros]) == 3.5
    # The first output's second sample alone counts, and of the second output the first.
    counting = [np.array([0.0, 1]), np.array([1.0, 0])]
    assert weighted.value([ones, twos], [zeros, zeros], counting) == 3
