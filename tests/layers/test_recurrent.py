"""Embedding and recurrent layers: see ``harness`` for what is asked of each."""

from itertools import permutations

import numpy as np
import pytest

import parity
from keras_impl import keras
from keras_impl.precision import precision
from numpy_impl import layers as numpy_layers
from numpy_impl import losses
from numpy_impl.files import keras_files
from numpy_impl.layers import formula
from numpy_impl.network import Sequential
from parity.bounds import analyse
from parity.bounds.rounding import Rounding
from tests.layers import harness

L = keras.layers

# Name: the numbers that the inputs are below (0: normal numbers), their shape, the layers.
MODELS = {
    "SimpleRNN": (0, (4, 3), lambda: [L.Dense(3), L.SimpleRNN(3), L.Dense(2)]),
    "LSTM": (0, (4, 3), lambda: [L.Dense(3), L.LSTM(3), L.Dense(2)]),
    "GRU": (0, (4, 3), lambda: [L.Dense(3), L.GRU(3), L.Dense(2)]),
    "GRU, reset before": (
        0, (4, 3), lambda: [L.Dense(3), L.GRU(3, reset_after=False), L.Dense(2)],
    ),
    "Embedding": (5, (6,), lambda: [L.Embedding(7, 3), L.Flatten(), L.Dense(2)]),
    "Embedding of one number": (5, (), lambda: [L.Embedding(5, 3), L.Dense(2)]),
    "Embedding and LSTM": (5, (4,), lambda: [L.Embedding(5, 3), L.LSTM(3), L.Dense(2)]),
    "RepeatVector": (0, (3,), lambda: [L.Dense(3, "tanh"), L.RepeatVector(3), L.GRU(2)]),
    "Bidirectional": (0, (3, 3), lambda: [L.Dense(3), L.Bidirectional(L.GRU(2)), L.Dense(2)]),
    "TimeDistributed": (
        0, (3, 3), lambda: [L.TimeDistributed(L.Dense(3, "tanh")), L.SimpleRNN(2), L.Dense(2)],
    ),
    "TimeDistributed formula": (
        0, (3, 4), lambda: [L.TimeDistributed(L.LayerNormalization()), L.Flatten(), L.Dense(2)],
    ),
    "Dense of sequences": (0, (3, 3), lambda: [L.Dense(3, "tanh"), L.Dense(2), L.Flatten()]),
    "mask_zero": (
        3, (5,), lambda: [
            L.Embedding(4, 3, mask_zero=True), L.Dense(3, "tanh"),
            L.SimpleRNN(3, return_sequences=True), L.LSTM(2),
        ],
    ),
    "Masking": (
        2, (4, 1), lambda: [
            L.Masking(), L.Bidirectional(L.SimpleRNN(3, return_sequences=True)), L.GRU(2),
        ],
    ),
}  # fmt: skip
each = pytest.mark.parametrize("name", MODELS)


@each
@pytest.mark.parametrize("dtype", harness.DTYPES)
@pytest.mark.census(6, by=lambda name, dtype: dtype)
def test_agrees_with_keras(name, dtype):
    whole, shape, layers = MODELS[name]
    harness.agrees_with_keras(layers, shape, dtype, whole)


@each
def test_backward_is_the_derivative_of_forward(name):
    whole, shape, layers = MODELS[name]
    harness.backward_is_the_derivative_of_forward(layers, shape, whole)


@each
@pytest.mark.census(6)
def test_survives_files(name, tmp_path):
    whole, shape, layers = MODELS[name]
    harness.survives_files(layers, shape, tmp_path, whole)


@each
@pytest.mark.census(1)
def test_a_wrong_gradient_is_seen(name):
    whole, shape, layers = MODELS[name]
    harness.sees_a_wrong_gradient(layers, shape, whole)


