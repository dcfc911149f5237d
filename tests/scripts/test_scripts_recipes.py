"""The recipes against the documents."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from digit_data import datasets
from scripts import recipes


def _starts_and_lengths(batches: list[Any]) -> list[tuple[int, int]]:
    return sorted((int(batch[0]), len(batch)) for batch in batches)


def test_d0_windows_by_hand():
    # Five samples, windows of 2. Starts 0..3 fit: 01, 12, 23, 34. Start 4 would end at 6, so it
    # begins 2 earlier and runs to the end: 234. Start 5 likewise: 34.
    batches = recipes.windows(5, 2, np.random.default_rng(0))(0)
    expected = [[0, 1], [1, 2], [2, 3], [2, 3, 4], [3, 4], [3, 4]]
    assert sorted(batch.tolist() for batch in batches) == expected


def test_d0_visits_each_of_1439_starts_once_in_one_random_order():
    schedule = recipes.windows(1438, 15, np.random.default_rng(1))
    batches = schedule(0)
    found = _starts_and_lengths(batches)
    usual = [(start, 15) for start in range(1424)]
    # Start 1424 takes 1409..1437, 29 samples; start 1438 takes 1423..1437, 15 samples.
    late = [(start - 15, 1438 - (start - 15)) for start in range(1424, 1439)]
    assert len(batches) == 1439
    assert found == sorted(usual + late)
    assert {len(batch) for batch in batches} == set(range(15, 30))
    assert all(np.array_equal(batch, np.arange(batch[0], batch[-1] + 1)) for batch in batches)
    assert [b.tolist() for b in schedule(7)] == [b.tolist() for b in batches]
    assert [int(b[0]) for b in batches[:100]] != sorted(int(b[0]) for b in batches[:100])


def test_the_window_check_notices_a_clipped_window():
    # Planted error: windows cut off at the end, as a plain slice would give.
    clipped = [np.arange(start, min(start + 15, 1438)) for start in range(1438)]
    late = [(start - 15, 1438 - (start - 15)) for start in range(1424, 1439)]
    assert _starts_and_lengths(clipped) != sorted([(s, 15) for s in range(1424)] + late)


@pytest.mark.parametrize(
    ("name", "document", "loss", "optimizer", "rate", "batch", "epochs"),
    [
        ("64-40-10", "D0", "quadratic", "sgd", 1.0, 15, 20),
        ("784-30-10", "D1", "quadratic", "sgd", 3.0, 10, 30),
        ("784-100-10", "D1", "quadratic", "sgd", 3.0, 10, 30),
        ("64-200-10", "D2", "categorical_crossentropy", "sgd", 0.1, 1, 200),
        ("784-64-10", "D3", "categorical_crossentropy", "sgd", 0.1, 6000, 100),
        ("784-500-300-10", "D4", "categorical_crossentropy", "rmsprop", 0.001, 100, 10),
    ],
)
def test_values_are_the_documents(
    name: str, document: str, loss: str, optimizer: str, rate: float, batch: int, epochs: int
):
    recipe = recipes.RECIPES[name]
    assert (recipe.name, recipe.document, recipe.loss) == (name, document, loss)
    assert (recipe.optimizer, recipe.options) == (optimizer, {"learning_rate": rate})
    assert (recipe.batch_size, recipe.epochs) == (batch, epochs)
    assert recipe.stop_below == (0.01 if document == "D2" else None)


def test_d0_data_is_raw_and_in_file_order():
    samples = recipes.get("64-40-10").load(None, np.random.default_rng(0), "float64")
    images, labels = datasets.load_digits()
    np.testing.assert_array_equal(samples.x_train, images[:1438].reshape(1438, 64))
    np.testing.assert_array_equal(samples.x_test, images[1438:].reshape(359, 64))
    np.testing.assert_array_equal(samples.y_test, np.eye(10)[labels[1438:]])


def test_d2_data_is_standardized_by_the_variance_of_the_whole_set():
    samples = recipes.get("64-200-10").load(None, np.random.default_rng(0), "float64")
    assert (len(samples.x_train), len(samples.x_test)) == (1347, 450)
    pixels = datasets.load_digits()[0]
    whole = np.concatenate([samples.x_train, samples.x_test])
    # (X - mean) / variance has mean 0 and variance 1 / variance. Dividing by the deviation, the
    # error one would make by habit, gives variance 1.
    assert abs(whole.mean()) < 1e-14
    assert whole.var() == pytest.approx(1 / pixels.var(), rel=1e-12)
    lowest = samples.offset  # a black pixel
    assert whole.min() == lowest


def test_d2_split_follows_the_generator():
    load = recipes.get("64-200-10").load
    first, same, other = (
        load(None, np.random.default_rng(seed), "float64").x_test for seed in (0, 0, 1)
    )
    assert np.array_equal(first, same)
    assert not np.array_equal(first, other)


def test_d2_visits_samples_in_file_order():
    schedule = recipes.get("64-200-10").order(4, 1, np.random.default_rng(0))
    assert [batch.tolist() for batch in schedule(3)] == [[0], [1], [2], [3]]


def test_the_stop_rule_by_hand():
    x, one_hot = np.zeros((1, 64)), np.eye(10)
    # One training sample and three test samples.
    samples = recipes.RecipeSamples(x, one_hot[:1], x, one_hot[:1], np.zeros((3, 64)), one_hot[:3])
    recipe = recipes.get("64-200-10")
    # The training mean times 1 of 1 + 3 samples: 0.04 / 4 = 0.01 is low enough, 0.0404 / 4 is not.
    assert recipe.is_done({"squared_error": 0.04}, samples)
    assert not recipe.is_done({"squared_error": 0.0404}, samples)
    assert not recipes.get("64-40-10").is_done({"loss": 0.0}, samples)


def test_mnist_is_scaled_and_d1_holds_out_the_last_sixth(tiny_mnist: Path):
    raw = datasets.load_mnist(tiny_mnist)
    rng = np.random.default_rng(0)
    whole = recipes.get("784-64-10").load(tiny_mnist, rng, "float32")
    part = recipes.get("784-30-10").load(tiny_mnist, rng, "float32")
    assert whole.x_train.dtype == whole.y_train.dtype == np.float32
    assert np.array_equal(whole.x_train, raw.x_train.reshape(60, 784).astype("float32") / 255)
    assert whole.x_valid is whole.x_test
    assert np.array_equal(part.x_train, whole.x_train[:50])
    assert np.array_equal(part.x_valid, whole.x_train[50:])
    assert np.array_equal(part.y_valid, whole.y_train[50:])


def test_d1_needs_something_to_hold_out(tmp_path: Path):
    x, y = np.zeros((5, 28, 28), np.uint8), np.zeros(5, np.uint8)
    path = tmp_path / "five.npz"
    np.savez(path, allow_pickle=False, x_train=x, y_train=y, x_test=x, y_test=y)
    with pytest.raises(datasets.DatasetError, match="at least 6 training pictures"):
        recipes.get("784-30-10").load(path, np.random.default_rng(0), "float32")


def test_real_mnist_is_divided_as_d1_says(real_mnist: Path):
    samples = recipes.get("784-30-10").load(real_mnist, np.random.default_rng(0), "float32")
    sizes = len(samples.x_train), len(samples.x_valid), len(samples.x_test)
    assert sizes == (50_000, 10_000, 10_000)


@pytest.mark.parametrize(
    ("name", "document"), [("sigmoid:784-50-10", "D1"), ("sigmoid:64-20-20-10", "D0")]
)
def test_sigmoid_networks_take_the_recipe_of_their_inputs(name: str, document: str):
    recipe = recipes.get(name)
    assert (recipe.name, recipe.document) == (name, document)


@pytest.mark.parametrize("name", ["nope", "sigmoid:", "sigmoid:20-10", "sigmoid:64-11", ""])
def test_unknown_names_are_refused_with_the_known_ones(name: str):
    with pytest.raises(ValueError, match="784-500-300-10") as caught:
        recipes.get(name)
    assert repr(name) in str(caught.value)


def test_the_cosine_decay_by_hand():
    # 4 epochs from 0.8: 0.4 (1 + cos(0)), then cos(pi/4) = 0.7071, cos(pi/2) = 0, cos(3 pi/4).
    recipe = replace(
        recipes.get("mnist-robust"), epochs=4, decay="cosine", options={"learning_rate": 0.8}
    )
    rates = [recipe.learning_rate(epoch) for epoch in range(4)]
    assert rates == pytest.approx([0.8, 0.4 * 1.70710678, 0.4, 0.4 * 0.29289322])
    assert replace(recipe, decay="none").learning_rate(3) == 0.8


def test_robust_pictures_come_from_the_seed_and_differ_from_epoch_to_epoch(tiny_mnist: Path):
    recipe = recipes.get("mnist-robust")
    x = recipe.load(tiny_mnist, np.random.default_rng(1), "float32").x_train
    one, two = (recipe.augment(np.random.default_rng(7)) for _ in range(2))
    assert one is not None
    assert two is not None
    first, second = one(0, x), one(1, x)
    np.testing.assert_array_equal(first, two(0, x))
    assert (first != second).any()
    assert first.shape == x.shape
    assert recipes.get("784-500-300-10").augment(np.random.default_rng(7)) is None


def test_the_further_recipes_train_d4s_network():
    for name in ("mnist-robust", "mnist-regularized"):
        assert recipes.get(name).network == "784-500-300-10"
