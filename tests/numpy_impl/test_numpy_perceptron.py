"""The perceptron on hand-worked arithmetic."""

import numpy as np
import pytest

from numpy_impl.perceptron import Perceptron

CORNERS = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])


def test_the_threshold_itself_is_not_passed():
    # 1 x 1 + (-1) = 0 is not above 0.
    assert Perceptron(np.array([1.0]), -1.0).predict(np.array([[1.0], [1.5]])).tolist() == [0, 1]


def test_one_sample_and_many_are_the_same():
    nand = Perceptron(np.array([-2.0, -2.0]), 3.0)
    assert nand.predict(CORNERS).tolist() == [1, 1, 1, 0]
    assert [int(nand.predict(corner)) for corner in CORNERS] == [1, 1, 1, 0]


def test_one_epoch_of_learning_worked_by_hand():
    # AND from w = (0, 0), b = 0, rate 1. (0,0), (0,1), (1,0) give 0 and are right; (1,1) gives 0
    # and should give 1: w = (1, 1), b = 1.
    unit = Perceptron(np.zeros(2))
    assert unit.fit(CORNERS, np.array([0, 0, 0, 1]), epochs=1) == [1]
    assert (unit.weights.tolist(), unit.bias) == ([1, 1], 1)


def test_it_learns_what_a_line_divides_and_stops_there():
    unit = Perceptron(np.zeros(2))
    mistakes = unit.fit(CORNERS, np.array([0, 0, 0, 1]))
    assert mistakes[-1] == 0
    assert len(mistakes) < 100
    assert unit.predict(CORNERS).tolist() == [0, 0, 0, 1]


def test_it_never_rests_on_exclusive_or():
    mistakes = Perceptron(np.zeros(2)).fit(CORNERS, np.array([0, 1, 1, 0]), epochs=50)
    assert len(mistakes) == 50
    assert min(mistakes) > 0


def test_shapes_and_labels_that_do_not_fit_are_refused():
    unit = Perceptron(np.zeros(2))
    with pytest.raises(ValueError, match=r"Expected x of shape \(..., 2\)"):
        unit.predict(np.zeros(3))
    with pytest.raises(ValueError, match="0 or 1"):
        unit.fit(CORNERS, np.array([0, 1, 2, 1]))
    with pytest.raises(ValueError, match=r"Expected weights \(inputs,\)"):
        Perceptron(np.zeros((2, 2)))


def test_what_it_could_only_learn_nonsense_from_is_refused():
    unit = Perceptron(np.zeros(2))
    with pytest.raises(ValueError, match=r"finite samples\. Received: nan"):
        unit.fit(np.array([[0.0, np.nan]]), np.array([1]))
    with pytest.raises(ValueError, match=r"above 0\. Received: -1"):
        unit.fit(CORNERS, np.array([0, 0, 0, 1]), learning_rate=-1)
    assert unit.weights.tolist() == [0, 0]
