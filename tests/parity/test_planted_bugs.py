"""The checker is checked: bugs planted in ordinary code are found, and named as what they are."""

import warnings
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest

import parity
from parity import Candidate
from parity.checking.asking import nested
from tests import census
from tests.parity.planted import BUGS, CASES, documents
from tests.parity.planted.bug import SAMPLES, Case, answer, build
from tests.parity.planted.nets import D2, D4, NETS, PLAIN, SIGMOID, SMALL, SOFTMAX, Net

# Of all of them each bug in each style and network; in a sample some.
ASKED = census.sample(CASES, 20, "planted")
WRITTEN = [(net, style) for net in NETS for style in net.styles]


def named(value: Any) -> str | None:
    return value.name.replace(" ", "_") if isinstance(value, Net) else None


def only(candidate: Candidate, by: str, **changes: Any) -> Candidate:
    """Return a candidate with ``gradients`` or ``step`` alone, and perhaps no loss."""
    changes = {"loss": None, "step" if by == "gradients" else "gradients": None} | changes
    return replace(candidate, **changes)


def batch(net: Net, style: str) -> tuple[np.ndarray, np.ndarray]:
    """Return samples and labels as a style takes them."""
    rng = np.random.default_rng(7)
    x, y = rng.standard_normal((8, net.sizes[0])), np.eye(net.sizes[-1])[rng.integers(0, 3, 8)]
    return (x.T, y.T) if SAMPLES[style] == "columns" else (x, y)


@pytest.mark.parametrize("case", ASKED, ids=str)
def test_a_planted_bug_is_found_and_named(case: Case):
    bug, said = case.bug, answer(case)
    assert not said.report.passed, f"not found: {bug.name}\n{said.report}"
    expected = f"expected {bug.codes} at {case.where!r} {bug.text!r}\n{said.report}"
    assert said.first is not None, expected
    assert not said.wrong, expected
    assert said.named, expected


def test_all_bugs_are_found_and_nearly_all_are_named():
    answers = {str(case): answer(case) for case in ASKED}
    missed = [name for name, said in answers.items() if said.report.passed]
    misnamed = [name for name, said in answers.items() if not said.named]
    right = len(ASKED) - len(misnamed)
    print(f"{len(BUGS)} bugs, {len(ASKED)} cases: {len(ASKED) - len(missed)} found, {right} named")
    assert len({bug.name for bug in BUGS}) == len(BUGS) >= 60
    assert {case.bug.name for case in CASES} == {bug.name for bug in BUGS}
    assert len(answers) == len(ASKED)
    assert not missed
    assert right >= 0.95 * len(ASKED), "\n".join(misnamed)


@pytest.mark.parametrize("case", [c for c in CASES if getattr(c.bug, c.style)], ids=str)
def test_a_planted_bug_changes_what_is_computed(case: Case):
    wrong = build(case.style, case.net, getattr(case.bug, case.style))
    assert not alike(computed(build(case.style, case.net), case), computed(wrong, case))


def computed(candidate: Candidate, case: Case) -> list[Any]:
    """Return all that a network answers on a batch, asked twice as in training."""
    x, y = batch(case.net, case.style)
    calls: Any = candidate
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            answers = [calls.forward(x.copy()), calls.loss(x.copy(), y)]
            for _ in range(2):
                if case.bug.by == "step":
                    calls.step(x.copy(), y, 0.1)
                    found = calls.get_weights()
                else:
                    found = calls.gradients(x.copy(), y)
                if isinstance(found, dict):
                    found = [found[name] for name in calls.get_weights()]
                answers.append([np.copy(leaf.value) for leaf in nested.leaves(found)])
        except (ValueError, KeyError, TypeError):  # gradients of other shapes, or missing
            return []
    return answers


def alike(one: Any, other: Any) -> bool:
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(alike, one, other))
    return np.shape(one) == np.shape(other) and np.array_equal(one, other)


@pytest.mark.parametrize(("net", "style"), WRITTEN, ids=named)
@pytest.mark.parametrize("by", ["gradients", "step"])
def test_without_a_bug_nothing_is_found(net: Net, style: str, by: str):
    if net is D4 and by == "step":
        pytest.skip("its gradients are enough, and slow")
    declared = {"labels": None, "weight_decay": net.decay or None}
    report = parity.check(only(build(style, net), by, **declared), net.reference, keras=False)
    assert report.passed, str(report)
    assert not report.findings


