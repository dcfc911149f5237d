"""Schedules, one epoch, many epochs, evaluation; tiny problems are learned."""

import tracemalloc
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from numpy_impl import Sequential, compiling, fused, losses, models, optimizers, training
from numpy_impl.layers import Dense, Dropout
from tests.numpy_impl.textbook import unit


@given(samples=st.integers(0, 50), batch_size=st.integers(1, 60))
def test_split_loses_nothing(samples: int, batch_size: int) -> None:
    batches = training.split(np.arange(samples), batch_size)
    lengths = [len(batch) for batch in batches]
    assert [int(i) for batch in batches for i in batch] == list(range(samples))
    assert all(length == batch_size for length in lengths[:-1])
    # Document D3's mistake was to lose the end: the rest is there, and not empty.
    assert not lengths or lengths[-1] == (samples - 1) % batch_size + 1


@pytest.mark.parametrize("batch_size", [0, -3])
def test_batch_size_is_checked(batch_size: int) -> None:
    with pytest.raises(ValueError, match=rf"Expected batch_size >= 1\. Received: {batch_size}"):
        training.in_order(10, batch_size)(0)


def test_schedules() -> None:
    in_order = training.in_order(7, 3)
    assert [b.tolist() for b in in_order(0)] == [[0, 1, 2], [3, 4, 5], [6]]
    assert [b.tolist() for b in in_order(5)] == [[0, 1, 2], [3, 4, 5], [6]]
    shuffled = training.shuffled(100, 8, np.random.default_rng(1))
    epochs = [np.concatenate(shuffled(epoch)) for epoch in range(3)]
    assert [len(b) for b in shuffled(3)] == [8] * 12 + [4]
    for epoch in epochs:
        assert sorted(epoch.tolist()) == list(range(100))
    assert (epochs[0] != epochs[1]).any()
    assert (epochs[1] != epochs[2]).any()
    again = training.shuffled(100, 8, np.random.default_rng(1))
    np.testing.assert_array_equal(np.concatenate(again(0)), epochs[0])


def test_correct() -> None:
    outputs = np.array([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]])
    assert training.correct(outputs, np.array([1, 0, 0])) == 2
    assert training.correct(outputs, np.array([[0, 1], [0, 1], [0, 1]])) == 2


def test_accuracy_of_sequences_is_that_of_their_steps() -> None:
    outputs = np.array([[[0.1, 0.9], [0.8, 0.2]], [[0.3, 0.7], [0.4, 0.6]]])
    # Right are both steps of the first sample and the second of the other: 1 + 1/2.
    for y in (np.array([[1, 0], [0, 1]]), np.eye(2)[[[1, 0], [0, 1]]]):
        assert training.accuracy(outputs, y) == 1.5


