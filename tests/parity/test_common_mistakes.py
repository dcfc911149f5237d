"""Mistakes that people make at the output, in a sum, or against a loss of their own."""

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import parity
from numpy_impl.types import Array
from parity import CheckReport, Outcome
from tests.parity.mistakes import Net, error, hidden

Loss = Callable[[Array, Array], Array]


def found(report: CheckReport) -> list[tuple[str, str]]:
    assert report.outcome is Outcome.WRONG, str(report)
    return [(f.code, f.where) for f in report.findings]


def checked(net: Net, **declared: Any) -> CheckReport:
    return parity.check(replace(net.candidate(), **declared), keras=False)


def terms(a: Array, y: Array) -> Array:
    """The derivative of the binary cross-entropy, its minus before both terms."""
    return -(y / a + (1 - y) / (1 - a))


def plus(net: Net, layer: int, e: Array) -> Array:
    """Softmax's Jacobian with a plus."""
    a = net.a[layer + 1]
    return a * (e + (e * a).sum(axis=1, keepdims=True))


SIGN = {"error": error(terms)}
PLUS = {
    "error": error(lambda a, y: -y / a),
    "slope": lambda net, layer, e: (
        plus(net, layer, e) if layer == net.depth - 1 else e * net.prime(layer)
    ),
}
OUTPUTS = [
    ("sigmoid", SIGN, "cross-entropy-sign"),
    ("softmax", PLUS, "softmax-plus"),
    *(
        (output, {"error": error(lambda a, y, of=of: a - of(y))}, "targets-of-other-sample")
        for output in ("softmax", "sigmoid", "linear")
        for of in (lambda y: y[::-1], lambda y: np.roll(y, 1, 0), lambda y: np.roll(y, -1, 0))
    ),
]


@pytest.mark.census(keep=4)
@pytest.mark.parametrize("sizes", [(6, 5, 4), (5, 7, 6, 3)])
@pytest.mark.parametrize(("output", "pieces", "code"), OUTPUTS)
def test_a_wrong_error_is_named_by_its_cause_alone(output: str, pieces, code: str, sizes):
    fused = output == "softmax" and code != "softmax-plus"
    net = Net(sizes=sizes, hidden="tanh", output=output, fused=fused, pieces=pieces)
    assert found(checked(net)) == [(code, f"layer {net.depth}'s delta, at the output")]


def test_an_error_whose_sign_is_lost_and_turned_is_no_sign_of_a_term():
    net = Net(pieces={"error": error(lambda a, y: np.abs(a - y))})
    assert [code for code, _ in found(checked(net))] == ["loss-value"]


def share_of_any(net: Net, layer: int, delta: Array, e: Array) -> Array:
    """Pass on to each unit the share of one unit above, left to chance."""
    kept = np.zeros_like(net.w[layer])
    for row in kept:
        row[random.randrange(len(row))] = 1.0
    return delta @ (net.w[layer] * kept).T


def index_of_above(net: Net, layer: int, delta: Array, e: Array) -> Array:
    """Take the weight W[k][k] for W[j][k]."""
    return np.repeat((delta * np.diag(net.w[layer])).sum(1, keepdims=True), len(net.w[layer]), 1)


class Single(Net):
    """Takes one sample a call, a vector."""

    def forward(self, x: Array) -> Array:
        return self.run(x[None])[0]

    def gradients(self, x: Array, y: Array) -> list[Array]:
        return super().gradients(x[None], y[None])


def one_share(sizes: tuple[int, ...], hidden: str = "tanh") -> CheckReport:
    net = Single(sizes=sizes, hidden=hidden, output="linear", pieces={"down": share_of_any})
    return checked(net, samples="single", labels="one-hot")


@pytest.mark.parametrize("sizes", [(3, 5, 2), (4, 6, 5, 3)])
@pytest.mark.parametrize("hidden", ["tanh", "sigmoid"])
def test_one_share_of_any_unit_above_is_told_one_sample_a_call(sizes, hidden: str):
    report = one_share(sizes, hidden)
    places = [f"layer {n}'s delta" for n in range(len(sizes) - 2, 0, -1)]
    assert found(report) == [("one-share", place) for place in places], str(report)


def first_share(net: Net, layer: int, delta: Array, e: Array) -> Array:
    return delta[:, :1] @ net.w[layer][:, :1].T


