"""D3 reproduced: its split, batches, softmax and swapped matrix, and early stopping."""

import numpy as np
import pytest

from numpy_impl import losses, models, training
from numpy_impl.optimizers import SGD as Descent
from scripts.reproduce.documents.d3 import published, reproduction, tables
from scripts.reproduce.documents.d3 import training as trainings
from scripts.reproduce.documents.d3.published import PublishedNetwork
from scripts.reproduce.documents.d3.stopping import EarlyStopping
from scripts.reproduce.documents.d3.tables import GD, SGD, WHOLE
from scripts.reproduce.documents.d3.training import Trained
from scripts.reproduce.results import Context
from scripts.samples import RecipeSamples


def _digits(count: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(7)
    return rng.random((count, 784)), np.eye(10)[rng.integers(0, 10, count)]


def _trained(predicted: list[int], true: list[int]) -> Trained:
    network = models.build("784-64-10")
    history = training.History({"loss": [1.0]})
    correct = sum(p == t for p, t in zip(predicted, true, strict=True))
    return Trained(network, history, 5, np.array(predicted), correct)


def test_a_quick_run_makes_every_table_and_picture(tiny_mnist, tmp_path):
    said: list[str] = []
    made = reproduction.reproduce(Context(2, tmp_path, tiny_mnist, True, said.append, said.append))
    assert set(made.tables) == {"accuracy", "more", "classes", "choice", "overflow", "splits"}
    pictures = {path.name for path in tmp_path.glob("*.png")}
    assert pictures == {"confusion.png", "descent.png", "early-stopping.png", "overfitting.png"}
    assert all(len(row) == len(t.columns) for t in made.tables.values() for row in t.rows)
    # 60 and 20 pictures: six sevenths of 80 are 68.
    assert made.tables["splits"].rows == [
        ["published split", "12", "68"], ["intended split", "60", "20"],
    ]  # fmt: skip
    assert [row[4] for row in made.tables["accuracy"].rows] == list("22222" + "111" + "2")
    assert len(made.targets[0].measured) == 2
    assert "D3's gradients: RIGHT" in made.values["parity_gradients"]
    assert "D3's epoch: WRONG. last sample of the batch left out" in made.values["parity_epoch"]
    assert any(WHOLE in line for line in said)


def test_the_published_split_trains_on_the_smaller_part():
    x, y = _digits(70)
    data = trainings.published(
        RecipeSamples(x[:60], y[:60], x[60:], y[60:], x[60:], y[60:]), seed=0
    )
    assert (len(data.x_train), len(data.x_test)) == (10, 60)
    pictures = np.concatenate([data.x_train, data.x_test])
    assert {row.tobytes() for row in pictures} == {row.tobytes() for row in x}


def test_the_published_batches_lose_the_last_sample():
    assert published.clipped(20, 3) == [slice(0, 7), slice(7, 14), slice(14, 19)]
    clipped = published.clipped_batches(60, np.random.default_rng(0))
    whole = trainings.whole_batches(60, np.random.default_rng(0))
    seen = [np.concatenate(schedule(0)) for schedule in (clipped, whole)]
    assert [len(batch) for batch in clipped(1)] == [6] * 9 + [5]
    # The same order for the same seed, less its last sample.
    np.testing.assert_array_equal(seen[0], seen[1][:-1])
    assert sorted(seen[1]) == list(range(60))


def test_the_published_program_is_the_engine_with_fewer_samples():
    x, y = _digits(60)
    network = models.build("784-64-10", np.random.default_rng(1), dtype="float64")
    theirs = PublishedNetwork(np.random.default_rng(2))
    theirs.weights = [w.T.reshape(shape) for w, shape in zip(
        network.get_weights(), [(64, 784), (64, 1), (10, 64), (10, 1)], strict=True
    )]  # fmt: skip
    theirs.epoch(x.T, y.T, 0.5, np.random.default_rng(3).permutation(60))
    loss = losses.get("categorical_crossentropy", fused=True)
    batches = published.clipped_batches(60, np.random.default_rng(3))(0)
    training.train_epoch(network, loss, Descent(0.5), x, y, batches)
    for ours, other in zip(network.weights, theirs.weights, strict=True):
        np.testing.assert_allclose(other.T.reshape(ours.shape), ours, rtol=1e-9, atol=1e-12)


def test_a_wrong_gradient_of_the_published_program_would_be_seen(monkeypatch):
    right = PublishedNetwork.gradients

    def forgetful(self, x, y):
        """Without the sigmoid's derivative."""
        _, _, w2, b2 = right(self, x, y)
        delta1 = self.weights[2].T @ ((self.forward(x) - y) / x.shape[1])
        return [delta1 @ x.T, delta1.sum(axis=1, keepdims=True), w2, b2]

    monkeypatch.setattr(PublishedNetwork, "gradients", forgetful)
    report = published.check_gradients(keras=False)
    assert not report.passed
    assert "layer 1" in report.findings[0].where


def test_the_epoch_is_right_where_no_end_is_clipped(monkeypatch):
    monkeypatch.setattr(published, "clipped", lambda samples, batches: [slice(0, samples)])
    assert published.check_epoch(keras=False).passed


@pytest.mark.parametrize(("dtype", "largest"), [("float32", 88), ("float64", 709)])
def test_the_published_softmax_overflows_beyond_the_largest_exponent(dtype, largest):
    # ln of the largest number: 88.72 and 709.78.
    z = np.array([[largest, largest + 1], [0, 0]], dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        outputs = published.softmax(z)
    np.testing.assert_array_equal(np.isnan(outputs), [[False, True], [False, False]])


def test_pictures_with_a_nan_are_counted_and_ours_have_none():
    network = models.build("784-64-10")  # all weights 0: hidden units give 1/2
    network.weights[2][:, 3] = 0.25  # so z_3 = 64 * 0.25 / 2 = 8
    rows = published.overflow(network, np.zeros((5, 784), np.float32)).rows
    assert [row[:2] for row in rows] == [
        ["1", "8.0"], ["3", "24.0"], ["10", "80.0"], ["30", "240.0"], ["100", "800.0"],
    ]  # fmt: skip
    assert [row[2:] for row in rows] == [
        ["0", "0", "0"], ["0", "0", "0"], ["0", "0", "0"], ["0", "5", "0"], ["5", "5", "0"],
    ]  # fmt: skip


def test_one_overflow_ruins_the_outputs_for_all_pictures():
    x, y = np.zeros((784, 4)), np.eye(10)[:, :4]
    x[0, 0] = 1
    net = PublishedNetwork(np.random.default_rng(0))
    net.weights = [np.zeros_like(w) for w in net.weights]
    net.weights[0][0, 0], net.weights[2][0, 0] = 100, 1000
    with np.errstate(over="ignore", invalid="ignore"):
        # The first picture's hidden unit 0 gives 1, the others' 1/2: logits of 1000 and of 500.
        assert np.isnan(net.forward(x)).any(axis=0).tolist() == [True, False, False, False]
        net.epoch(x, y, 0.1, np.array([0, 1, 2, 3]), batches=1)
        assert np.isnan(net.forward(x)).all()


def test_early_stopping_by_hand():
    network = models.build("784-64-10")
    stopping = EarlyStopping(network, patience=3)
    stops = []
    for epoch, loss in enumerate([3.0, 2.0, 2.5, 1.9, 2.0, 1.9, 2.1]):
        network.parameters[:] = epoch
        stops.append(stopping(epoch, {"val_loss": loss}))
    # Lowest in epoch 3 (equal is not lower); 4, 5 and 6 bring nothing better.
    assert stops == [False] * 6 + [True]
    assert (stopping.best_epoch, stopping.best_loss) == (3, 1.9)
    stopping.restore()
    assert set(network.parameters) == {3.0}


def test_early_stopping_ends_a_training_that_diverges():
    stopping = EarlyStopping(models.build("784-64-10"), patience=2)
    assert [stopping(epoch, {"val_loss": float("nan")}) for epoch in range(2)] == [False, True]


def test_how_many_more_digits_by_hand():
    true = [0, 1, 2, 3]
    ways = {
        GD: [_trained([0, 0, 0, 0], true), _trained([0, 1, 0, 0], true)],
        SGD: [_trained([0, 1, 2, 0], true), _trained([0, 1, 2, 3], true)],
    }
    rows = tables.more({"published split": ways}).rows
    # 3 - 1 and 4 - 2 more; 1 and 2 right, 3 and 4 right.
    assert rows == [["published split", "4", "2 ± 1", "4 ± 1", "2 ± 0"]]


def test_the_classification_report_by_hand():
    true = np.array([0, 0, 1, 1])
    ways = {GD: [_trained([0, 0, 0, 1], [0, 0, 1, 1])], SGD: [_trained([0, 0, 1, 1], [0, 0, 1, 1])]}
    zero, one, *_ = tables.classes(true, ways).rows
    # Of three zeros said two are; both zeros are found. Of one 1 said one is; of two one is found.
    assert zero == ["0", "0.667", "1.000", "0.800", "1.000", "1.000", "1.000", "2"]
    assert one == ["1", "1.000", "0.500", "0.667", "1.000", "1.000", "1.000", "2"]


def test_the_swapped_matrix_is_the_transpose():
    true, predicted = np.array([4, 4, 4, 9, 9]), np.array([9, 9, 4, 9, 4])
    matrix = tables.confusion(true, predicted)
    assert (matrix[4, 9], matrix[9, 4]) == (2, 1)
    np.testing.assert_array_equal(tables.confusion(predicted, true), matrix.T)
    assert tables.swapped(matrix) == {
        "swapped_true": 4, "swapped_predicted": 9, "swapped_count": 2, "swapped_instead": 1,
    }  # fmt: skip
