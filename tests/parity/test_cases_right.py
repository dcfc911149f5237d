"""Right code of people is called right, or right but for a scale; what was not tested is said."""

import importlib.util
from collections import namedtuple
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import parity
from numpy_impl.layers import Dense
from parity.reports.report import Outcome

CASES = Path(__file__).parents[1] / "cases"


def load(name: str) -> ModuleType:
    """Return a case as a module of its own, made anew."""
    spec = importlib.util.spec_from_file_location(Path(name).stem, CASES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def check(name: str, make: str = "make", **options: Any) -> parity.CheckReport:
    return parity.check(getattr(load(name), make), keras=False, **options)


def right(report: parity.CheckReport) -> parity.CheckReport:
    assert report.outcome is Outcome.RIGHT, str(report)
    return report


def wrong(report: parity.CheckReport, *codes: str) -> parity.CheckReport:
    assert report.outcome is Outcome.WRONG, str(report)
    assert tuple(finding.code for finding in report.findings) == codes, str(report)
    return report


def said(report: parity.CheckReport) -> str:
    """Return all remarks in one."""
    return " ".join(report.remarks)


# Gradients in dicts.


def two_layers(pack, pack_gradients, rng_seed: int = 0, spoil: float = 1.0):
    """Return the maker of a 6-5-4 network of tanh and outputs, its weights and gradients packed."""
    rng = np.random.default_rng(rng_seed)
    P = [rng.normal(size=s) for s in ((6, 5), (5,), (5, 4), (4,))]

    def hidden(x):
        return np.tanh(x @ P[0] + P[1])

    def forward(x):
        return hidden(x) @ P[2] + P[3]

    def gradients(x, y):
        h = hidden(x)
        d2 = (forward(x) - y) / len(x)
        d1 = d2 @ P[2].T * (1 - h**2)
        return pack_gradients(x.T @ d1 * spoil, d1.sum(0), h.T @ d2, d2.sum(0))

    return lambda: parity.Candidate(
        get_weights=lambda: pack(*P), forward=forward, gradients=gradients
    )


Layer = namedtuple("Layer", "kernel bias")
Turned = namedtuple("Turned", "bias kernel")
KEYED = {
    "list of dicts": (
        lambda W, b, V, c: [{"w": W, "b": b}, {"w": V, "b": c}],
        lambda W, b, V, c: [{"b": b, "w": W}, {"b": c, "w": V}],
    ),
    "tuple of dicts, dw for w": (
        lambda W, b, V, c: ({"w": W, "b": b}, {"w": V, "b": c}),
        lambda W, b, V, c: ({"db": b, "dw": W}, {"db": c, "dw": V}),
    ),
    "dict of lists": (
        lambda W, b, V, c: {"W": [W, V], "b": [b, c]},
        lambda W, b, V, c: {"db": [b, c], "dW": [W, V]},
    ),
    "dict of lists, w_grad": (
        lambda W, b, V, c: {"w": [W, V], "b": [b, c]},
        lambda W, b, V, c: {"b_grad": [b, c], "w_grad": [W, V]},
    ),
    "dict of dicts, in the backward order": (
        lambda W, b, V, c: {"hidden": {"W": W, "b": b}, "out": {"W": V, "b": c}},
        lambda W, b, V, c: {"out": {"b": c, "W": V}, "hidden": {"b": b, "W": W}},
    ),
    "dicts with numbers": (
        lambda W, b, V, c: {1: {"W": W, "b": b}, 2: {"W": V, "b": c}},
        lambda W, b, V, c: {2: {"grad_b": c, "grad_W": V}, 1: {"grad_b": b, "grad_W": W}},
    ),
    "a layer's dict with its weights as well": (
        lambda W, b, V, c: [{"W": W, "b": b}, {"W": V, "b": c}],
        lambda W, b, V, c: [
            {"W": np.ones_like(W), "b": b * 0, "dW": W, "db": b},
            {"W": np.ones_like(V), "b": c * 0, "db": c, "dW": V},
        ],
    ),
    "named tuples": (
        lambda W, b, V, c: [Layer(W, b), Layer(V, c)],
        lambda W, b, V, c: [Turned(b, W), Turned(c, V)],
    ),
    "one dict, with what else is computed": (
        lambda W, b, V, c: {"W1": W, "b1": b, "W2": V, "b2": c},
        lambda W, b, V, c: {"dZ2": c * 2, "dW2": V, "db2": c, "dA1": b, "dW1": W, "db1": b},
    ),
    "an object array of dicts": (
        lambda W, b, V, c: np.array([{"W": W, "b": b}, {"W": V, "b": c}], dtype=object),
        lambda W, b, V, c: np.array([{"b": b, "W": W}, {"b": c, "W": V}], dtype=object),
    ),
}  # fmt: skip


def test_a_list_of_dicts_is_matched_by_its_keys():
    right(check("right/repro_list_of_dicts"))


@pytest.mark.parametrize("kept", KEYED)
def test_gradients_with_names_are_matched_by_these(kept):
    right(parity.check(two_layers(*KEYED[kept]), keras=False))


@pytest.mark.census(keep=2)
@pytest.mark.parametrize("kept", KEYED)
def test_a_bug_in_gradients_with_names_is_seen(kept):
    report = parity.check(two_layers(*KEYED[kept], spoil=3.0), keras=False)
    wrong(report, "factor")
    assert "layer 1 kernel" in report.findings[0].where


# How samples lie, and batches.


def crossed(inputs: str, outputs: str, labels: str, bug: str = "", sizes=(6, 5, 4)):
    """Return the maker of a softmax network whose inputs, outputs and labels lie as they may."""
    rng = np.random.default_rng(3)
    n, h, k = sizes
    W1, b1, W2, b2 = rng.normal(size=(h, n)), np.zeros((h, 1)), rng.normal(size=(k, h)), np.zeros(k)

    def columns(x):
        return x if inputs == "columns" else x.T

    def run(x):
        a = np.tanh(W1 @ columns(x) + b1)
        e = np.exp(W2 @ a + b2[:, None])
        return a, e / e.sum(axis=0)

    def forward(x):
        return run(x)[1] if outputs == "columns" else run(x)[1].T

    def gradients(x, y):
        a, p = run(x)
        m = p.shape[1]
        t = np.eye(k)[y].T if labels == "integer" else (y if labels == "columns" else y.T)
        assert t.shape == p.shape
        d2 = (p - t) / m
        d1 = W2.T @ d2 * (1 - a**2)
        many = m if bug == "bias" else 1
        return [d1 @ columns(x).T, d1.sum(1, keepdims=True) * many, d2 @ a.T, d2.sum(1)]

    return lambda: parity.Candidate(
        get_weights=lambda: [W1, b1, W2, b2], forward=forward, gradients=gradients
    )


MIXED = [("rows", "columns"), ("columns", "rows")]


def test_samples_in_rows_and_outputs_in_columns_are_asked_with_a_batch():
    report = wrong(check("right/repro_rows_in_columns_out"), "times-m", "times-m")
    assert "bias" in report.findings[0].where
    report = right(check("right/repro_rows_in_columns_out", "make_right"))
    assert report.conventions["samples"] == "in rows (batch, inputs); outputs in columns"
    assert report.conventions["batch"].startswith("11 samples")


@pytest.mark.parametrize(("inputs", "outputs"), MIXED)
@pytest.mark.parametrize("labels", ["rows", "columns", "integer"])
@pytest.mark.parametrize("sizes", [(6, 5, 4), (3, 8, 2)])
def test_inputs_and_outputs_may_lie_either_way(inputs, outputs, labels, sizes):
    report = right(parity.check(crossed(inputs, outputs, labels, sizes=sizes), keras=False))
    assert f"in {inputs}" in report.conventions["samples"]
    assert f"outputs in {outputs}" in report.conventions["samples"]
    assert not report.remarks
    report = parity.check(crossed(inputs, outputs, labels, "bias", sizes), keras=False)
    wrong(report, "times-m")


def test_one_output_may_have_its_labels_in_a_row_beside_samples_in_rows():
    rng = np.random.default_rng(0)
    W, b = rng.normal(size=(1, 5)), np.zeros((1, 1))

    def forward(x):
        return 1 / (1 + np.exp(-(W @ x.T + b)))

    def gradients(x, y):
        assert y.shape == (1, len(x))
        d = (forward(x) - y) / len(x)
        return [d @ x, d.sum(axis=1, keepdims=True)]

    candidate = parity.Candidate(get_weights=lambda: [W, b], forward=forward, gradients=gradients)
    assert right(parity.check(candidate, keras=False)).conventions["batch"].startswith("7 samples")


def vectors(whole: bool, bug: str = "", outputs: int = 3):
    """Return the maker of a network that takes vectors; ``whole``: its forward takes a batch."""
    rng = np.random.default_rng(4)
    W1, b1 = rng.normal(size=(6, 5)), np.zeros(6)
    W2, b2 = rng.normal(size=(outputs, 6)), np.zeros(outputs)

    def one(x):
        h = np.tanh(W1.dot(x) + b1)
        return h, W2.dot(h) + b2

    def forward(x):
        return np.array([one(sample)[1] for sample in x]) if whole else one(x)[1]

    def gradients(x, y):
        h, a = one(x)
        d2 = a - y
        d1 = W2.T.dot(d2) * (1 if bug == "slope" else 1 - h * h)
        return [np.outer(d1, x), d1, np.outer(d2, h), d2]

    return lambda: parity.Candidate(
        get_weights=lambda: [W1, b1, W2, b2], forward=forward, gradients=gradients
    )


@pytest.mark.parametrize("whole", [True, False])
def test_what_takes_single_samples_alone_is_said_to_be_untested_with_batches(whole):
    report = right(parity.check(vectors(whole), keras=False))
    assert "Batches: not tested, as " + ("gradients" if whole else "forward") in said(report)
    assert "ValueError: shapes (6,5) and (11,5) not aligned" in said(report)
    report = parity.check(vectors(whole, "slope"), keras=False)
    assert report.outcome is Outcome.WRONG
    assert [finding.code for finding in report.findings] == ["missing-derivative"]
    assert "ValueError: shapes (6,5) and (11,5) not aligned" in said(report)


def test_nothing_is_said_of_batches_where_samples_are_declared_single():
    candidate = parity.Candidate(**{**vars(vectors(False)()), "samples": "single"})
    assert not right(parity.check(candidate, keras=False)).remarks


def test_an_exception_with_batches_is_quoted():
    report = check("wrong/repro_hidden_exception")
    assert report.outcome is not Outcome.RIGHT
    first = report.findings[0]
    assert first.code == "exception"
    assert "operands could not be broadcast together with shapes (3,4) (4,4)" in first.evidence
    assert "np.dot(h.T, d1)" in first.detail


@pytest.mark.parametrize("make", ["make", "make_dropout"])
def test_a_step_is_tried_with_single_samples_as_gradients_were(make):
    report = right(check("right/repro_step_one_sample", make))
    assert [row for row in report.tensors if row.kind == "step"]


@pytest.mark.parametrize("make", ["make", "make_single"])
def test_a_step_may_update_after_each_sample_of_its_batch(make):
    report = right(check("right/repro_online_step", make))
    assert ("several updates" in said(report)) is (make == "make")


def online(columns: bool, bug: str = "", shuffled: bool = False, **more: Any):
    """Return the maker of a network whose step updates after each sample, by rebinding."""
    rng = np.random.default_rng(5)
    net = {"W": rng.normal(size=(5, 3)), "b": np.zeros(3)}

    def forward(x):
        a = np.tanh((x.T if columns else x) @ net["W"] + net["b"])
        return a.T if columns else a

    def step(x, y, rate):
        x, y = (x.T, y.T) if columns else (x, y)
        for n in rng.permutation(len(x)) if shuffled else range(len(x)):
            a = np.tanh(x[n] @ net["W"] + net["b"])
            d = (a - y[n]) * (1 if bug == "slope" else 1 - a**2)
            net["W"] = net["W"] - rate * np.outer(x[n], d)
            net["b"] = net["b"] - rate * d * (2 if bug == "bias" else 1)

    def gradients(x, y):
        x, y = (x.T, y.T) if columns else (x, y)
        a = np.tanh(x @ net["W"] + net["b"])
        d = (a - y) * (1 - a**2)
        return {"W": x.T @ d, "b": d.sum(axis=0)}

    more = {"gradients": gradients, **more} if more else {}
    return lambda: parity.Candidate(get_weights=lambda: net, forward=forward, step=step, **more)


@pytest.mark.parametrize("columns", [False, True])
def test_online_learning_is_the_declared_descent(columns):
    declared = "SGD(learning_rate=0.5)"
    report = right(parity.check(online(columns, optimizer=declared), keras=False))
    assert report.conventions["optimizer"] == "SGD (declared)"
    assert "several updates" in said(report)
    report = parity.check(online(columns, "bias", optimizer=declared), keras=False)
    assert report.outcome is Outcome.WRONG
    report = parity.check(online(columns, optimizer="SGD(momentum=0.9)"), keras=False)
    assert [finding.code for finding in report.findings] == ["other-optimizer"]


@pytest.mark.parametrize("columns", [False, True])
def test_online_learning_is_checked_one_sample_a_call(columns):
    assert "several updates" in said(right(parity.check(online(columns), keras=False)))
    assert parity.check(online(columns, "bias"), keras=False).outcome is not Outcome.RIGHT


# Scales, and losses.


def test_one_scale_is_remarked_whether_the_loss_is_a_name_or_a_function():
    by_name = said(right(check("right/repro_declared_scale")))
    by_function = said(right(check("right/repro_declared_scale", "make_function")))
    parts = "1/2 against 1; times m = 7, not divided by the batch size"
    assert parts in by_name
    assert parts in by_function
    report = right(check("right/repro_declared_scale", "make_four"))
    assert "1/2 against 1/n, n = 4 being the outputs; times m = 7" in said(report)
    report = right(check("right/repro_declared_scale", "make_ten"))
    assert "1/2 against 1/n, n = 10 being the outputs" in said(report)
    assert not any(number in said(report) for number in ("3.5", "35", "14"))


@pytest.mark.parametrize(
    ("half", "codes"), [(-1.0, ["sign"]), (0.3, ["factor"]), (3.0, ["factor"])]
)
@pytest.mark.parametrize("loss", ["mean_squared_error", None])
def test_a_factor_of_no_reduction_is_wrong_beside_a_loss_that_is_given(half, codes, loss):
    module = load("right/repro_declared_scale")
    report = parity.check(lambda: module.build(4, loss, half), keras=False)
    wrong(report, *codes)


@pytest.mark.parametrize(
    ("loss", "divided", "parts"),
    [
        ("categorical_crossentropy", False, "times m = 11, not divided by the batch size"),
        ("categorical_crossentropy/sum", True, "divided by the batch size, m = 11"),
        ("binary_crossentropy", True, "1 against 1/n, n = 4 being the outputs"),
    ],
)
def test_parts_of_a_scale_are_named(loss, divided, parts):
    rng = np.random.default_rng(0)
    W, b = rng.normal(size=(6, 4)), np.zeros(4)
    softmax = loss.startswith("cat")

    def forward(x):
        e = np.exp(x @ W + b)
        return e / e.sum(axis=1, keepdims=True) if softmax else e / (1 + e)

    def gradients(x, y):
        d = (forward(x) - y) / (len(x) if divided else 1)
        return [x.T @ d, d.sum(axis=0)]

    report = parity.check(
        parity.Candidate(
            get_weights=lambda: [W, b], forward=forward, gradients=gradients, loss=loss
        ),
        keras=False,
    )
    assert parts in said(right(report)).replace("m = 7", "m = 11")


def logits(loss: str, slope, outputs: int = 4, forward_of=lambda z: z):
    """Return the maker of a relu network whose outputs are logits, its delta given by ``slope``."""
    rng = np.random.default_rng(0)
    W1, b1, W2, b2 = (
        rng.normal(size=s) for s in ((6, 5), (5,), (5, outputs), (outputs,))
    )  # fmt: skip

    def forward(x):
        return forward_of(np.maximum(0, x @ W1 + b1) @ W2 + b2)

    def gradients(x, y):
        h = np.maximum(0, x @ W1 + b1)
        d2 = slope(h @ W2 + b2, y) / len(x)
        d1 = d2 @ W2.T * (h > 0)
        return [x.T @ d1, d1.sum(0), h.T @ d2, d2.sum(0)]

    return lambda: parity.Candidate(
        get_weights=lambda: [W1, b1, W2, b2], forward=forward, gradients=gradients, loss=loss
    )


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def test_logits_beside_cross_entropy_by_name_are_right_with_a_remark():
    report = right(check("right/repro_logits_declared"))
    assert "of the softmax of your outputs" in said(report)
    assert "from_logits=True" in said(report)


def test_other_outputs_that_are_no_probabilities_are_right_too():
    make = logits("binary_crossentropy", lambda z, y: (1 / (1 + np.exp(-z)) - y) / 4)
    assert "of the sigmoid of your outputs" in said(right(parity.check(make, keras=False)))
    make = logits(
        "categorical_crossentropy",
        lambda z, y: softmax(z) - y,
        forward_of=lambda z: np.log(softmax(z)),
    )
    assert "log-probabilities" in said(right(parity.check(make, keras=False)))


def test_logits_with_the_gradient_of_another_loss_get_advice_for_logits():
    make = logits("categorical_crossentropy", lambda z, y: z - y)
    report = wrong(parity.check(make, keras=False), "other-loss")
    assert "softmax(a) - y" in report.findings[0].fix
    assert "-y / a" not in report.findings[0].fix


def test_a_loss_of_one_number_a_sample_is_added_up_and_that_is_said():
    report = right(check("right/repro_loss_array"))
    assert "numbers of shape (7, 3) where one was expected; their sum was taken" in said(report)
    assert report.witnesses[-1].agrees


UNKNOWN = {
    "hinge": (
        lambda a, y: np.maximum(0, 1 - (2 * y - 1) * a),
        lambda a, y: -(2 * y - 1) * ((2 * y - 1) * a < 1),
    ),
    "squared hinge": (
        lambda a, y: np.maximum(0, 1 - (2 * y - 1) * a) ** 2,
        lambda a, y: -2 * (2 * y - 1) * np.maximum(0, 1 - (2 * y - 1) * a),
    ),
    "Huber": (
        lambda a, y: np.where(np.abs(a - y) < 0.5, (a - y) ** 2 / 2, 0.5 * np.abs(a - y) - 0.125),
        lambda a, y: np.clip(a - y, -0.5, 0.5),
    ),
    "quantile": (
        lambda a, y: np.maximum(0.9 * (y - a), -0.1 * (y - a)),
        lambda a, y: np.where(y > a, -0.9, 0.1),
    ),
    "log-cosh": (lambda a, y: np.log(np.cosh(a - y)), lambda a, y: np.tanh(a - y)),
    "weighted": (
        lambda a, y: (1 + 4 * y) * (a - y) ** 2 / 2,
        lambda a, y: (1 + 4 * y) * (a - y),
    ),
    "fourth power": (lambda a, y: (a - y) ** 4, lambda a, y: 4 * (a - y) ** 3),
}


def of_loss(name: str, outputs: int, slope=None, gives: str = "gradients"):
    value, right_slope = UNKNOWN[name]
    whole = load("right/repro_own_unknown_loss").build(value, slope or right_slope, outputs)
    if gives == "gradients":
        return whole

    def step(x, y, rate):
        for weight, gradient in zip(whole.get_weights(), whole.gradients(x, y), strict=True):
            weight -= rate * gradient

    fields = {**vars(whole), "step": step}
    return parity.Candidate(**(fields if gives == "both" else {**fields, "gradients": None}))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("make", ["make", "make_smooth", "make_weighted"])
def test_the_derivative_of_a_loss_unknown_here_is_the_verdict(make, seed):
    report = right(check("right/repro_own_unknown_loss", make, seed=seed))
    assert "none that is known here" in said(report)


@pytest.mark.census(keep=3)
@pytest.mark.parametrize(("outputs", "gives"), [(1, "both"), (3, "gradients"), (3, "step")])
@pytest.mark.parametrize("name", UNKNOWN)
def test_losses_unknown_here_are_right(name, outputs, gives):
    report = right(parity.check(lambda: of_loss(name, outputs, gives=gives), keras=False))
    assert "none that is known here" in said(report)
    assert "batches of" in report.summary


@pytest.mark.census(keep=2)
@pytest.mark.parametrize("name", UNKNOWN)
def test_a_bug_beside_a_loss_unknown_here_is_seen(name):
    _, slope = UNKNOWN[name]
    make = lambda: of_loss(name, 3, lambda a, y: slope(a, y) * [1, 1, 1.01])  # noqa: E731
    assert parity.check(make, keras=False).outcome is Outcome.WRONG
    assert parity.check(lambda: of_loss(name, 3, slope), keras=False).outcome is Outcome.RIGHT


def test_looking_at_the_first_sample_alone_is_one_finding():
    report = wrong(check("right/repro_first_sample_only"), "one-sample")
    assert report.findings[0].title == "only the first sample of the batch is used"
    assert 'samples="single"' in report.findings[0].fix


@pytest.mark.census(keep=2)
@pytest.mark.parametrize("sample", [0, -1])
@pytest.mark.parametrize("divided", [False, True])
def test_looking_at_one_sample_alone_is_one_finding_whatever_it_is_divided_by(sample, divided):
    rng = np.random.default_rng(1)
    W1, b1, W2, b2 = rng.normal(size=(5, 4)), np.zeros(4), rng.normal(size=(4, 3)), np.zeros(3)

    def forward(x):
        return np.tanh(x @ W1 + b1) @ W2 + b2

    def gradients(x, y):
        one = slice(0, 1) if sample == 0 else slice(-1, None)
        h = np.tanh(x[one] @ W1 + b1)
        d2 = (forward(x[one]) - y[one]) / (len(x) if divided else 1)
        d1 = d2 @ W2.T * (1 - h**2)
        return [x[one].T @ d1, d1.sum(0), h.T @ d2, d2.sum(0)]

    make = parity.Candidate(get_weights=lambda: [W1, b1, W2, b2], forward=forward,
                            gradients=gradients)  # fmt: skip
    report = wrong(parity.check(make, keras=False), "one-sample")
    assert ("first", "last")[sample] in report.findings[0].title


# "Wrong" is asked for twice.


def passing(calls: list[int], wrong_for: int):
    """Return the maker of a network whose gradients are wrong when it is first made."""
    made: list[int] = []

    def make():
        made.append(0)
        whole = two_layers(lambda *p: list(p), lambda *g: list(g))()
        right_ones = whole.gradients
        assert right_ones is not None
        number = len(made)

        def gradients(x, y):
            calls.append(number)
            first, *rest = right_ones(x, y)
            return [first * (3 if number <= wrong_for else 1), *rest]

        return parity.Candidate(**{**vars(whole), "gradients": gradients})

    return make


def test_wrong_on_one_draw_alone_is_not_called_wrong():
    report = parity.check(passing([], 1), keras=False)
    assert report.outcome is Outcome.UNKNOWN, str(report)
    first = report.findings[0]
    assert first.code == "unconfirmed"
    assert "kernel gradient off by a factor: ×3 (layer 1 kernel (weights[0]))" in first.evidence
    assert "on the others nothing was wrong" in first.evidence
    wrong(parity.check(passing([], 9), keras=False), "factor")


def test_a_right_network_is_asked_once():
    calls: list[int] = []
    right(parity.check(passing(calls, 0), keras=False))
    assert set(calls) == {1}


def test_both_times_have_batches_of_other_sizes():
    sizes: dict[int, int] = {}

    def make():
        whole = two_layers(lambda *p: list(p), lambda *g: list(g), spoil=2.0)()
        plain = whole.forward
        assert plain is not None

        def forward(x):
            sizes.setdefault(len(x), len(sizes))
            return plain(x)

        return parity.Candidate(**{**vars(whole), "forward": forward})

    wrong(parity.check(make, keras=False), "times-2")
    assert len([size for size in sizes if size not in (1, 5, 6)]) >= 2


# Activations that are found out.


def stack(activations, seed=0, sizes=(5, 6, 4, 6, 5, 7, 3)):
    """Return the maker of a network with other activations in each layer, as (f, f') pairs."""
    rng = np.random.default_rng(seed)
    depth = len(activations)
    P = [rng.normal(size=s) for n in range(depth) for s in (sizes[n : n + 2], sizes[n + 1])]

    def run(x):
        a, z = [x], []
        for n, (f, _) in enumerate(activations):
            z.append(a[-1] @ P[2 * n] + P[2 * n + 1])
            a.append(f(z[-1]))
        return a, z

    def gradients(x, y):
        a, z = run(x)
        d = (a[-1] - y) / len(x)
        found = []
        for n in reversed(range(depth)):
            d = d * activations[n][1](z[n])
            found = [a[n].T @ d, d.sum(0), *found]
            d = d @ P[2 * n].T
        return found

    return lambda: parity.Candidate(
        get_weights=lambda: P, forward=lambda x: run(x)[0][-1], gradients=gradients
    )


def sigma(z):
    return 1 / (1 + np.exp(-z))


SIGMOID = (sigma, lambda z: sigma(z) * (1 - sigma(z)))
TANH = (np.tanh, lambda z: 1 - np.tanh(z) ** 2)
SOFTPLUS = (lambda z: np.log1p(np.exp(z)), sigma)
LINEAR = (lambda z: z, np.ones_like)
CUBIC = (lambda z: z + z**3 / 9, lambda z: 1 + z**2 / 3)


@pytest.mark.census(keep=2)
@pytest.mark.parametrize(
    ("activations", "outcome"),
    [
        ((SIGMOID, SIGMOID, TANH, SIGMOID, SIGMOID, LINEAR), Outcome.RIGHT),
        ((SIGMOID, TANH, SOFTPLUS, TANH, SIGMOID, LINEAR), Outcome.UNKNOWN),
        ((TANH, SIGMOID, SOFTPLUS, LINEAR), Outcome.RIGHT),
        ((TANH, CUBIC, LINEAR), Outcome.UNKNOWN),
        ((SIGMOID, CUBIC, SIGMOID, SIGMOID), Outcome.UNKNOWN),
    ],
    ids=range(5),
)
def test_a_guess_at_the_layers_accuses_nobody(activations, outcome):
    report = parity.check(stack(activations), keras=False)
    assert report.outcome is outcome, str(report)


def test_softmax_of_minus_z_is_known():
    report = right(check("right/repro_softmin"))
    assert report.conventions["activations"] == "relu, softmax(-z)"
    meant = [Dense(5, "relu"), Dense(4, "softmax")]
    report = wrong(check("right/repro_softmin", reference=meant), "other-activation")
    assert "softmax(-z) instead of softmax" in report.findings[0].title


def hard_sigmoid(slope: float):
    return (
        lambda z: np.clip(slope * z + 0.5, 0, 1),
        lambda z: slope * (np.abs(z) < 0.5 / slope),
    )


def times(function, before=1.0, after=1.0, plus=0.0):
    f, slope = function
    return lambda z: after * f(before * z) + plus, lambda z: after * before * slope(before * z)


@pytest.mark.census(keep=3)
@pytest.mark.parametrize(
    ("activations", "said"),
    [
        ((hard_sigmoid(0.2), LINEAR), "hard_sigmoid (0.2z + 0.5), linear"),
        ((hard_sigmoid(1 / 6), SIGMOID), "hard_sigmoid, sigmoid"),
        ((TANH, hard_sigmoid(0.2)), "tanh, hard_sigmoid (0.2z + 0.5)"),
        ((LINEAR, LINEAR, SIGMOID), "linear, linear, sigmoid"),
        ((LINEAR, TANH, LINEAR), "linear, tanh, linear"),
        ((LINEAR, SIGMOID), "linear, sigmoid"),
        ((TANH, times(SIGMOID, after=5.0)), "tanh, 5 sigmoid(z)"),
        ((TANH, times(SIGMOID, after=2.0, plus=-1.0)), "tanh, tanh(0.5 z)"),
        ((TANH, times(SIGMOID, before=3.0)), "tanh, sigmoid(3 z)"),
        ((TANH, times(SIGMOID, before=-1.0)), "tanh, sigmoid(-z)"),
        ((SIGMOID, times(LINEAR, after=0.1)), "sigmoid, 0.1 z"),
        ((SIGMOID, times(LINEAR, after=2.0, plus=1.0)), "sigmoid, 2 z + 1"),
        ((SIGMOID, times(TANH, after=1.5, plus=0.5)), "sigmoid, 1.5 tanh(z) + 0.5"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize("seed", [0, 1])
def test_activations_that_are_known_ones_stretched(activations, said, seed):
    report = right(parity.check(stack(activations, seed), keras=False))
    assert report.conventions["activations"] == said
    f, slope = activations[0]
    bug = ((f, lambda z: 2 * slope(z)), *activations[1:])
    wrong(parity.check(stack(bug, seed), keras=False), "times-2")


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [(0.5, 1, "softmax(0.5 z)"), (1 / 3, 1, "softmax(0.333333 z)"), (1, 4, "4 softmax(z)"),
     (-2, 1, "softmax(-2 z)")],
)  # fmt: skip
def test_softmax_with_a_temperature_is_known(before, after, said):
    def slope(z, y):
        p = softmax(before * z)
        d = after * p - y
        return before * after * p * (d - (d * p).sum(axis=1, keepdims=True))

    make = logits("quadratic", slope, forward_of=lambda z: after * softmax(before * z))
    report = right(parity.check(make, keras=False))
    assert report.conventions["activations"] == f"relu, {said}"


def test_cross_entropy_of_a_softmax_with_a_temperature():
    make = logits(
        "categorical_crossentropy",
        lambda z, y: (softmax(z / 2) - y) / 2,
        forward_of=lambda z: softmax(z / 2),
    )
    right(parity.check(make))
    make = logits(
        "categorical_crossentropy",
        lambda z, y: softmax(z / 2) - y,
        forward_of=lambda z: softmax(z / 2),
    )
    assert parity.check(make, keras=False).outcome is Outcome.WRONG


def test_hidden_layers_that_are_shown_may_be_affine():
    rng = np.random.default_rng(2)
    W1, b1, W2, b2 = rng.normal(size=(5, 6)), np.zeros(6), rng.normal(size=(6, 3)), np.zeros(3)

    def forward(x):
        h = 0.5 * (x @ W1 + b1) + 1
        return [h, 1 / (1 + np.exp(-(h @ W2 + b2)))]

    def gradients(x, y):
        h, a = forward(x)
        d2 = (a - y) / len(x)
        d1 = d2 @ W2.T * 0.5
        return [x.T @ d1, d1.sum(0), h.T @ d2, d2.sum(0)]

    make = parity.Candidate(get_weights=lambda: [W1, b1, W2, b2], forward=forward,
                            gradients=gradients)  # fmt: skip
    report = right(parity.check(make, keras=False))
    assert report.conventions["activations"] == "0.5 z + 1, sigmoid"