def of_those_given(a: Array, y: Array) -> Array:
    """The errors of as many outputs as there are targets, as zip takes them."""
    e = np.zeros_like(a)
    given = min(a.shape[1], y.shape[1])
    e[:, :given] = a[:, :given] - y[:, :given]
    return e


def test_a_loss_that_takes_fewer_targets_by_zip_is_no_reason_for_another_form_of_targets():
    pieces = {"down": first_share, "error": error(of_those_given)}
    net = Single(sizes=(3, 4, 4, 2), hidden="tanh", output="linear", pieces=pieces)

    def loss(x: Array, y: Array) -> float:
        return sum((a - t) ** 2 / 2 for a, t in zip(net.forward(x), y, strict=False))

    report = checked(net, samples="single", loss=loss)
    assert found(report) == [("one-share", "layer 2's delta"), ("one-share", "layer 1's delta")]


@pytest.mark.parametrize("sizes", [(3, 5, 2), (4, 6, 4, 4, 3)])
def test_a_weight_that_is_indexed_by_the_unit_above_is_told(sizes):
    net = Net(sizes=sizes, pieces={"down": index_of_above})
    places = [f"layer {n}'s delta" for n in range(len(sizes) - 2, 0, -1)]
    assert found(checked(net)) == [("weight-of-above", place) for place in places]


class Copied(Net):
    """Has the first bias's gradient from the layer above."""

    def gradients(self, x: Array, y: Array) -> list[Array]:
        answer = super().gradients(x, y)
        answer[1] = answer[3].copy()
        return answer


def test_a_bias_gradient_of_the_layer_above_is_told():
    report = checked(Copied(sizes=(4, 6, 6, 3)))
    assert found(report) == [("bias-of-other-layer", "layer 1 bias (weights[1])")]
    assert "bias gradient is layer 2's" in report.findings[0].title


def test_the_last_sample_that_is_visited_stands_in_the_bias():
    def last_left_out(net: Net, layer: int, delta: Array) -> Array:
        return delta[-2]

    cut = {"error": lambda net, a, y: (a - y) / net.m * (np.arange(net.m) < net.m - 1)[:, None]}
    report = checked(Net(sizes=(6, 5, 4), pieces={**cut, "bias": last_left_out}))
    assert [code for code, _ in found(report)] == [
        "sample-left-out", "bias-not-summed", "bias-not-summed",
    ]  # fmt: skip


# The derivative of a loss of one's own.

D = 0.3


def huber(e: Array) -> Array:
    return np.where(np.abs(e) <= D, e * e / 2, D * (np.abs(e) - D / 2))


def log_cosh(e: Array) -> Array:
    return np.logaddexp(e, -e) - np.log(2)


def beyond(value: Callable[[Array], Array]) -> Callable[[Array], Array]:
    return lambda e: np.where(np.abs(e) <= D, e, value(e))


SLOPES: dict[str, tuple[Callable[[Array], Array], Callable[[Array], Array], str]] = {
    "huber, sign lost": (huber, beyond(lambda e: D + 0 * e), "the sign is lost there; for a - y"),
    "huber, delta missing": (huber, beyond(np.sign), "it is sign(a - y) there; for |a - y| up to"),
    "huber, clipped late": (huber, lambda e: np.clip(e, -1, 1), "; for |a - y| up to"),
    "huber, scaled inside": (
        huber, lambda e: np.where(np.abs(e) <= D, D * e, D * np.sign(e)),
        "it is 0.3 times as large there; for |a - y| from",
    ),
    "huber, 0 beyond": (huber, beyond(lambda e: 0 * e), "it is 0 there; for |a - y| up to"),
    "log-cosh, a slope": (log_cosh, lambda e: 1 - np.tanh(e) ** 2, "and of your loss"),
    "log-cosh, turned half": (log_cosh, lambda e: np.abs(np.tanh(e)), "the sign is lost there"),
}  # fmt: skip


def own(loss: Callable[[Array], Array], slope: Callable[[Array], Array], **net: Any) -> CheckReport:
    made = Net(**{"sizes": (6, 5, 4), "hidden": "tanh", "output": "linear", **net})
    made.pieces = {**made.pieces, "error": error(lambda a, y: slope(a - y))}

    def value(x: Array, y: Array) -> float:
        a = made.forward(x)
        return float(loss(a - y).sum() / (x.shape[1] if made.columns else len(x)))

    return checked(made, loss=value)


