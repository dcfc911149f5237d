"""D4's reproduction: by hand where that is possible, and once as a whole on few samples."""

import numpy as np
import pytest
from PIL import Image

from digit_data.datasets import DatasetError
from numpy_impl.descent import descend, gradient_descent
from numpy_impl.optimizers import SGD
from numpy_impl.perceptron import Perceptron
from scripts import recipes
from scripts.reproduce import ROOT, first_steps
from scripts.reproduce.documents.d4 import asked, descent, network, perceptron, reproduction
from scripts.reproduce.results import Context

X = np.linspace(-9, 9, 37)


def _relative(derivative):
    """How far a derivative is from the complex step, which knows the function alone."""
    stepped = descent.complex_step(X)
    return float(np.abs(derivative - stepped).max() / np.abs(stepped).max())


def test_the_derivative_is_the_functions():
    assert _relative(descent.derivative(X)) < 1e-14


def test_a_wrong_derivative_would_be_noticed():
    # The chain rule's cos x forgotten: f'(x) = x exp(-sin x) (2 - x).
    assert _relative(X * np.exp(-np.sin(X)) * (2 - X)) > 0.1
    assert _relative(descent.derivative(X) * (1 + 1e-9)) > 1e-10


def test_the_stationary_points_satisfy_the_equation():
    minima, maxima = descent.stationary_points(-9, 10)
    assert minima.round(3).tolist() == [-4.218, 0, 7.587]
    others = np.array([*maxima, *minima[minima != 0]])
    np.testing.assert_allclose(others * np.cos(others), 2, rtol=1e-12)
    assert (descent.curvature(minima) > 0).all()
    assert (descent.curvature(maxima) < 0).all()
    assert descent.curvature(np.array(0.0)) == 2  # exp(-sin x) is 1 there


def test_where_runs_ended_is_told_apart():
    minima, _ = descent.stationary_points(-9, 10)
    ends = np.array([minima[0] + 1e-6, 1e-9, 1.0, np.nan])
    expected = [0, 1, descent.NOWHERE, descent.OVERFLOW]
    assert descent.outcomes(ends, np.array(0.1), minima).tolist() == expected


def test_the_documents_run_ends_at_zero_and_the_long_step_is_caught():
    path = gradient_descent(descent.derivative, 3.0, 0.1, 100)
    assert 0 < path[-1] < 1e-6
    assert (np.diff(descent.function(path)) <= 0).all()
    caught = gradient_descent(descent.derivative, 3.0, 0.43, 2000)[1:]
    assert -5 < caught.min() < caught.max() < -2.4988  # the maximum that it jumped over
    assert np.ptp(caught[-100:]) > 1


def test_a_step_below_two_over_the_curvature_comes_to_rest_and_above_it_does_not():
    minimum = descent.stationary_points(-9, 10)[0][0]
    limit = 2 / descent.curvature(minimum)
    ends = descend(descent.derivative, minimum + 1e-4, limit * np.array([0.99, 1.01]), 5000)
    apart = np.abs(ends - minimum)
    assert apart[0] < 1e-12
    assert apart[1] > 1e-2


def test_a_point_a_loop_and_all_at_once_agree_also_on_the_line():
    weights, threshold = np.array([-0.5, 1.0]), -0.25
    points = np.array([[0.5, 0.0], [0.5, 0.125], [0.5, -0.125]])  # on, above, below 0.5 x - 0.25
    assert perceptron.one_point(points[1], weights, threshold) == 1
    assert perceptron.in_a_loop(points, weights, threshold) == [0, 1, 0]
    assert perceptron.vectorised(points, weights, threshold).tolist() == [0, 1, 0]
    assert Perceptron(weights, -threshold).predict(points).tolist() == [0, 1, 0]


def test_novikoffs_bound_by_hand():
    # Inputs (3, 4, 1) and (-3, 4, 1), R^2 = 26; the plane x = 0 is 3 from both: 26 / 9.
    unit = Perceptron(np.array([2.0, 0.0]))
    bound = perceptron.mistake_bound(unit, np.array([[3.0, 4.0], [-3.0, 4.0]]))
    assert bound == pytest.approx(26 / 9)


