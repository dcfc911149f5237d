"""One layer beside a Keras layer of any kind, which stands for the formula where there is none."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import parity
from parity import CheckReport, Outcome
from parity.checking.bugs.layers import NOT_THE_REFERENCE
from parity.checking.layer import reference
from parity.checking.layer.any_layout import as_keras, every, layouts, orders
from tests.parity.layers import functions, recurrent
from tests.parity.layers.any_kind import CASES, Case
from tests.parity.layers.functions import Pair
from tests.parity.layers.layouts import turned
from tests.parity.layers.planted import keras_layer
from tests.parity.layers.random_right import KINDS, attention, right

NAMES = sorted(CASES)


def checked(case: Case, bug: str = "") -> CheckReport:
    from keras_impl import keras

    return parity.check_layer(
        *case.make(bug), case.reference(keras), inputs=case.inputs, weights=list(case.weights)
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_right_layer_is_right_and_it_is_said_with_what_it_was_compared(name: str):
    report = checked(CASES[name])
    assert report.outcome is Outcome.RIGHT, report
    assert not report.findings
    assert {w.name: w.agrees for w in report.witnesses} == {
        "your forward and the reference's": True,
        "Keras's autodiff": True,
        "the derivative of your own forward": True,
    }
    assert report.tested[0] == "forward pass"
    assert f"Equal to {report.reference} up to rounding: forward pass, gradients" in " ".join(
        str(report).split()
    )
    as_it_is = {"as Keras has it"}
    assert name == "groups" or set(report.conventions.values()) == as_it_is


@pytest.mark.parametrize("name", NAMES)
def test_a_wrong_gradient_is_found_and_the_others_are_right(name: str):
    case = CASES[name]
    report = checked(case, "back")
    assert report.outcome is Outcome.WRONG, report
    assert [finding.where for finding in report.findings] == [case.spoiled]
    assert [row.own_name for row in report.tensors if not row.right] == ["backward"]
    assert {row.name for row in report.tensors if not row.right} == {case.spoiled}


# What another forward is, where it is a change of Keras's layer that has a name.
NAMED = {"Bidirectional": "sequence-turned", "Conv2DTranspose": "flipped-kernel"}


@pytest.mark.parametrize("name", NAMES)
def test_another_forward_is_never_right_and_wrong_where_no_layout_is_left(name: str):
    """Its backward is the derivative of that forward, so that this alone can tell."""
    report = checked(CASES[name], "forward")
    assert report.outcome is (Outcome.WRONG if CASES[name].told else Outcome.UNKNOWN), report
    assert [f.code for f in report.findings] == [NAMED.get(name, "unknown-forward")]
    own = report.witnesses[-1]
    assert own.name == "the derivative of your own forward"
    assert own.agrees
    if CASES[name].told:
        if name not in NAMED:
            assert "no order of axes makes them equal" in report.findings[0].evidence
        assert report.tensors[0].kind == "forward"
        assert report.tensors[0].error > 1e-3


@pytest.mark.parametrize("bug", ["", "back", "forward"])
def test_arrays_may_lie_in_another_order(bug: str):
    """Channels first, and kernels (channels, filters, height, width): not every layout is tried."""
    first, kernel = (0, 3, 1, 2), (3, 2, 0, 1)
    case = CASES["Conv2DTranspose"]
    pair = turned(case.make(bug), (first, kernel, None), first)
    report = parity.check_layer(
        *pair,
        keras_layer("Conv2DTranspose", 3, 3, strides=2),
        inputs=tuple(case.inputs[k] for k in first),
        weights=[tuple(case.weights[0][k] for k in kernel), (3,)],
    )
    outcome = {"": Outcome.RIGHT, "back": Outcome.WRONG, "forward": Outcome.UNKNOWN}[bug]
    assert report.outcome is outcome, report
    if bug != "forward":
        assert report.conventions["x"] == "Keras's axes in the order (0, 3, 1, 2)"
        assert report.conventions["kernel"] == "Keras's axes in the order (3, 2, 0, 1)"


def test_height_for_width_is_no_layout_but_nobody_is_called_wrong_for_it():
    report = checked(CASES["DepthwiseConv2D"], "swapped")
    assert report.outcome is Outcome.UNKNOWN, report
    assert "equal with height and width exchanged in kernel" in report.findings[0].evidence


def test_a_dropout_that_is_not_there_is_not_called_right():
    pair: Pair = (lambda x: (x * 1.0, 0), lambda g, _: g)
    report = parity.check_layer(*pair, keras_layer("SpatialDropout1D", 0.5), inputs=(2, 3, 4))
    assert report.outcome is Outcome.UNKNOWN
    assert "draws numbers in training" in report.findings[0].evidence


def test_what_keras_itself_does_not_take_is_told_in_its_words():
    pair: Pair = (lambda x: (x * 1.0, 0), lambda g, _: g)
    report = parity.check_layer(*pair, keras_layer("GroupNormalization", 4), inputs=(2, 3))
    assert report.outcome is Outcome.UNKNOWN
    assert "does not take such inputs: ValueError" in report.findings[0].evidence


def test_a_layer_of_ones_own_and_one_with_numbers_that_are_not_trained():
    from keras_impl import keras

    class Sine(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            return keras.ops.sin(x)

    pair: Pair = (lambda x: (np.sin(x), x), lambda g, x: g * np.cos(x))
    assert parity.check_layer(*pair, Sine(), inputs=(3, 4)).outcome is Outcome.RIGHT
    root: Pair = (lambda x: (np.sqrt(x), x), lambda g, x: g / 2 / np.sqrt(x))
    with np.errstate(all="ignore"):
        report = parity.check_layer(*root, keras.layers.Lambda(keras.ops.sqrt), inputs=(3, 4))
    assert report.outcome is not Outcome.RIGHT
    assert all(finding.bug is not NOT_THE_REFERENCE for finding in report.findings)
    held = keras.layers.Normalization()
    held.adapt(np.array([[0.0, 2.0], [2.0, 6.0]]))
    pair = (lambda x: ((x - [1, 4]) / [1, 2], 0), lambda g, _: g / [1, 2])
    report = parity.check_layer(*pair, held, inputs=(3, 2))
    assert report.outcome is Outcome.RIGHT
    assert "asked as it is at inference" in report.remarks[0]


def test_numbers_of_half_the_digits_are_judged_by_their_own_rounding_here_too():
    case = CASES["GroupNormalization"]
    arrays = [np.ones(shape, np.float32) for shape in (case.inputs, *case.weights)]
    for bug, outcome in (("", Outcome.RIGHT), ("back", Outcome.WRONG), ("forward", Outcome.WRONG)):
        report = parity.check_layer(
            *case.make(bug),
            keras_layer("GroupNormalization", 2),
            inputs=arrays[0],
            weights=arrays[1:],
        )
        assert report.outcome is outcome, report


def _doubled(n: int) -> Any:
    """The matrix of linear interpolation to twice as many numbers, between their centres."""
    matrix = np.zeros((2 * n, n))
    for i in range(2 * n):
        below = int(np.floor((i - 0.5) / 2))
        share = (i - 0.5) / 2 - below
        matrix[i, min(max(below, 0), n - 1)] += 1 - share
        matrix[i, min(below + 1, n - 1)] += share
    return matrix


def test_what_keras_computes_in_float32_is_compared_in_that():
    for factor, outcome in ((1.0, Outcome.RIGHT), (1.001, Outcome.WRONG)):
        report = parity.check_layer(
            lambda x: (np.einsum("ih,jw,nhwc->nijc", _doubled(3), _doubled(4), x), x),
            lambda g, x, f=factor: f * np.einsum("ih,jw,nijc->nhwc", _doubled(3), _doubled(4), g),
            keras_layer("UpSampling2D", interpolation="bilinear"),
            inputs=(2, 3, 4, 2),
        )
        assert report.outcome is outcome, report
        from keras_impl import keras

        if keras.backend.backend() == "tensorflow":
            assert "Keras computes this layer in float32" in report.remarks[0]


def test_a_difference_of_the_size_of_float32_s_rounding_is_neither_right_nor_wrong():
    case = CASES["RMSNormalization"]
    for epsilon, outcome in (
        (1e-3, Outcome.RIGHT), (1e-3 + 1e-8, Outcome.UNKNOWN), (2e-3, Outcome.WRONG),
    ):  # fmt: skip
        norm = keras_layer("RMSNormalization", epsilon=epsilon)
        report = parity.check_layer(
            *case.make(""), norm, inputs=case.inputs, weights=list(case.weights)
        )
        assert report.outcome is outcome, report
    assert report.findings[0].title == (
        "epsilon is 0.001 in a normalization, and 0.002 in the reference's"
    )


# Kinds of random_right that black boxes cannot answer: several inputs in an order of their own, or
# what is no layer; weights of another form; gates and dropout.
_LAYERS = [n for n in range(180) if KINDS[n % len(KINDS)] is not attention]  # a function
_ANSWERED = {"dense", "activation", "conv", "pool", "embedding"}


@pytest.mark.census(keep=2, by=lambda number: number % len(KINDS))
@pytest.mark.parametrize("number", _LAYERS)
def test_without_any_formula_no_right_layer_of_chance_is_called_wrong(
    number: int, monkeypatch: pytest.MonkeyPatch
):
    kind = KINDS[number % len(KINDS)].__name__
    monkeypatch.setattr(reference, "KINDS", {})
    report = right(number)
    assert report.outcome in (Outcome.RIGHT, Outcome.UNKNOWN), report
    assert kind not in _ANSWERED or report.outcome is Outcome.RIGHT, report


def test_every_order_of_up_to_four_axes_is_tried_once():
    for count, all_of_them in ((1, 1), (2, 2), (3, 6), (4, 24)):
        assert len(orders(count)) == len(set(orders(count))) == all_of_them
    assert [as_keras((2, 3, 5), order[0]) for order in layouts([3])][:2] == [(2, 3, 5), (2, 5, 3)]
    assert (1, 2, 3, 5) in [as_keras((2, 3, 5), order[0]) for order in layouts([3])]
    assert every(["b", "c"], (1, 4)) == ("b c", "c b", "c")


# Of a GRU that resets behind its recurrent product, which has two biases.
def _rows(b: Any, c: Any) -> list[Any]:
    return [np.stack([b, c])]


def _columns(b: Any, c: Any) -> list[Any]:
    return [np.stack([b, c], axis=1)]


def _behind(b: Any, c: Any) -> list[Any]:
    return [np.concatenate([b, c])]


def _apart(b: Any, c: Any) -> list[Any]:
    return [*np.split(b, 3), *np.split(c, 3)]


def _by_gate(b: Any, c: Any) -> list[Any]:
    return [part for pair in zip(np.split(b, 3), np.split(c, 3), strict=True) for part in pair]


_UNITS = 4
# How biases lie, and how the biases b and c are read of them.
BIASES: dict[str, tuple[Callable[[Any, Any], list[Any]], Callable[[list[Any]], Any]]] = {
    "rows": (_rows, lambda a: (a[0][0], a[0][1])),
    "columns": (_columns, lambda a: (a[0][:, 0], a[0][:, 1])),
    "halves": (_behind, lambda a: np.split(a[0], 2)),
    "two": (lambda b, c: [b, c], lambda a: a),
}
GATES = {
    "z r g": (lambda w: w, lambda w: w),
    "r z g": (
        lambda w: np.concatenate([np.split(w, 3, -1)[k] for k in (1, 0, 2)], axis=-1),
        lambda w: np.concatenate([np.split(w, 3, -1)[k] for k in (1, 0, 2)], axis=-1),
    ),
    "side by side": (
        lambda w: w.reshape(*w.shape[:-1], 3, -1).swapaxes(-1, -2).reshape(w.shape),
        lambda w: w.reshape(*w.shape[:-1], -1, 3).swapaxes(-1, -2).reshape(w.shape),
    ),
}


def _gru(biases: str, gates: str, transposed: bool, bug: str = "") -> CheckReport:
    """Check a GRU step whose weights lie in some way, which is Keras's turned round."""
    step = recurrent.gru_step(bug)
    pack, unpack = BIASES[biases]
    to, back = GATES[gates]
    turn: Any = np.transpose if transposed else np.asarray

    def forward(x: Any, h: Any, wx: Any, wh: Any, *bias: Any) -> Any:
        b, c = unpack(list(bias))
        out, cache = step[0](x, h, *(back(a) for a in (turn(wx), turn(wh), b, c)))
        return out, cache

    def backward(dout: Any, cache: Any) -> Any:
        dx, dh, *weights = step[1](dout, cache)
        dwx, dwh, b, c = map(to, weights)
        return dx, dh, turn(dwx), turn(dwh), *pack(b, c)

    wx, wh, b = np.ones((3, 3 * _UNITS)), np.ones((_UNITS, 3 * _UNITS)), np.ones(3 * _UNITS)
    weights = [turn(wx), turn(wh), *pack(b, b)]
    return parity.check_layer(
        forward,
        backward,
        keras_layer("GRU", _UNITS),
        inputs=[(2, 3), (2, _UNITS)],
        weights=[a.shape for a in weights],
    )


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("gates", GATES)
@pytest.mark.parametrize("biases", BIASES)
def test_the_two_biases_of_a_gru_may_lie_in_any_usual_way(
    biases: str, gates: str, transposed: bool
):
    report = _gru(biases, gates, transposed)
    assert report.outcome is Outcome.RIGHT, report
    said = {"z r g": "z, r, g", "r z g": "r, z, g", "side by side": "of each unit side by side"}
    assert said[gates] in report.conventions["gates"]