@pytest.mark.parametrize(
    ("net", "style"), [w for w in WRITTEN if w[0].name[0].isalpha()], ids=named
)
def test_without_a_bug_nothing_is_found_without_a_reference(net: Net, style: str):
    whole = build(style, net)
    report = parity.check(only(whole, "gradients", loss=whole.loss), keras=net is SOFTMAX)
    assert report.passed, str(report)
    assert not report.findings


@pytest.mark.parametrize(
    ("net", "style"),
    [w for w in WRITTEN if w[0].sizes == SMALL and w[0].optimizer == "sgd"],
    ids=named,
)
def test_the_right_gradients_are_the_derivatives_of_the_cost(net: Net, style: str):
    candidate = build(style, net)
    x, y = batch(net, style)
    assert candidate.gradients is not None
    assert callable(candidate.loss)
    given = candidate.gradients(x, y)
    assert candidate.get_weights is not None
    weights, found = candidate.get_weights(), given
    if isinstance(given, dict):
        found = [given[name] for name in weights]
    pairs = zip(nested.leaves(weights), nested.leaves(found), strict=True)
    for weight, gradient in [(w.value, np.copy(g.value)) for w, g in pairs]:
        for index in np.ndindex(weight.shape):
            before, values = weight[index], []
            for h in (1e-5, -1e-5):
                weight[index] = before + h
                values.append(candidate.loss(x, y))
            weight[index] = before
            measured = (values[0] - values[1]) / 2e-5
            assert gradient[index] == pytest.approx(measured, rel=1e-5, abs=1e-8)


# Softmax, whose output's delta is the derivative of binary cross-entropy times a(1 - a): p - y.
BINARY = {
    "A": ("delta = a - y => delta = (a - y) / (a * (1 - a)) * a * (1 - a)",),
    "B": ("return a - y => return (a - y) / (a * (1 - a)) * (a * (1 - a))",),
    "C": (
        "return -y / a / len(y) => return (a - y) / (a * (1 - a)) / len(y)",
        "return self.a * (grad - (grad * self.a).sum(axis=-1, keepdims=True)) => "
        "return grad * self.a * (1 - self.a)",
    ),
}
LOG, VALUE = "y * np.log(a) + (1 - y) * np.log(1 - a)", "value = "
BINARY_COST = {
    "A": f"np.sum(y * np.log(a)) => np.sum({LOG})",
    "B": f"-(y * np.log(a)).sum() => -({LOG}).sum()",
    "C": f"-np.sum(y * np.log(a)) => -np.sum({LOG})",
}
MEAN_COST = {
    "A": "0.5 * np.sum((a - y) ** 2) / len(x) => np.mean((a - y) ** 2)",
    "B": "((a - y) ** 2).sum() / (2 * m) => ((a - y) ** 2).mean()",
    "C": "0.5 * np.sum((a - y) ** 2) / len(y) => np.mean((a - y) ** 2)",
    "D": "0.5 * np.sum((self.feed(x) - y) ** 2) / x.shape[1] => np.mean((self.feed(x) - y) ** 2)",
}


@pytest.mark.parametrize(("style", "printed"), list(product("ABC", [False, True])))
def test_binary_cross_entropy_times_the_diagonal_is_right_behind_softmax(style: str, printed: bool):
    candidate = build(style, SOFTMAX, (*BINARY[style], BINARY_COST[style]))
    loss = candidate.loss if printed else None
    report = parity.check(only(candidate, "gradients", loss=loss), SOFTMAX.reference, keras=printed)
    assert report.passed, str(report)
    assert not report.findings
    assert any("cross-entropy" in remark for remark in report.remarks) == printed


@pytest.mark.parametrize(
    ("net", "style"), [(net, s) for net in (SIGMOID, PLAIN) for s in net.styles], ids=named
)
def test_mean_squared_error_printed_over_half_of_it_descended_is_a_scale(net: Net, style: str):
    candidate = build(style, net, MEAN_COST[style])
    report = parity.check(
        only(candidate, "gradients", loss=candidate.loss), net.reference, keras=False
    )
    assert report.passed, str(report)
    assert not report.findings
    assert any(remark.startswith("Scale") for remark in report.remarks)