@pytest.mark.census(keep=2)
@pytest.mark.parametrize("net", [{}, {"output": "tanh", "columns": True}, {"sizes": (4, 6, 5, 2)}])
@pytest.mark.parametrize("name", SLOPES)
def test_a_derivative_of_an_own_loss_is_named_by_its_values(name: str, net: dict[str, Any]):
    loss, slope, told = SLOPES[name]
    report = own(loss, slope, **net)
    layers = len(net.get("sizes", (6, 5, 4))) - 1
    place = f"layer {layers}'s delta, at the output"
    assert found(report) == [("loss-derivative", place)], str(report)
    if net.get("output") != "tanh":  # whose slope is in dC/dz
        assert told in report.findings[0].title, str(report)


@pytest.mark.parametrize("sizes", [(6, 5, 4), (4, 6, 5, 2)])
def test_a_mistake_below_an_own_loss_is_named_and_the_output_is_not_blamed(sizes):
    slope = hidden(lambda net, layer, e: e)
    report = own(huber, lambda e: np.clip(e, -D, D), sizes=sizes, pieces={"slope": slope})
    places = [f"layer {n}'s delta" for n in range(len(sizes) - 2, 0, -1)]
    assert found(report) == [("missing-derivative", place) for place in places], str(report)


@pytest.mark.parametrize("loss", [huber, log_cosh])
def test_a_mistake_below_a_wrong_derivative_of_an_own_loss_is_named_too(loss):
    slope = hidden(lambda net, layer, e: e)
    report = own(loss, lambda e: np.sign(e) * e * e, pieces={"slope": slope})
    assert found(report) == [
        ("loss-derivative", "layer 2's delta, at the output"),
        ("missing-derivative", "layer 1's delta"),
    ]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("loss", "slope"), [(huber, lambda e: np.clip(e, -D, D)), (log_cosh, np.tanh)]
)
def test_the_right_derivative_of_an_own_loss_is_right(loss, slope, seed: int):
    report = own(loss, slope, seed=seed)
    assert report.outcome is Outcome.RIGHT, str(report)


@pytest.mark.parametrize("loss", [huber, log_cosh, lambda e: np.abs(e) ** 3])
def test_gradients_of_another_loss_than_one_s_own_are_wrong(loss):
    report = own(loss, lambda e: e)
    assert found(report) == [("other-loss", "the output's delta")], str(report)
    assert "the gradients are those of another loss: 1/2 sum (a-y)^2" in report.findings[0].title


def value_of(form: Callable[[float], float]) -> CheckReport:
    net = Net(sizes=(6, 5, 4), output="linear")

    def value(x: Array, y: Array) -> float:
        return form(float(np.mean((net.forward(x) - y) ** 2)))

    return checked(net, loss=value)


@pytest.mark.parametrize("form", [np.sqrt, np.log, lambda v: -1 / v])
def test_a_function_of_the_loss_is_only_remarked(form):
    report = value_of(form)
    assert report.outcome is Outcome.RIGHT, str(report)
    assert any("What is printed is not what is descended" in r for r in report.remarks)


def test_a_count_of_right_answers_is_no_loss_to_judge_by():
    net = Net(sizes=(6, 5, 4), output="softmax", fused=True)

    def errors(x: Array, y: Array) -> float:
        return float(np.mean(net.forward(x).argmax(axis=1) != y.argmax(axis=1)))

    assert checked(net, loss=errors).outcome is Outcome.RIGHT


@pytest.mark.parametrize("epsilon", [1e-12, 1e-8, 1e-6])
def test_a_small_number_in_the_logarithm_is_no_other_loss(epsilon: float):
    net = Net(sizes=(6, 5, 4), output="softmax", fused=True)

    def value(x: Array, y: Array) -> float:
        return float(-np.sum(y * np.log(net.forward(x) + epsilon)) / len(x))

    assert checked(net, loss=value).outcome is Outcome.RIGHT


class Lasso(Net):
    """Has an L1 penalty in its loss, and ``share(w)`` in its gradients."""

    share: Callable[[Array], Array]

    def loss(self, x: Array, y: Array) -> float:
        penalty = sum(np.abs(k).sum() for k in self.kernels)
        return float(-np.sum(y * np.log(self.forward(x))) / len(x) + 0.05 * penalty)

    def gradients(self, x: Array, y: Array) -> list[Array]:
        answer = super().gradients(x, y)
        return [g + self.share(w) for g, w in zip(answer, self.weights(), strict=True)]