def test_a_bug_of_a_gru_is_named_however_its_biases_lie():
    for biases in BIASES:
        report = _gru(biases, "r z g", True, "reset back")
        assert report.findings[0].code == "gru-reset-missing", report


@pytest.mark.parametrize("pack", [_apart, _by_gate])
def test_each_gate_may_have_its_own_arrays(pack: Any):
    step = recurrent.gru_step()
    count = 3

    def joined(parts: Any) -> list[Any]:
        if pack is _apart:
            return [np.concatenate(parts[:count], -1), np.concatenate(parts[count:], -1)]
        return [np.concatenate(parts[0::2], -1), np.concatenate(parts[1::2], -1)]

    def forward(x: Any, h: Any, *w: Any) -> Any:
        wx, wh = np.concatenate(w[:3], -1), np.concatenate(w[3:6], -1)
        return step[0](x, h, wx, wh, *joined(w[6:]))

    def backward(dout: Any, cache: Any) -> Any:
        dx, dh, dwx, dwh, db, dc = step[1](dout, cache)
        return dx, dh, *np.split(dwx, 3, -1), *np.split(dwh, 3, -1), *pack(db, dc)

    shapes = [(3, _UNITS)] * 3 + [(_UNITS, _UNITS)] * 3 + [(_UNITS,)] * 6
    report = parity.check_layer(
        forward, backward, keras_layer("GRU", _UNITS), inputs=[(2, 3), (2, _UNITS)], weights=shapes
    )
    assert report.outcome is Outcome.RIGHT, report