@pytest.mark.parametrize("with_loss", [False, True])
def test_right_arrays_that_are_held_elsewhere_too_are_right(with_loss: bool):
    rng = np.random.default_rng(0)
    w, b = rng.standard_normal((4, 3)), rng.standard_normal(3)
    params = [w, b]  # for the optimizer; the passes use w and b

    def forward(x):
        return 1 / (1 + np.exp(-(x @ w + b)))

    def gradients(x, y):
        a = forward(x)
        delta = (a - y) * a * (1 - a) / len(x)
        return [x.T @ delta, delta.sum(axis=0)]

    def loss(x, y):
        return 0.5 * np.sum((forward(x) - y) ** 2) / len(x)

    candidate = Candidate(
        get_weights=lambda: params,
        forward=forward,
        gradients=gradients,
        loss=loss if with_loss else None,
    )
    report = parity.check(candidate, keras=False)
    assert report.passed, str(report)
    assert params[0] is w


def test_changing_x_after_its_use_is_told_and_no_wrong_gradient():
    candidate = build("A", SOFTMAX, "    return grads <+ x *= 0")
    report = parity.check(only(candidate, "gradients"), SOFTMAX.reference, keras=False)
    assert {finding.code for finding in report.findings} <= {"aliasing"}
    assert "gradients changes x" in str(report)


@pytest.mark.parametrize("keras", [False, True])
def test_all_four_errors_of_the_published_dropout_update_are_named(keras: bool):
    report = parity.check(documents.dropout_candidate(), D2.reference, keras=keras)
    by_code = {finding.code: finding for finding in report.findings}
    assert set(by_code) == {
        "softmax-diagonal-of-activation", "derivative-at-dropped", "dropout-scale-missing",
    }, str(report)  # fmt: skip
    softmax = by_code["softmax-diagonal-of-activation"]
    assert "diagonal" in softmax.title
    assert "softmax(softmax(z))" in softmax.title
    assert "output" in softmax.where
    assert "tanh" in by_code["derivative-at-dropped"].title
    assert all("layer 1" in by_code[c].where for c in by_code if c != softmax.code)


def test_the_published_epoch_leaves_out_the_last_sample():
    report = parity.check(documents.epoch_candidate(), "784-64-10", keras=False)
    assert [finding.code for finding in report.findings] == ["sample-left-out"], str(report)
    assert "last sample" in report.findings[0].title


class Failed(Exception):
    pass


@pytest.mark.parametrize("style", "ABCD")
@pytest.mark.parametrize(
    ("where", "error"),
    [
        ("", Failed),
        *product(["forward", "gradients", "step", "loss"], [Failed]),
        *product(["gradients", "step"], [SystemExit, KeyboardInterrupt]),
    ],
)
def test_the_weights_are_as_before(style: str, where: str, error: type[BaseException]):
    whole = build(style, SIGMOID)
    declared: dict[str, Any] = {"labels": "one-hot", "samples": SAMPLES[style], "loss": whole.loss}
    candidate = only(whole, "step" if where == "step" else "gradients", **declared)
    calls = []

    def broken(*arguments: Any) -> Any:
        answered = getattr(whole, where)(*arguments)
        calls.append(arguments)
        if len(calls) > 2:
            raise error  # after a step has changed the weights
        return answered

    if where:
        candidate = replace(candidate, **{where: broken})
    assert candidate.get_weights is not None
    before = [leaf.value for leaf in nested.leaves(candidate.get_weights())]
    saved = [array.tobytes() for array in before]
    try:
        report = parity.check(candidate, SIGMOID.reference, keras=False)
        assert report.passed == (where in ("", "loss"))
    except KeyboardInterrupt:
        assert error is KeyboardInterrupt
    after = [leaf.value for leaf in nested.leaves(candidate.get_weights())]
    assert [array.tobytes() for array in after] == saved
    assert all(new is old for new, old in zip(after, before, strict=True))
