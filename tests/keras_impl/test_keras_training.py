"""``fit`` on a schedule does what one call a batch does; nothing is lost or reordered."""

import numpy as np
import pytest

import parity
from keras_impl import keras, losses, precision, training
from numpy_impl.losses import Quadratic
from numpy_impl.optimizers import SGD
from numpy_impl.training import fit, in_order

DTYPE = "float64"
SAMPLES = 23
EQUAL = [[0, 5, 2, 9], [7, 1, 3, 4], [8, 6, 10, 11]]
SHORT_LAST = [*EQUAL, [12, 13]]
UNEQUAL = [[0], [5, 2, 9], [7, 1], [3, 4, 8, 6, 10, 11], [12, 13]]
LONG_LAST = [[3, 1], [2, 7], [9, 8, 4, 5, 6]]
REPEATED = [[0, 1, 2], [1, 2, 3], [2, 3, 4]]  # document D0's windows
METRICS = {"loss", "accuracy", "squared_error"}
SCHEDULES = {
    "equal": EQUAL,
    "short last": SHORT_LAST,
    "unequal": UNEQUAL,
    "long last": LONG_LAST,
    "repeated": REPEATED,
    "one batch": [[4, 2, 0]],
}


@pytest.fixture(autouse=True)
def _double():
    with precision(DTYPE):
        yield


def _data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    return rng.uniform(-1, 1, (SAMPLES, 5)), np.eye(3)[rng.integers(0, 3, SAMPLES)]


def _model(steps_per_execution: int = 32, loss: str = "quadratic") -> keras.Sequential:
    layers = [keras.layers.Dense(4, activation="tanh"), keras.layers.Dense(3, activation="softmax")]
    model = keras.Sequential([keras.Input((5,)), *layers])
    rng = np.random.default_rng(2)
    model.set_weights([0.7 * rng.standard_normal(w.shape) for w in model.get_weights()])
    optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
    metrics = ["accuracy"] if loss.startswith("sparse") else ["accuracy", "squared_error"]
    training.compile_model(
        model, losses.get(loss), optimizer, metrics, steps_per_execution=steps_per_execution
    )
    return model


def _batches(lists: list[list[int]]) -> list[np.ndarray]:
    return [np.array(batch) for batch in lists]


def _turning(lists: list[list[int]]) -> training.Schedule:
    """Return a schedule in which epoch e visits sample i + e where epoch 0 visits i."""
    return lambda epoch: [(batch + epoch) % SAMPLES for batch in _batches(lists)]


def _by_hand(schedule: training.Schedule, epochs: int) -> keras.Sequential:
    model, (x, y) = _model(1), _data()
    for epoch in range(epochs):
        for batch in schedule(epoch):
            model.train_on_batch(x[batch], y[batch])
    return model


def _distance(one: keras.Sequential, other: keras.Sequential) -> float:
    pairs = zip(one.get_weights(), other.get_weights(), strict=True)
    return max(float(np.max(np.abs(a - b))) for a, b in pairs)


def _allowed(steps: int) -> float:
    # 100 operations of error u a step, enlarged at most 12 times by the two kernels (largest
    # absolute sums of their columns: 3.2 and 3.5) and ten times by the momentum, 1 / (1 - 0.9).
    return 100 * 12 * 10 * steps * float(np.finfo(DTYPE).eps) / 2


@pytest.mark.parametrize("name", SCHEDULES)
def test_fit_is_one_call_a_batch(name: str) -> None:
    schedule, (x, y) = _turning(SCHEDULES[name]), _data()
    expected, start, steps = _by_hand(schedule, 2), _model(), 2 * len(SCHEDULES[name])
    assert _distance(expected, start) > 1e-2
    for steps_per_execution in (2, 32):
        model = _model(steps_per_execution)
        training.fit(model, x, y, epochs=2, schedule=schedule)
        assert _distance(model, expected) <= _allowed(steps)
        assert int(model.optimizer.iterations) == steps


def test_a_lost_or_moved_batch_would_be_seen() -> None:
    done = _by_hand(_turning(UNEQUAL), 1)
    lost_last, lost_sample = UNEQUAL[:-1], [*UNEQUAL[:-1], UNEQUAL[-1][:-1]]
    swapped = [UNEQUAL[1], UNEQUAL[0], *UNEQUAL[2:]]
    for other in (lost_last, lost_sample, swapped):
        assert _distance(done, _by_hand(_turning(other), 1)) > 1e3 * _allowed(5)