def _of_states(states: Callable[..., Any]) -> Pair:
    """A forward of holomorphic functions, and its backward by complex step, exact to rounding."""

    def backward(dout: Any, cache: Any) -> Any:
        found: list[Any] = []
        for k, array in enumerate(cache):
            gradient = np.zeros_like(array)
            for place in np.ndindex(array.shape):
                moved = [a.astype(complex) for a in cache]
                moved[k][place] += 1e-30j
                gradient[place] = np.sum(states(*moved).imag / 1e-30 * dout)
            found.append(gradient)
        return tuple(found)

    return lambda *arrays: (states(*arrays), arrays), backward


def _lstm(change: str) -> Pair:
    """A sequence from zeros with one change of forward, and backward by differences of it."""

    def states(x: Any, wx: Any, wh: Any, b: Any) -> Any:
        h = c = np.zeros((len(x), len(wh)))
        out: list[Any] = []
        for t in range(x.shape[1]):
            i, f, g, o = np.split(x[:, t] @ wx + h @ wh + b, 4, axis=1)
            i, f, o = (1 / (1 + np.exp(-z)) for z in (i, f, o))
            g = np.sin(g) if change == "sine" else np.tanh(g)
            c = (f + 1) * c + i * g if change == "forget" else f * c + i * g
            h = o * (c if change == "cell" else np.tanh(c))
            out.append(h)
        return np.stack(out, axis=1)

    return _of_states(states)