def lasso(share: Callable[[Array], Array], sizes: tuple[int, ...] = (6, 5, 4)) -> CheckReport:
    net = Lasso(sizes=sizes, output="softmax", fused=True)
    net.share = lambda w: share(w) if w.ndim > 1 else 0 * w
    return checked(net, loss=net.loss)


@pytest.mark.parametrize("sizes", [(6, 5, 4), (5, 7, 6, 3)])
def test_a_missing_l1_penalty_is_named(sizes):
    report = lasso(lambda w: 0 * w, sizes)
    assert found(report) == [("l1-missing", "kernel gradients")]
    assert "0.05 times the sum of |W|" in report.findings[0].title
    report = lasso(lambda w: 0.05 * w, sizes)
    assert found(report) == [("l1-missing", "kernel gradients")]
    assert "have 0.05 W in its place" in report.findings[0].title
    assert lasso(lambda w: 0.05 * np.sign(w), sizes).outcome is Outcome.RIGHT


class Ridge(Lasso):
    """Has an L2 penalty in its loss."""

    def loss(self, x: Array, y: Array) -> float:
        penalty = sum((k * k).sum() for k in self.kernels) / 2
        return float(-np.sum(y * np.log(self.forward(x))) / len(x) + 0.1 * penalty)


def ridge(
    share: Callable[[Array], Array], sizes: tuple[int, ...] = (6, 5, 4), loss: bool = True
) -> CheckReport:
    net = Ridge(sizes=sizes, output="softmax", fused=True)
    net.share = lambda w: share(w) if w.ndim > 1 else 0 * w
    return checked(net, loss=net.loss if loss else None)


FORMS: dict[str, Callable[[Array], Array]] = {
    "W^2": lambda w: w * w,
    "|W|": np.abs,
    "the number sum(W^2)": lambda w: np.sum(w * w),
    "the number sum(W)": np.sum,
}


@pytest.mark.census(keep=2)
@pytest.mark.parametrize("loss", [True, False])
@pytest.mark.parametrize("sizes", [(6, 5, 4), (5, 7, 6, 3)])
@pytest.mark.parametrize("form", FORMS)
def test_a_wrong_form_of_a_penalty_s_derivative_is_named(form: str, sizes, loss: bool):
    report = ridge(lambda w: 0.1 * FORMS[form](w), sizes, loss)
    assert [code for code, _ in found(report)] == ["penalty-form"], str(report)
    assert f"0.1 times {form} added" in report.findings[0].title


MEANT: dict[str, Callable[[Array], Array]] = {
    "sign(W)": np.sign,
    "W / sqrt(sum(W^2))": lambda w: w / np.linalg.norm(w),
}


@pytest.mark.parametrize("sizes", [(6, 5, 4), (5, 7, 6, 3)])
@pytest.mark.parametrize("form", MEANT)
def test_another_penalty_than_l2_is_right_unless_the_loss_lacks_it(form: str, sizes):
    def share(w: Array) -> Array:
        return 0.1 * MEANT[form](w)

    report = ridge(share, sizes, loss=False)
    assert report.outcome is Outcome.RIGHT, str(report)
    assert any(f"have 0.1 times {form} added" in r for r in report.remarks)
    assert all(row.right for row in report.tensors), str(report)
    report = ridge(share, sizes)
    assert [code for code, _ in found(report)] == ["penalty-added"], str(report)


@pytest.mark.parametrize("sizes", [(6, 5, 4), (5, 7, 6, 3)])
def test_l1_and_l2_together_are_right_unless_the_loss_lacks_them(sizes):
    def share(w: Array) -> Array:
        return 0.2 * w + 0.1 * np.sign(w)

    report = ridge(share, sizes, loss=False)
    assert report.outcome is Outcome.RIGHT, str(report)
    assert any("have 0.2 times W and 0.1 times sign(W) added" in r for r in report.remarks)
    assert ridge(share, sizes).outcome is Outcome.WRONG