# Each option of each layer; with a mask, as some options say what becomes of masked steps.
RECURRENT = {
    "sequence": {"return_sequences": True},
    "last": {},
    "backwards": {"go_backwards": True},
    "backwards sequence": {"go_backwards": True, "return_sequences": True},
    "no bias": {"use_bias": False, "return_sequences": True},
    "relu": {"activation": "relu"},
    "no activation": {"activation": None},
    "softmax": {"activation": "softmax"},
    "unrolled": {"unroll": True},
    "zeros": {"zero_output_for_mask": True, "return_sequences": True},
    "last of zeros": {"zero_output_for_mask": True},
}
GATED = {
    "hard gates": {"recurrent_activation": "hard_sigmoid"},
    "silu gates": {"recurrent_activation": "silu"},
    "softmax gates": {"recurrent_activation": "softmax"},
}
OPTIONS = [
    (kind, name, extra, options)
    for kind, extras in (
        ("SimpleRNN", [{}]),
        ("LSTM", [{}, {"unit_forget_bias": False}, {"implementation": 1}]),
        ("GRU", [{}, {"reset_after": False}, {"implementation": 1}]),
    )
    for extra in extras
    for name, options in (RECURRENT | ({} if kind == "SimpleRNN" else GATED)).items()
]


def _with_options(kind, extra, options):
    def make():
        layer = getattr(L, kind)(3, **extra, **options)
        ends = [L.SimpleRNN(2)] if layer.return_sequences else []
        return [L.Embedding(3, 2, mask_zero=True), layer, *ends]

    return make


@pytest.mark.parametrize(("kind", "name", "extra", "options"), OPTIONS)
@pytest.mark.census(3, by=lambda kind, name, extra, options: kind)
def test_every_option_is_keras_own(kind, name, extra, options, tmp_path):
    make = _with_options(kind, extra, options)
    harness.agrees_with_keras(make, (4,), "float64", whole=3)
    harness.backward_is_the_derivative_of_forward(make, (4,), whole=3)
    harness.survives_files(make, (4,), tmp_path, whole=3)


MERGES = [
    (kind, mode, sequence)
    for kind in ("SimpleRNN", "LSTM", "GRU")
    for mode in ("concat", "sum", "ave", "mul")
    for sequence in (False, True)
]


@pytest.mark.parametrize(("kind", "mode", "sequence"), MERGES)
@pytest.mark.census(2, by=lambda kind, mode, sequence: sequence)
def test_every_merge_is_keras_own(kind, mode, sequence, tmp_path):
    def make():
        layer = getattr(L, kind)(2, return_sequences=sequence)
        ends = [L.Flatten(), L.Dense(2)] if sequence else []
        return [L.Bidirectional(layer, merge_mode=mode), *ends]

    harness.agrees_with_keras(make, (3, 2), "float64")
    harness.survives_files(make, (3, 2), tmp_path)


@pytest.mark.parametrize("sequence", [False, True])
@pytest.mark.parametrize("states", [False, True])
def test_two_directions_may_stay_apart(sequence, states, tmp_path):
    def model() -> keras.Model:
        x = keras.Input((3, 2))
        layer = L.GRU(2, return_sequences=sequence, return_state=states)
        forward, backward, *ends = L.Bidirectional(layer, merge_mode=None)(L.Dense(2)(x))
        # One of them is used twice, and of the states one not at all.
        h = L.Concatenate()([backward, L.Dense(3, "tanh")(forward), backward])
        h = L.SimpleRNN(2)(h) if sequence else h
        return keras.Model(x, L.Dense(2)(L.Concatenate()([h, ends[1]]) if ends else h))

    harness.agrees_with_keras(model, dtype="float64")
    harness.backward_is_the_derivative_of_forward(model)
    harness.survives_files(model, (), tmp_path)


def test_a_direction_that_nobody_uses_has_gradients_of_0():
    def model() -> keras.Model:
        x = keras.Input((3, 2))
        forward, _ = L.Bidirectional(L.LSTM(2), merge_mode=None)(x)
        return keras.Model(x, L.Dense(2)(forward))

    harness.agrees_with_keras(model, dtype="float64")


def test_two_directions_in_a_chain_are_refused():
    apart = numpy_layers.Bidirectional(numpy_layers.LSTM(2), merge_mode=None)
    with pytest.raises(ValueError, match=r"merge_mode=None\. Received: Bidirectional with 2"):
        Sequential([apart], (3, 2))