@pytest.mark.parametrize(
    ("change", "outcome", "code"),
    [
        ("", Outcome.RIGHT, None),
        ("cell", Outcome.WRONG, "cell-function-missing"),
        ("sine", Outcome.WRONG, "unknown-forward"),
        ("forget", Outcome.WRONG, "unknown-forward"),
    ],
)
def test_an_lstm_with_another_forward_is_wrong(change: str, outcome: Outcome, code: str | None):
    report = parity.check_layer(
        *_lstm(change),
        keras_layer("LSTM", 3, return_sequences=True),
        inputs=(2, 3, 2),
        weights=[(2, 12), (3, 12), (12,)],
    )
    assert report.outcome is outcome, report
    assert [finding.code for finding in report.findings] == ([code] if code else [])


def _reordered(order: Any, mixed: bool) -> tuple[Any, Any]:
    """Return what brings blocks into Keras's order, and its inverse.

    ``order[k]`` is the user's block of Keras's gate k; mixed, the gates of a unit lie together.
    """
    count = len(order)

    def to(w: Any) -> Any:
        if mixed:
            w = np.swapaxes(w.reshape(*w.shape[:-1], -1, count), -1, -2).reshape(w.shape)
        return np.concatenate([np.split(w, count, -1)[k] for k in order], axis=-1)

    def back(w: Any) -> Any:
        found = np.concatenate([np.split(w, count, -1)[order.index(k)] for k in range(count)], -1)
        if mixed:
            found = np.swapaxes(found.reshape(*w.shape[:-1], count, -1), -1, -2).reshape(w.shape)
        return found

    return to, back