def _blobs(samples: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Return three clouds of standard deviation 1/2, four units apart, with one-hot targets."""
    rng = np.random.default_rng(1)
    labels = np.arange(samples) % 3
    angle = 2 * np.pi * labels / 3
    centres = 4 / np.sqrt(3) * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return centres + 0.5 * rng.standard_normal((samples, 2)), np.eye(3)[labels]


def _softmax(seed: int = 1, *, dropout: bool = False) -> Sequential:
    layers = [Dense(8, "tanh"), *([Dropout(0.5)] if dropout else []), Dense(3, "softmax")]
    return Sequential(layers, 2, np.random.default_rng(seed), "float64")


def test_an_epoch_without_steps_measures_what_evaluate_does() -> None:
    network, (x, y) = _softmax(), _blobs()
    loss = losses.CategoricalCrossentropy()
    measured = training.evaluate(network, loss, x, y)
    # 60 = 8 x 7 + 4: a plain mean of the eight batches would weigh the last one twice.
    logs = training.train_epoch(
        network, loss, optimizers.SGD(0.0), x, y, training.split(np.arange(60), 7)
    )
    outputs = network.forward(x)
    exact = -np.mean(np.log(outputs[y == 1]))
    hits = np.mean(outputs.argmax(axis=1) == y.argmax(axis=1))
    for result in (measured, logs, training.evaluate(network, loss, x, y, batch_size=7)):
        # Sums of 60 terms of at most 10 and their division.
        assert abs(result["loss"] - exact) <= 2 * 70 * 10 * unit()
        assert result["accuracy"] == hits


METRICS = ["accuracy", "squared_error"]


def test_each_batch_is_measured_before_its_own_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "MEASURED_TOGETHER", 1)
    network, (x, y) = _softmax(), _blobs(10)
    twin, loss = network.clone(), losses.Quadratic()
    batches = [np.array([3, 1, 4]), np.array([0, 9]), np.array([2, 6, 5, 7, 8])]
    seen: list[dict[str, float]] = []

    def on_batch(done: int, logs: dict[str, float]) -> None:
        seen.append(logs)
        assert done == len(seen)

    logs = training.train_epoch(
        network, loss, optimizers.SGD(0.5), x, y, batches, METRICS, on_batch
    )
    total = hits = samples = 0
    for batch, running in zip(batches, seen, strict=True):
        outputs = twin.forward(x[batch])
        total += np.sum((outputs - y[batch]) ** 2)
        hits += np.count_nonzero(outputs.argmax(axis=1) == y[batch].argmax(axis=1))
        samples += len(batch)
        twin.loss_and_gradients(x[batch], y[batch], loss)
        twin.parameters -= 0.5 * twin.gradients
        assert running == pytest.approx(
            {
                "loss": total / 2 / samples,
                "accuracy": hits / samples,
                "squared_error": total / samples,
            },
            rel=0,
            abs=100 * unit(),  # sums of at most 30 terms, each below 1
        )
    assert logs == seen[-1]
    np.testing.assert_array_equal(network.parameters, twin.parameters)


@pytest.mark.parametrize("at_logits", [False, True])
def test_means_do_not_depend_on_how_many_samples_are_measured_together(
    at_logits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = _blobs(60)
    measured = []
    for together in (1, 10, 1000):
        monkeypatch.setattr(training, "MEASURED_TOGETHER", together)
        calls: list[int] = []
        logs = training.train_epoch(
            _softmax(), losses.CategoricalCrossentropy(fused=at_logits), optimizers.SGD(0.5), x, y,
            training.split(np.arange(60), 7), METRICS, lambda done, logs, c=calls: c.append(done),
        )  # fmt: skip
        measured.append(logs)
        assert calls == {1: list(range(1, 10)), 10: [2, 4, 6, 8, 9], 1000: [9]}[together]
    for logs in measured[1:]:
        assert logs == pytest.approx(measured[0], rel=0, abs=200 * unit())  # sums of 60 terms


# Those that are no rules, as their formulas have powers or look at whole matrices, are left out.
@pytest.mark.skipif(find_spec("numba") is None, reason="Numba is not installed")
@pytest.mark.parametrize("name", sorted({*optimizers.OPTIMIZERS} - {"adafactor", "ftrl"}))
def test_a_step_allocates_no_arrays(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    x, y = (
        rng.random((500, 784)).astype("float32"),
        np.eye(10, dtype="float32")[np.arange(500) % 10],
    )
    network, optimizer = models.build("784-500-300-10", rng), optimizers.get(name)
    optimizer.build(network.parameters, network.slices)
    loss, batches = losses.CategoricalCrossentropy(fused=True), training.split(np.arange(500), 100)
    monkeypatch.setattr(fused, "PATIENCE", -1.0)
    training.train_epoch(network, loss, optimizer, x, y, batches[:1])
    compiling.wait()
    right, allocated, before = optimizer.apply, list[int](), 0

    def apply(gradients: np.ndarray, parameters: np.ndarray) -> None:
        nonlocal before
        right(gradients, parameters)
        # Since the end of the step before, at the highest.
        now, peak = tracemalloc.get_traced_memory()
        allocated.append(peak - before)
        before = now
        tracemalloc.reset_peak()

    monkeypatch.setattr(optimizer, "apply", apply)
    tracemalloc.start()
    try:
        training.train_epoch(network, loss, optimizer, x, y, batches)
    finally:
        tracemalloc.stop()
    # An epoch makes the arrays of its batches. Later there are views, and the numbers of the pixels
    # that are used, of 6 kB: where the least of the hidden layers' arrays would be 120 kB.
    assert allocated[0] > 300_000
    assert max(allocated[1:]) < 20_000, allocated


def test_training_needs_little_memory_beyond_what_it_trains_on() -> None:
    tracemalloc.start()
    try:
        x = np.zeros((10_000, 784), "float32")
        x[:, 100:600] = 0.5
        y = np.eye(10, dtype="float32")[np.arange(10_000) % 10]
        network, optimizer = models.build("784-500-300-10"), optimizers.Adam()
        training.fit(
            network, losses.CategoricalCrossentropy(fused=True), optimizer, x, y,
            epochs=1, schedule=training.in_order(10_000, 100),
        )  # fmt: skip
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    state = sum(slot.nbytes for slot in optimizer.state.values())
    assert peak <= 2.2 * (x.nbytes + y.nbytes + network.parameters.nbytes + state)


def test_an_index_that_no_sample_has_is_refused_before_anything_is_trained() -> None:
    network, (x, y) = _softmax(), _blobs()
    before = network.parameters.copy()
    batches = [np.arange(10), np.array([3, 60])]
    with pytest.raises(IndexError, match=r"indices in 0\.\.59\. Received: indices from 0 to 60"):
        training.train_epoch(network, losses.Quadratic(), optimizers.SGD(), x, y, batches)
    np.testing.assert_array_equal(network.parameters, before)


def test_no_batches_and_no_samples() -> None:
    network, (x, y) = _softmax(), _blobs()
    loss, optimizer = losses.Quadratic(), optimizers.SGD()
    nothing = {"loss": 0.0, "accuracy": 0.0}
    assert training.train_epoch(network, loss, optimizer, x, y, []) == nothing
    assert training.evaluate(network, loss, x[:0], y[:0]) == nothing


# Those that need more than 0.02: Adadelta starts with steps of root(epsilon).
RATES = {"sgd": 0.5, "adagrad": 0.5, "adadelta": 50.0, "adafactor": 0.3, "ftrl": 0.5}
LOSSES = ["quadratic", "mse", "categorical_crossentropy", "sparse_categorical_crossentropy"]


@pytest.mark.parametrize("optimizer", list(optimizers.OPTIMIZERS))
@pytest.mark.parametrize("name", LOSSES)
def test_blobs_are_learned(name: str, optimizer: str) -> None:
    x, y = _blobs()
    loss = losses.get(name)
    history = training.fit(
        _softmax(),
        loss,
        optimizers.get(optimizer, learning_rate=RATES.get(optimizer, 0.02)),
        x,
        y.argmax(axis=1) if loss.sparse else y,
        epochs=30,
        schedule=training.shuffled(60, 7, np.random.default_rng(1)),
    )
    assert history.epochs["accuracy"][-1] == 1.0
    assert history.epochs["loss"][-1] < 0.3 * history.epochs["loss"][0]


def test_xor_needs_the_hidden_layer() -> None:
    x = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]])
    y = np.eye(2)[[0, 1, 1, 0]]
    accuracy = []
    for hidden in ([Dense(8, "tanh")], []):
        network = Sequential([*hidden, Dense(2, "softmax")], 2, np.random.default_rng(1), "float64")
        loss, optimizer = losses.CategoricalCrossentropy(fused=True), optimizers.Adam(0.05)
        schedule = training.in_order(4, 4)
        training.fit(network, loss, optimizer, x, y, epochs=200, schedule=schedule)
        accuracy.append(training.evaluate(network, loss, x, y)["accuracy"])
    assert accuracy[0] == 1.0
    assert accuracy[1] < 1.0  # no line separates XOR


def _run(seed: int, *, dropout: bool = True) -> tuple[np.ndarray, training.History]:
    network, (x, y) = _softmax(seed, dropout=dropout), _blobs()
    history = training.fit(
        network,
        losses.Quadratic(),
        optimizers.SGD(0.1, momentum=0.9),
        x,
        y,
        epochs=3,
        schedule=training.shuffled(60, 7, np.random.default_rng(seed)),
        validation_data=(x[:9], y[:9]),
    )
    return network.parameters, history


def test_same_seed_same_result() -> None:
    (one, first), (two, second), (other, _) = _run(1), _run(1), _run(2)
    np.testing.assert_array_equal(one, two)
    assert first == second
    assert (one != other).any()
    assert (one != _run(1, dropout=False)[0]).any()


@pytest.mark.parametrize("step", [1, 4, 8])
def test_an_epoch_goes_on_from_a_step(step: int) -> None:
    x, y = _blobs()
    loss, schedule = losses.Quadratic(), training.in_order(60, 7)

    def fit(network: Sequential, optimizer: optimizers.Optimizer, **options: Any) -> dict[str, Any]:
        options = {"epochs": 1, "schedule": schedule} | options
        return training.fit(network, loss, optimizer, x, y, **options).epochs

    whole, parts, optimizer = _softmax(), _softmax(), optimizers.Adam()
    expected = fit(whole, optimizers.Adam())
    means = training.Means()
    fit(parts, optimizer, schedule=lambda epoch: schedule(epoch)[:step], means=means)
    found = fit(parts, optimizer, initial_step=step, means=means)
    np.testing.assert_array_equal(parts.parameters, whole.parameters)
    # The means are of other sums: which steps are measured together is otherwise.
    assert found["loss"] == pytest.approx(expected["loss"], rel=1e-5)
    assert found["accuracy"] == pytest.approx(expected["accuracy"])
    # Begun at a step, but with nothing of the epoch before it, they are others.
    forgotten = fit(parts, optimizer, initial_step=step)
    assert forgotten["loss"] != pytest.approx(expected["loss"], rel=1e-5)


def test_history() -> None:
    _, history = _run(1)
    assert list(history.epochs) == ["loss", "accuracy", "val_loss", "val_accuracy"]
    assert all(len(values) == 3 for values in history.epochs.values())


def test_validation_is_measured_after_the_epoch_without_dropout() -> None:
    network, (x, y) = _softmax(dropout=True), _blobs()
    loss = losses.Quadratic()
    history = training.fit(
        network,
        loss,
        optimizers.SGD(0.1),
        x,
        y,
        epochs=1,
        schedule=training.in_order(60, 10),
        validation_data=(x, y),
    )
    after = training.evaluate(network, loss, x, y)
    assert history.epochs["val_loss"] == [after["loss"]]
    assert history.epochs["val_accuracy"] == [after["accuracy"]]


def test_on_epoch_stops() -> None:
    x, y = _blobs()
    seen: list[tuple[int, list[str]]] = []

    def on_epoch(epoch: int, logs: dict[str, float]) -> bool:
        seen.append((epoch, list(logs)))
        return epoch == 2

    history = training.fit(
        _softmax(),
        losses.Quadratic(),
        optimizers.SGD(),
        x,
        y,
        epochs=10,
        schedule=training.in_order(60, 20),
        on_epoch=on_epoch,
    )
    assert seen == [(epoch, ["loss", "accuracy"]) for epoch in range(3)]
    assert len(history.epochs["loss"]) == 3


def test_training_data_are_checked() -> None:
    x, y = _blobs()
    nan, label = x.copy(), y.argmax(axis=1)
    nan[5, 1], label[7] = np.nan, 3
    dense, sparse = losses.Quadratic(), losses.SparseCategoricalCrossentropy()
    for loss, inputs, targets, message in (
        (dense, nan, y, r"Expected finite inputs\. Received: nan at index \(5, 1\)"),
        (dense, x[:, :1], y, r"Expected inputs of shape \(N, 2\)\. Received: shape \(60, 1\)"),
        (dense, x[:9], y, r"Expected targets of shape \(9, 3\)\. Received: shape \(60, 3\)"),
        (dense, x, label, r"use one-hot targets or a sparse loss"),
        (sparse, x, label, r"Expected labels in 0\.\.2\. Received: 3 at index 7"),
        (sparse, x, y, r"Expected 60 integer labels"),
    ):
        network = _softmax()
        before = network.parameters.copy()
        with pytest.raises(ValueError, match=message):
            training.evaluate(network, loss, inputs, targets)
        with pytest.raises(ValueError, match=message):
            training.fit(
                network,
                loss,
                optimizers.SGD(),
                inputs,
                targets,
                epochs=1,
                schedule=training.in_order(len(inputs), 10),
            )
        np.testing.assert_array_equal(network.parameters, before)