@pytest.mark.parametrize("name", ["short last", "unequal"])
def test_history(name: str) -> None:
    x, y = _data()
    model, before = _model(), _model()
    batches = _batches(SCHEDULES[name])
    model.optimizer.learning_rate = 0.0  # so that every batch sees the first weights
    history = training.fit(
        model, x, y, epochs=3, schedule=lambda epoch: batches, validation_data=(x[:9], y[:9])
    )
    assert set(history) == METRICS | {f"val_{name}" for name in METRICS}
    assert all(len(values) == 3 for values in history.values())
    order = np.concatenate(batches)
    for prefix, index in (("", order), ("val_", np.arange(9))):
        out, y_true = np.asarray(before(x[index])), y[index]
        # The mean over samples, so that a short batch counts for less.
        exact = np.sum((out - y_true) ** 2) / len(index)
        hits = np.mean(out.argmax(axis=1) == y_true.argmax(axis=1))
        assert history[f"{prefix}loss"] == pytest.approx([exact / 2] * 3, rel=0, abs=_allowed(1))
        squared = history[f"{prefix}squared_error"]
        assert squared == pytest.approx([exact] * 3, rel=0, abs=2 * _allowed(1))
        assert history[f"{prefix}accuracy"] == pytest.approx([hits] * 3, rel=4 * 2.0**-53, abs=0)


def test_on_epoch_stops() -> None:
    x, y = _data()
    seen: list[tuple[int, set[str]]] = []

    def on_epoch(epoch: int, logs: dict[str, float]) -> bool:
        seen.append((epoch, set(logs)))
        return epoch == 1

    model = _model()
    schedule = _turning(SHORT_LAST)
    history = training.fit(model, x, y, epochs=5, schedule=schedule, on_epoch=on_epoch)
    assert seen == [(0, METRICS), (1, METRICS)]
    assert len(history["loss"]) == 2
    assert _distance(model, _by_hand(schedule, 2)) <= _allowed(8)


@pytest.mark.parametrize("steps", [1, 4])
@pytest.mark.parametrize("name", ["short last", "unequal"])
def test_on_batch(name: str, steps: int) -> None:
    x, y = _data()
    seen: list[tuple[int, dict[str, float]]] = []
    training.fit(
        _model(steps),
        x,
        y,
        epochs=2,
        schedule=_turning(SCHEDULES[name]),
        on_batch=lambda done, logs: seen.append((done, logs)),
    )
    count = len(SCHEDULES[name])
    # The last execution may have fewer steps than the others.
    assert [done for done, _ in seen] == [*range(steps, count, steps), count] * 2
    assert all(set(logs) == METRICS for _, logs in seen)


def test_sparse_labels_have_the_sparse_accuracy() -> None:
    x, y = _data()
    dense, sparse = (
        _model(loss="categorical_crossentropy"),
        _model(loss="sparse_categorical_crossentropy"),
    )
    histories = [
        training.fit(model, x, targets, epochs=2, schedule=_turning(SHORT_LAST))
        for model, targets in ((dense, y), (sparse, y.argmax(axis=1)))
    ]
    assert _distance(dense, sparse) <= _allowed(8)
    assert histories[0]["accuracy"] == histories[1]["accuracy"]
    assert 0 < histories[0]["accuracy"][0] < 1


def test_unknown_metric() -> None:
    with pytest.raises(ValueError, match=r"accuracy, squared_error\. Received: 'precision'"):
        training.compile_model(_model(), losses.get("mse"), keras.optimizers.SGD(), ["precision"])


@pytest.mark.parametrize("every", [None, 4])
def test_the_average_is_what_is_left_at_the_end_alone(every: int | None) -> None:
    """Both engines go on from the weights themselves, and end with their average, as one ``fit``.

    The three batches of an epoch are Keras's own order, without shuffling.
    """
    x, y = (rows[:12] for rows in _data())
    options = {"use_ema": True, "ema_momentum": 0.5, "ema_overwrite_frequency": every}
    models = [_model() for _ in range(2)]
    for model in models:
        optimizer = keras.optimizers.SGD(0.1, **options)
        training.compile_model(model, losses.get("quadratic"), optimizer)
    network, schedule = parity.numpy_twin(models[0]), in_order(12, 4)
    models[0].fit(x, y, batch_size=4, epochs=3, shuffle=False, verbose=0)
    training.fit(models[1], x, y, epochs=3, schedule=schedule)
    fit(network, Quadratic(), SGD(0.1, **options), x, y, epochs=3, schedule=schedule)
    ended, again, ours = (m.get_weights() for m in (*models, network))
    for one, two, own in zip(ended, again, ours, strict=True):
        assert np.max(np.abs(one - two)) <= _allowed(9)
        assert np.max(np.abs(one - own)) <= _allowed(9)
    # To end with the weights themselves would be seen.
    plain = _model()
    training.compile_model(plain, losses.get("quadratic"), keras.optimizers.SGD(0.1))
    training.fit(plain, x, y, epochs=3, schedule=schedule)
    assert _distance(plain, models[0]) > 1e6 * _allowed(9)