def _both_ways(one: Pair, order: Any, mixed: bool = False, bug: str = "") -> Pair:
    """A recurrence in both directions, whose gates lie in an order of their own."""
    forward, backward = one
    to, back = _reordered(order, mixed)

    def both(x: Any, *w: Any) -> Any:
        n = len(w) // 2
        first, a = forward(x, *map(to, w[:n]))
        second, b = forward(x[:, ::-1], *map(to, w[n:]))
        second = second if bug == "forward" else second[:, ::-1]
        return np.concatenate([first, second], axis=-1), (a, b)

    def both_back(dout: Any, cache: Any) -> Any:
        first, second = np.split(dout, 2, axis=-1)
        second = second if bug == "forward" else second[:, ::-1]
        dx, *some = backward(first, cache[0])
        dz, *others = backward(second, cache[1])
        lost = [0 * others[0], *others[1:]] if bug == "back" else others
        return dx + dz[:, ::-1], *map(back, some), *map(back, lost)

    return both, both_back


def _gru_states(x: Any, wx: Any, wh: Any, b: Any) -> Any:
    """A GRU that resets in front of its recurrent product, with one bias, from zeros."""
    h = np.zeros((len(x), len(wh)), dtype=np.result_type(x, wh))
    out: list[Any] = []
    for t in range(x.shape[1]):
        (xz, xr, xg), (uz, ur, ug) = np.split(x[:, t] @ wx + b, 3, axis=1), np.split(wh, 3, axis=1)
        z, r = (1 / (1 + np.exp(-a)) for a in (xz + h @ uz, xr + h @ ur))
        h = z * h + (1 - z) * np.tanh(xg + (r * h) @ ug)
        out.append(h)
    return np.stack(out, axis=1)


_ORDERS = {
    "LSTM": [((1, 0, 2, 3), False, "f, i, g, o"), ((3, 1, 0, 2), False, "g, f, o, i"),
             ((0, 1, 3, 2), True, "i, f, o, g, of each unit side by side")],
    "GRU": [((1, 0, 2), False, "r, z, g"), ((2, 0, 1), False, "r, g, z")],
}  # fmt: skip


