"""D2's reproduction: its published step by hand, what the check says of it, and all of it once."""

import math

import numpy as np
import pytest
from PIL import Image

from numpy_impl import Sequential, losses, models
from numpy_impl.activations import softmax
from numpy_impl.layers import Dense, Dropout
from scripts.reproduce.documents.d2 import reproduction
from scripts.reproduce.documents.d2.direction import asymmetries, asymmetry, factor_bounds
from scripts.reproduce.documents.d2.published import ALL, Mistake, PublishedSteps
from scripts.reproduce.documents.d2.training import (
    CROSSENTROPY,
    NO_DIGIT,
    PUBLISHED,
    QUADRATIC,
    Job,
    common_part,
    read,
    run,
    run_all,
)
from scripts.reproduce.results import Context


def _tiny(kept: bool) -> Sequential:
    """One input, one hidden unit with tanh(z) = 1/2 for x = 1, two outputs with 1/4 and 3/4."""
    layers = [
        Dense(1, "tanh", use_bias=False), Dropout(0.5), Dense(2, "softmax", use_bias=False)
    ]  # fmt: skip
    network = Sequential(layers, 1, dtype="float64")
    network.set_weights([np.array([[math.atanh(0.5)]]), np.array([[0.0, math.log(3)]])])
    network.dropouts[0].draw_mask = lambda *_: np.array([[kept]])  # type: ignore[method-assign]
    return network


def test_the_published_step_by_hand():
    published = PublishedSteps(_tiny(kept=True))
    x, y = np.ones(1), np.array([1.0, 0.0])
    outputs = published.passes(x, y)[0]
    hidden, output = published.gradients(x, y)
    # h = 2 * 1/2 = 1, so the logits are 0 and ln 3.
    np.testing.assert_allclose(outputs, [1 / 4, 3 / 4])
    # softmax(1/4, 3/4): the greater is 1 / (1 + e^-1/2) = 0.6224593.
    delta = 3 / 4 * 0.6224593312 * (1 - 0.6224593312)
    np.testing.assert_allclose(output, [[-delta, delta]])
    # 1 - tanh(1)^2 = 0.4199743, and no factor 2.
    np.testing.assert_allclose(hidden, [[math.log(3) * delta * 0.4199743416]])


def test_a_dropped_unit_learns_nothing():
    published = PublishedSteps(_tiny(kept=False))
    assert published.passes(np.ones(1), np.array([1.0, 0.0]))[0].tolist() == [0.5, 0.5]
    for gradient in published.gradients(np.ones(1), np.array([1.0, 0.0])):
        assert not gradient.any()


def _gradients_apart(mistakes: frozenset[Mistake]) -> float:
    """How far the step is from the engine's gradient of the squared error, with one mask."""
    network = models.build("64-200-10", np.random.default_rng(5), dtype="float64")
    published = PublishedSteps(network.clone(), mistakes)
    masks = network.draw_masks(1)
    x, y = np.random.default_rng(6).normal(size=64), np.eye(10)[4]
    expected = network.loss_and_gradients(x[None], y[None], losses.get("quadratic"), masks)[1]
    found = published.gradients(x, y)
    return max(
        float(np.abs(a - b).max() / np.abs(b).max()) for a, b in zip(found, expected, strict=True)
    )


def test_without_its_mistakes_the_step_is_the_gradient_of_the_squared_error():
    assert _gradients_apart(frozenset()) < 1e-13


@pytest.mark.parametrize("mistake", Mistake)
def test_each_mistake_alone_makes_another_step(mistake: Mistake):
    assert _gradients_apart(frozenset({mistake})) > 0.01


def test_digits_are_read_off_rounded_outputs():
    outputs = np.zeros((4, 10))
    outputs[0, 3] = 0.51
    outputs[1, [3, 4]] = 0.5  # rounds to even: to 0
    outputs[2, [3, 4]] = 0.6  # two of them, as no softmax has
    outputs[3, 7] = 1.0
    assert read(outputs).tolist() == [3, NO_DIGIT, NO_DIGIT, 7]


def test_the_shared_part_by_hand():
    # Rows (1, 3) and (0, 2) have means 2 and 1; written twice each, norm sqrt(4 + 4 + 1 + 1).
    assert common_part(np.array([[1.0, 3.0], [0.0, 2.0]])) == pytest.approx(math.sqrt(10))


def test_only_the_cut_jacobian_moves_the_shared_part():
    def moved(mistakes: frozenset[Mistake]) -> float:
        network = models.build("64-200-10", np.random.default_rng(5), dtype="float64")
        published = PublishedSteps(network, mistakes)
        before = common_part(published.output_kernel)
        published.learn(np.linspace(-0.1, 0.3, 64), np.eye(10)[4], 0.1)
        return abs(common_part(published.output_kernel) - before)

    assert moved(ALL - {Mistake.DIAGONAL}) < 1e-13
    assert moved(ALL) > 1e-4


def test_asymmetry_of_a_linear_map_by_hand():
    kernel = np.array([[1.0, 2.0], [0.0, 1.0]])
    assert asymmetry(lambda z: kernel @ z, np.ones(2)) == pytest.approx(1)  # |2 - 0| / 2
    assert asymmetry(lambda z: (kernel + kernel.T) @ z, np.ones(2)) == pytest.approx(0, abs=1e-9)


def test_the_published_delta_is_the_gradient_of_nothing():
    found = asymmetries()
    assert found[PUBLISHED] > 0.05
    assert found[QUADRATIC] < 1e-8
    assert found[CROSSENTROPY] < 1e-8


def test_the_published_factor_never_leaves_its_bounds():
    least, greatest = factor_bounds()
    z = np.random.default_rng(0).normal(size=(1000, 10)) * np.logspace(-2, 2, 1000)[:, None]
    p = softmax(softmax(z))
    factors = p * (1 - p)
    assert factors.min() == pytest.approx(least)  # reached where z is far apart
    assert factors.max() == pytest.approx(greatest)
    assert factors.min() > least - 1e-12
    assert factors.max() < greatest + 1e-12


def test_processes_give_what_this_one_gives(tmp_path):
    context = Context(1, tmp_path)

    def jobs() -> list[Job]:
        return [
            Job(update, True, context.generators(3), passes=1, samples=20)
            for update in (PUBLISHED, QUADRATIC)
        ]

    counts: list[int] = []
    apart = run_all(jobs(), counts.append, 2)
    assert counts == [1, 2]
    assert [r.errors for r in apart] == [run(job).errors for job in jobs()]
    assert apart[0].errors != apart[1].errors


def test_the_whole_document_on_few_samples(tmp_path):
    results = reproduction.reproduce(Context(1, tmp_path, quick=True, status=lambda text: None))
    named = [row[1:] for row in results.tables["verdicts"].rows]
    output, hidden, scale = (
        "softmax-diagonal-of-activation", "derivative-at-dropped", "dropout-scale-missing"
    )  # fmt: skip
    assert named == [
        ["wrong", f"{output}, {hidden}, {scale}"],
        ["wrong", f"softmax-of-activation, {hidden}, {scale}"],
        ["wrong", f"{hidden}, {scale}"],
        ["wrong", scale],
        ["right", ""],
    ]
    assert len(results.tables["updates"].rows) == 1 + 3 * 2
    assert len(results.tables["mended"].rows) == 1 + len(Mistake) + 1
    assert [target.at_least for target in results.targets] == [95.33, 97.0]
    assert "WRONG" in results.values["report"]
    for name in ("confusion", "errors", "drift"):
        with Image.open(tmp_path / f"{name}.png") as picture:
            assert picture.width > 500