def test_two_perceptrons_are_right_on_all_points_and_disagree_on_the_triangle():
    points = perceptron.draw_points(perceptron.POINTS, np.random.default_rng(perceptron.SEED))
    stages, mistakes = perceptron.learn(points)
    assert len(stages) == len(mistakes) + 1
    assert 0 < sum(mistakes) <= perceptron.mistake_bound(perceptron.EDUCATED, points.x)
    apart = perceptron.triangle(perceptron.EDUCATED, stages[-1])
    answers = []
    for unit in (perceptron.EDUCATED, stages[-1]):
        assert unit.predict(points.x).tolist() == points.y.tolist()
        answers.append(int(unit.predict(apart)))
    assert sorted(answers) == [0, 1]
    assert perceptron.height(perceptron.EDUCATED, 1.0) == pytest.approx(0.5 - 0.2)


def test_sgd_has_kerass_learning_rate_and_rmsprop_is_the_recipe():
    assert network.recipe_with("sgd").options["learning_rate"] == SGD().learning_rate
    assert network.recipe_with("rmsprop") is recipes.get("784-500-300-10")


def test_the_number_of_a_training_that_is_not_run_here_is_the_one_that_was_measured():
    mean, _, deviation = reproduction.REGULARIZED.partition(" ± ")
    rows = (ROOT / "docs/train-and-compare.md").read_text(encoding="utf-8").splitlines()
    assert any({"mnist-regularized", mean, deviation} <= set(row.split()) for row in rows)


def test_a_picture_that_is_only_resized_keeps_its_sides(tmp_path):
    path = tmp_path / "half.png"
    Image.fromarray(np.repeat([[0, 255]], 56, axis=0).repeat(28, axis=1).astype(np.uint8)).save(
        path
    )
    shrunk = asked.resized(path)
    assert shrunk.shape == (28, 28)
    assert shrunk[:, :14].min() == 1  # dark becomes bright
    assert shrunk[:, 14:].max() == 0


def test_a_test_set_without_the_documents_picture_is_refused_before_training(tiny_mnist, tmp_path):
    with pytest.raises(DatasetError, match=r"index in 0\.\.19\. Received: 1004"):
        reproduction.reproduce(Context(1, tmp_path, tiny_mnist, line=pytest.fail))


def test_everything_runs_and_every_picture_is_drawn(tiny_mnist, tmp_path):
    said = []
    context = Context(1, tmp_path, tiny_mnist, quick=True, status=said.append, line=said.append)
    results = reproduction.reproduce(context)
    assert {path.name for path in tmp_path.glob("*.png")} == {
        "basins.png", "curves.png", "descent.png", "guesses.png", "learning.png",
        "new-points.png", "whatami.png",
    }  # fmt: skip
    assert {len(row) - len(t.columns) for t in results.tables.values() for row in t.rows} == {0}
    assert [target.author for target in results.targets] == [98, 98]
    rows = {tuple(row[:2]): row[2] for row in results.tables["accuracy"].rows}
    assert len(rows) == 4
    # One epoch from the same weights on the same batches: both engines are right on the same ones.
    assert rows["SGD", "Keras"] == rows["SGD", "NumPy"]
    assert len(results.values["lines_index"]) == 11
    assert any("RMSprop in Keras, seed 0" in line for line in said)


@pytest.mark.parametrize("optimizer", [network.RMSPROP, network.SGD])
def test_keras_takes_the_first_steps_that_are_kept(optimizer):
    name = f"{network.NAME}, {network.SHOWN[optimizer]}"
    kept = first_steps.read("d4")[name]
    with first_steps.context() as context:
        rng = np.random.default_rng(0)
        samples = recipes.get(network.NAME).load(context.data, rng, context.dtype)
        with network.set_up(context, samples, optimizer, "keras", 0) as training:
            found = training.first_steps(len(kept["values"]) - 1)
    assert first_steps.differences(name, found, kept) == []