@pytest.mark.parametrize(
    ("cell", "order", "mixed", "said"),
    [(cell, *each) for cell, orders in _ORDERS.items() for each in orders],
)
def test_both_directions_may_have_their_gates_in_any_order(
    cell: str, order: Any, mixed: bool, said: str
):
    from keras_impl import keras

    options = {"return_sequences": True} | ({"reset_after": False} if cell == "GRU" else {})
    own = _lstm("") if cell == "LSTM" else (_of_states(_gru_states))
    width = 3 * len(order)
    for bug, outcome in (("", Outcome.RIGHT), ("back", Outcome.WRONG)):
        report = parity.check_layer(
            *_both_ways(own, list(order), mixed, bug),
            keras.layers.Bidirectional(keras_layer(cell, 3, **options)),
            inputs=(2, 3, 2),
            weights=[(2, width), (3, width), (width,)] * 2,
        )
        assert report.outcome is outcome, report
        assert report.conventions["gates"] == said
        assert [f.where for f in report.findings] == (["darray 4"] if bug else [])


def test_in_float32_gates_in_another_order_are_read_too():
    from keras_impl import keras

    shapes = [(2, 12), (3, 12), (12,)] * 2
    forward, backward = _both_ways(_lstm(""), [1, 0, 2, 3])

    def rounded(*arrays: Any) -> Any:
        out, cache = forward(*(a.astype(np.float64) for a in arrays))
        return out.astype(np.float32), cache

    report = parity.check_layer(
        rounded,
        lambda dout, cache: tuple(g.astype(np.float32) for g in backward(dout, cache)),
        keras.layers.Bidirectional(keras_layer("LSTM", 3, return_sequences=True)),
        inputs=np.ones((2, 3, 2), np.float32) / 2,
        weights=[np.ones(shape, np.float32) / 2 for shape in shapes],
    )
    assert report.outcome is Outcome.RIGHT, report
    assert report.conventions["gates"] == "f, i, g, o"


def test_another_forward_in_both_directions_is_never_right():
    """Of two directions another order in each could be meant, so that nobody is called wrong."""
    from keras_impl import keras

    report = parity.check_layer(
        *_both_ways(_lstm(""), [1, 0, 2, 3], bug="forward"),
        keras.layers.Bidirectional(keras_layer("LSTM", 3, return_sequences=True)),
        inputs=(2, 3, 2),
        weights=[(2, 12), (3, 12), (12,)] * 2,
    )
    assert report.outcome is Outcome.UNKNOWN, report


def test_a_layer_that_goes_backwards_may_have_its_gates_in_another_order():
    forward, backward = _lstm("")
    to, back = _reordered([1, 0, 2, 3], False)

    def reversed_backward(dout: Any, cache: Any) -> Any:
        dx, *others = backward(dout, cache)
        return dx[:, ::-1], *map(back, others)

    report = parity.check_layer(
        lambda x, *w: forward(x[:, ::-1], *map(to, w)),
        reversed_backward,
        keras_layer("LSTM", 3, return_sequences=True, go_backwards=True),
        inputs=(2, 3, 2),
        weights=[(2, 12), (3, 12), (12,)],
    )
    assert report.outcome is Outcome.RIGHT, report
    assert report.conventions["gates"] == "f, i, g, o"


def test_a_dense_layer_with_another_function_of_its_own_is_compared_with_keras_s():
    """An option that the formula has not: Keras's gelu."""
    x = np.linspace(-2, 2, 15).reshape(5, 3)
    forward, backward = functions.affine()

    def silu(z: Any) -> Any:
        return z / (1 + np.exp(-z))

    def slope(z: Any) -> Any:
        s = 1 / (1 + np.exp(-z))
        return s * (1 + z * (1 - s))

    def whole(x: Any, w: Any, b: Any) -> Any:
        z, cache = forward(x, w, b)
        return silu(z), (z, cache)

    for factor, outcome in ((slope, Outcome.RIGHT), (np.ones_like, Outcome.WRONG)):
        report = parity.check_layer(
            whole,
            lambda g, cache, f=factor: backward(g * f(cache[0]), cache[1]),
            keras_layer("Dense", 4, activation="silu"),
            inputs=x,
            weights=[(3, 4), (4,)],
        )
        assert report.outcome is outcome, report