@pytest.mark.parametrize("sizes", [(6, 5, 4), (5, 7, 6, 3)])
def test_an_unknown_function_of_the_weights_may_be_a_penalty_where_no_loss_is_given(sizes):
    report = ridge(lambda w: 0.1 * np.tanh(w), sizes, loss=False)
    assert report.outcome is Outcome.UNKNOWN, str(report)
    assert all("a function of the weights is added" in f.title for f in report.findings)
    assert ridge(lambda w: 0.1 * np.tanh(w), sizes).outcome is Outcome.WRONG


def test_a_number_added_whatever_the_weights_is_no_penalty():
    report = ridge(lambda w: np.full_like(w, 0.1), loss=False)
    assert report.outcome is Outcome.WRONG, str(report)


# Optimizers are told with the derivative of a loss of one's own, too.


@pytest.mark.parametrize("loss_slope", [(huber, lambda e: np.clip(e, -D, D)), (log_cosh, np.tanh)])
@pytest.mark.parametrize("right", [True, False])
def test_rmsprop_is_found_with_an_own_loss(loss_slope, right: bool):
    loss, slope = loss_slope

    def make() -> parity.Candidate:
        net = Net(sizes=(6, 5, 4), hidden="tanh", output="linear")
        net.pieces = {"error": error(lambda a, y: slope(a - y))}
        caches = [np.zeros_like(w) for w in net.weights()]

        def step(x: Array, y: Array, learning_rate: float) -> None:
            for w, g, cache in zip(net.weights(), net.gradients(x, y), caches, strict=True):
                cache *= 0.9
                cache += 0.1 * g * g
                w -= learning_rate * g / (np.sqrt(cache) if right else cache + 1e-8)

        def value(x: Array, y: Array) -> float:
            return float(loss(net.forward(x) - y).sum() / len(x))

        return replace(net.candidate(), gradients=None, step=step, loss=value)

    report = parity.check(make, keras=False)
    if right:
        assert report.outcome is Outcome.RIGHT, str(report)
    else:
        assert found(report) == [("rmsprop-no-root", "step")]


# Numbers of units that stand for the batch size.


def divided(by: Callable[[Net, int], int], **declared: Any) -> CheckReport:
    class Divided(Net):
        def gradients(self, x: Array, y: Array) -> list[Array]:
            answer = super().gradients(x, y)
            return [g * self.m / by(self, n // 2) for n, g in enumerate(answer)]

    net = Divided(sizes=(6, 8, 4), hidden="tanh", output="softmax", fused=True)
    return checked(net, **declared)


@pytest.mark.parametrize("declared", [{}, {"loss": "categorical_crossentropy"}])
@pytest.mark.parametrize(("by", "said"), [(0, "inputs of its layer (6, 8)"), (1, "units of its")])
def test_a_division_by_each_layer_s_units_is_one_finding(by: int, said: str, declared):
    report = divided(lambda net, layer: net.sizes[layer + by], **declared)
    assert found(report) == [("over-inputs", "all gradients")]
    assert f"divided by the number of {said}" in report.findings[0].title


def test_a_division_by_the_inputs_is_named_where_the_loss_is_known():
    def by(net: Net, layer: int) -> int:
        return net.sizes[0]

    report = divided(by, loss="categorical_crossentropy")
    assert found(report) == [("over-inputs", "all gradients")]
    assert divided(by).outcome is Outcome.RIGHT  # but for a scale: the loss may have it


# One network with each mistake in it, for the table of bugs.
PLANTED: dict[str, Callable[[], CheckReport]] = {
    "one-share": lambda: one_share((4, 6, 5, 3)),
    "weight-of-above": lambda: checked(Net(sizes=(3, 5, 2), pieces={"down": index_of_above})),
    "cross-entropy-sign": lambda: checked(Net(pieces=SIGN)),
    "softmax-plus": lambda: checked(Net(output="softmax", pieces=PLUS)),
    "targets-of-other-sample": lambda: checked(
        Net(pieces={"error": error(lambda a, y: a - y[::-1])})
    ),
    "bias-of-other-layer": lambda: checked(Copied(sizes=(4, 6, 6, 3))),
    "loss-derivative": lambda: own(huber, beyond(np.sign)),
    "penalty-form": lambda: ridge(np.abs),
    "penalty-added": lambda: ridge(np.sign),
    "l1-missing": lambda: lasso(lambda w: 0 * w),
    "over-inputs": lambda: divided(lambda net, layer: net.sizes[layer]),
}