def test_the_backward_layer_may_be_another():
    """Each has its own options; only the units have to be equal, as Keras counts on it."""

    def make():
        backward = L.GRU(2, go_backwards=True, activation="relu")
        return [L.Bidirectional(L.SimpleRNN(2), backward_layer=backward), L.Dense(2)]

    harness.agrees_with_keras(make, (3, 2), "float64")


@pytest.mark.parametrize(
    ("layers", "shape", "received"),
    [
        (lambda: [L.TimeDistributed(L.Dropout(0.5))], (3, 2), "Dropout"),
        (lambda: [L.TimeDistributed(L.GRU(2))], (3, 2, 2), "GRU"),
        (lambda: [L.Masking(), L.Flatten()], (3, 2), "Flatten"),
        (lambda: [L.Masking(), L.LSTM(2), L.RepeatVector(2), L.Masking()], (3, 2), "with a mask"),
        (lambda: [L.Embedding(3, 2, mask_zero=True)], (3,), "with a mask"),
        (lambda: [L.Masking(), L.Softmax(), L.LSTM(2)], (3, 2), "Activation"),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:.*does not support masking")
def test_what_is_not_done_is_refused_by_name(layers, shape, received, tmp_path):
    model = keras.Sequential([keras.Input(shape), *layers()])
    with pytest.raises(ValueError, match=f"Received: .*{received}"):
        parity.numpy_twin(model)
    model.save(tmp_path / "model.keras")
    with pytest.raises(ValueError, match=f"Received: .*{received}"):
        keras_files.load_keras(tmp_path / "model.keras")


@pytest.mark.parametrize(
    ("make", "received"),
    [
        (lambda: numpy_layers.LSTM(0), "units=0"),
        (lambda: numpy_layers.Embedding(0, 2), "input_dim=0, output_dim=2"),
        (lambda: numpy_layers.RepeatVector(0), "n=0"),
        (lambda: numpy_layers.GRU(2).build((3,)), r"input_shape=\(3,\)"),
        (lambda: numpy_layers.GRU(2).build((0, 3)), r"input_shape=\(0, 3\)"),
        (lambda: numpy_layers.Masking().build((3,)), r"input_shape=\(3,\)"),
        (lambda: numpy_layers.RepeatVector(2).build((3, 2)), r"input_shape=\(3, 2\)"),
        (lambda: numpy_layers.TimeDistributed(numpy_layers.Dense(2)).build((3,)), r"\(3,\)"),
        (lambda: numpy_layers.Bidirectional(numpy_layers.Dense(2)), "Dense, Dense"),
        (
            lambda: numpy_layers.Bidirectional(numpy_layers.LSTM(2, go_backwards=True)),
            "'go_backwards': True",
        ),
        (
            lambda: numpy_layers.Bidirectional(
                numpy_layers.LSTM(2), "sum", numpy_layers.LSTM(3, go_backwards=True)
            ),
            "'units': 3",
        ),
    ],
)
def test_what_cannot_be_is_refused(make, received):
    with pytest.raises(ValueError, match=f"expects.*Received: .*{received}"):
        make()


def test_masking_of_computed_numbers_is_not_bounded():
    """Whether a computed number is mask_value, rounding decides."""
    network = Sequential(
        [numpy_layers.Dense(2), numpy_layers.Masking(), numpy_layers.GRU(2)], (3, 2),
        np.random.default_rng(0),
    )  # fmt: skip
    x = np.ones((1, 3, 2), np.float32)
    assert network.predict(x).shape == (1, 2)
    with pytest.raises(ValueError, match="Expected Masking of the network's inputs, and"):
        analyse(network, x, np.zeros((1, 2)), losses.get("mse"))


@pytest.mark.parametrize(
    ("x", "received"),
    [
        ([[0, 2.5]], r"whole numbers\. Received: 2\.5 at index \(0, 1\)"),
        ([[0, 3]], r"in 0\.\.2\. Received: 3"),
        ([[-1, 1]], r"in 0\.\.2\. Received: -1"),
    ],
)
def test_an_embedding_takes_whole_numbers_of_its_range(x, received):
    network = Sequential([numpy_layers.Embedding(3, 2)], 2, np.random.default_rng(0))
    with pytest.raises(ValueError, match=received):
        network.predict(np.array(x))


def test_repeated_numbers_add_their_gradients():
    """By hand: number 1 stands at both places, 0 at none, 2 in the other sample."""
    layer = numpy_layers.Embedding(3, 1)
    layer.build((2,))
    weights = {"embeddings": np.array([[5.0], [6.0], [7.0]])}
    y, kept = layer.compute(np.array([[1.0, 1.0], [2.0, 1.0]]), weights, True)
    np.testing.assert_array_equal(y[..., 0], [[6, 6], [7, 6]])
    gradients, _ = layer.differentiate(np.array([[[1.0], [2.0]], [[3.0], [4.0]]]), kept, weights)
    np.testing.assert_array_equal(gradients["embeddings"], [[0], [7], [3]])


def test_an_lstm_step_by_hand():
    """All weights 0 but the candidate's kernel and three biases: gates of 3/4, 1/4 and 1/2."""
    layer = numpy_layers.LSTM(1, activation="linear", return_sequences=True)
    layer.build((2, 1))
    bias = np.log([3.0, 1 / 3, 1.0, 1.0])
    weights = {
        "kernel": np.array([[0.0, 0.0, 4.0, 0.0]]),
        "recurrent_kernel": np.zeros((1, 4)),
        "bias": bias,
    }
    # c_1 = 3/4 * 4, c_2 = 1/4 c_1 + 3/4 * 8; half of it is shown.
    y, _ = layer.compute(np.array([[[1.0], [2.0]]]), weights, True)
    np.testing.assert_allclose(y[0, :, 0], [1.5, 3.375], rtol=1e-15)


def test_masked_steps_are_as_if_they_were_not_there():
    """A network on (a, 0, b, 0) with mask_zero gives what it gives on (a, b)."""
    rng = np.random.default_rng(0)
    kinds = (numpy_layers.SimpleRNN, numpy_layers.LSTM, numpy_layers.GRU)
    for kind in kinds:
        long, short = (
            Sequential([numpy_layers.Embedding(5, 3, mask_zero=True), kind(4)], n, rng, "float64")
            for n in (4, 2)
        )
        short.set_weights(long.weights)
        x = np.array([[1, 0, 4, 0]])
        np.testing.assert_array_equal(long.predict(x), short.predict(x[:, ::2]))


@pytest.mark.parametrize("sizes", [(1, 1, 1), (1, 1e4, 1e4), (1e-4, 1, 1e4)])
def test_a_sum_is_bounded_in_every_order(sizes):
    """Terms that nearly cancel: the order decides the error, and one order alone is too tight."""
    rng = np.random.default_rng(0)
    a, b = (size * rng.normal(size=500).astype(np.float32) for size in sizes[:2])
    terms = [a, b, (sizes[2] / sizes[1] * -b).astype(np.float32)]
    exact = sum(term.astype(np.float64) for term in terms)
    r = Rounding("float32")
    bound = formula.added(*map(r.exact, terms)).bound
    worst = 0.0
    for order in permutations(terms):
        total = order[0] + order[1] + order[2]
        assert total.dtype == np.float32
        errors = np.abs(total - exact)
        assert np.all(errors <= bound)
        worst = max(worst, np.max(errors / bound))
    assert worst > 0.05


def test_a_character_model_learns_as_keras_does():
    """Softmax at every step, integer targets of every step, Adam on rows that repeat."""
    text = np.frombuffer(b"one step, one loss; one step, one loss; one step", np.uint8)
    letters, numbers = np.unique(text, return_inverse=True)
    rows = np.lib.stride_tricks.sliding_window_view(numbers, 9)[:12]
    with precision("float64"):
        keras.utils.set_random_seed(0)
        model = keras.Sequential(
            [
                keras.Input((8,)), L.Embedding(len(letters), 4),
                L.SimpleRNN(5, return_sequences=True), L.Dense(len(letters), "softmax"),
            ]
        )  # fmt: skip
        result = parity.compare_training(
            model, parity.numpy_twin(model), rows[:, :-1], rows[:, 1:],
            loss="sparse_categorical_crossentropy", optimizer=keras.optimizers.Adam(0.01),
            batches=[np.arange(12)] * 4,
        )  # fmt: skip
        assert result.passed, str(result)
