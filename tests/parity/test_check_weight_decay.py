"""Weight decay in a check: its numbers are those in the user's code, and can be declared."""

import re

import numpy as np
import pytest

import parity
from numpy_impl.optimizers import SGD
from parity import Candidate, Outcome

# The batch that is passed for inputs, units and outputs 12, 4 and 3 below.
BATCH = 7


class Net:
    """tanh and softmax, samples in rows; mean cross-entropy; the decay is as given.

    Args:
        decays: Of kernel and bias of the first layer, then of the second; called with the batch.
        penalty: Of the two kernels' sums of squares in the loss; called with the batch.
        summed: Whether gradients are summed over the batch.
    """

    def __init__(self, decays, penalty=lambda m: (0.0, 0.0), summed=False):
        rng = np.random.default_rng(3)
        self.w = [rng.standard_normal((12, 4)), rng.standard_normal((4, 3))]
        self.b = [rng.standard_normal(4), rng.standard_normal(3)]
        self.decays, self.penalty, self.summed = decays, penalty, summed

    def forward(self, x):
        self.h = np.tanh(x @ self.w[0] + self.b[0])
        e = np.exp(self.h @ self.w[1] + self.b[1])
        return e / e.sum(axis=1, keepdims=True)

    def loss(self, x, y):
        data = -np.sum(y * np.log(self.forward(x))) / len(x)
        both = zip(self.penalty(len(x)), self.w, strict=True)
        return data + sum(p * np.sum(w**2) for p, w in both)

    def weights(self):
        return [self.w[0], self.b[0], self.w[1], self.b[1]]

    def gradients(self, x, y):
        d2 = (self.forward(x) - y) / (1 if self.summed else len(x))
        d1 = d2 @ self.w[1].T * (1 - self.h**2)
        data = [x.T @ d1, d1.sum(axis=0), self.h.T @ d2, d2.sum(axis=0)]
        both = zip(data, self.decays(len(x)), self.weights(), strict=True)
        return [g + decay * w for g, decay, w in both]

    def step(self, x, y, rate):
        for w, g in zip(self.weights(), self.gradients(x, y), strict=True):
            w -= rate * g

    def check(self, loss=False, **given):
        given = {"gradients": self.gradients, "loss": self.loss if loss else None} | given
        candidate = Candidate(get_weights=self.weights, forward=self.forward, **given)
        report = parity.check(candidate, keras=False)
        assert report.conventions["batch"] == f"{BATCH} samples a probe"
        return report


def kernels(first, second=None):
    return lambda m: (first, 0.0, first if second is None else second, 0.0)


def over_batch(first, second=None):
    return lambda m: (first / m, 0.0, (first if second is None else second) / m, 0.0)


def right(report, *remarks):
    """Expect no finding, and these words in the remark on weight decay."""
    assert report.passed, str(report)
    assert all(row.right for row in report.tensors)
    text = remark(report)
    assert all(words in text for words in remarks), text


def remark(report) -> str:
    return " ".join(r for r in report.remarks if r.startswith("Weight decay"))


def wrong(report, code, *words):
    """Expect one finding, and these words in it."""
    assert report.outcome is Outcome.WRONG, str(report)
    (finding,) = report.findings
    text = f"{finding.title} - {finding.where} - {finding.evidence} - {finding.fix}"
    assert finding.code == code, text
    assert all(w in text for w in words), text


def advised(report):
    """Return the weight decay that the report says to declare."""
    text = remark(report) + "".join(f.fix for f in report.findings)
    (value,) = re.findall(r"weight_decay=(\d[\d.e-]*|\([\d., ()e-]*\)) ", text)
    return eval(value)


# The loss decides.


def test_decay_that_the_loss_divides_by_the_batch_and_the_gradients_do_not():
    net = Net(kernels(0.7), lambda m: (0.35 / m, 0.35 / m))
    # 0.7 / 7 = 0.1
    words = "×7 ", "contain 0.7 times the kernel", "divide it by the batch size, 7, as your loss"
    wrong(net.check(loss=True), "weight-decay-factor", *words, "expected 0.1·w = (0.7 / 7)·w")


def test_decay_divided_by_the_batch_in_both_is_right():
    net = Net(over_batch(0.7), lambda m: (0.35 / m, 0.35 / m))
    right(net.check(loss=True, weight_decay=0.7))


def test_decay_of_a_penalty_without_the_half():
    net = Net(kernels(0.05), lambda m: (0.05, 0.05))
    words = "×0.5 ", "contain 0.05 times the kernel", "one of λ·w² has 2·λ·w: expected 0.1·w"
    wrong(net.check(loss=True), "weight-decay-factor", *words)


def test_decay_divided_by_the_batch_too_much():
    net = Net(over_batch(0.7), lambda m: (0.35, 0.35))
    words = "contain 0.1 times the kernel", "do not divide it by the batch size, 7: expected 0.7·w"
    wrong(net.check(loss=True), "weight-decay-factor", *words)


def test_decay_with_the_sign_turned():
    words = "×-1 ", "contain -0.2 times", "turn its sign round: expected 0.2·w"
    net = Net(kernels(-0.2), lambda m: (0.1, 0.1))
    wrong(net.check(loss=True), "weight-decay-factor", *words)


def test_summed_gradients_beside_a_decay_that_is_the_loss_own():
    net = Net(kernels(0.3), lambda m: (0.15, 0.15), summed=True)
    # 0.3 is the loss's: what is summed, and not averaged, is what is wrong.
    words = "what comes of the data in all gradients", "the penalty, is that of your loss"
    wrong(net.check(loss=True), "times-m", *words)
    right(Net(kernels(2.1), lambda m: (0.15, 0.15), summed=True).check(loss=True))


def test_decay_beside_summed_gradients_is_scaled_like_them():
    net = Net(kernels(0.5), lambda m: (0.15, 0.15), summed=True)
    # The gradients are 7 times the loss's, and so has to be 0.3.
    words = "contain 0.5 times", "expected 2.1·w (0.3·w in your loss", "7 times"
    wrong(net.check(loss=True), "weight-decay-factor", *words)


def test_decay_missing_in_one_layer():
    net = Net(kernels(0.2, 0.0), lambda m: (0.1, 0.1))
    words = "kernel gradients of layer 2 (weights[2])", "0.2·w", "in layer 1, none in layer 2"
    report = net.check(loss=True)
    wrong(report, "weight-decay-missing", *words)
    assert [row.own_name for row in report.tensors if not row.right] == ["weights[2]"]


def test_a_declared_decay_that_the_loss_does_not_have():
    net = Net(kernels(0.1))
    report = net.check(loss=True)
    wrong(report, "weight-decay-factor", "which your loss does not have", "contain 0.1 times")
    right(net.check(loss=True, weight_decay=advised(report)), "Your loss, as measured, does not")


def test_what_is_declared_beside_a_loss_that_says_otherwise_is_only_remarked():
    net = Net(kernels(0.1), lambda m: (0.05, 0.05))
    right(net.check(loss=True, weight_decay=0.05), "weight_decay=0.1 agrees")
    # Of a loss with a penalty on one layer it is not known what it is; its derivative is.
    net = Net(kernels(0.1, 0.0), lambda m: (0.05, 0.0))
    right(net.check(loss=True, weight_decay=0.1), "weight_decay=(0.1, 0.0) agrees")


def test_a_loss_with_a_penalty_on_one_layer():
    net = Net(kernels(0.1, 0.0), lambda m: (0.1, 0.0))
    words = "kernel gradients of layer 1 (weights[0])", "×0.5 ", "0.1 times", "expected 0.2·w"
    wrong(net.check(loss=True), "weight-decay-factor", *words)


# What is declared decides.


def test_a_number_for_all_kernels():
    right(Net(kernels(0.7)).check(weight_decay=0.7), "0.7 times", "whatever the batch size")
    words = "contain 0.7 times the kernel", "expected 0.2·w", "weight_decay=0.7 declares it"
    wrong(Net(kernels(0.7)).check(weight_decay=0.2), "weight-decay-factor", "×3.5 ", *words)


def test_lambda_over_the_batch_is_declared_as_lambda():
    net = Net(over_batch(0.7))
    right(net.check(), "0.1 = 0.7 / 7 times the kernel added in every layer", "weight_decay=0.7")
    right(net.check(weight_decay=0.7), "0.1 = 0.7 / 7 times", "your code divides it")
    right(net.check(weight_decay=0.1), "for 7 samples only", "weight_decay=0.7 declares it for all")
    net = Net(over_batch(1.4))
    words = "×2 ", "contain 0.2 times", "expected 0.1·w = 0.7 / 7", "weight_decay=1.4 declares it"
    wrong(net.check(weight_decay=0.7), "weight-decay-factor", *words)


def test_a_number_over_the_batch_that_stays_for_another_batch_is_no_lambda():
    words = "contain 0.1 times", "do not divide it by the batch size, 7: expected 0.7·w"
    wrong(Net(kernels(0.1)).check(weight_decay=0.7), "weight-decay-factor", *words)


def test_a_number_a_layer():
    net = Net(kernels(0.1, 0.0))
    report = net.check()
    right(report, "0.1 times the kernel added in layer 1, none in layer 2")
    assert advised(report) == (0.1, 0.0)
    right(net.check(weight_decay=(0.1, 0.0)), "0.1 times")
    wrong(net.check(weight_decay=(0.1, 0.3)), "weight-decay-missing", "layer 2", "0.3·w")
    wrong(net.check(weight_decay=[0.0, 0.0]), "weight-decay-factor", "layer 1 (weights[0])")
    right(
        Net(over_batch(0.7, 1.4)).check(weight_decay=(0.7, 1.4)), "0.1 = 0.7 / 7 and 0.2 = 1.4 / 7"
    )


def test_the_layer_without_a_declared_decay_is_named_and_the_advice_makes_it_right():
    net = Net(kernels(0.1, 0.0))
    report = net.check(weight_decay=0.1)
    where = "kernel gradients of layer 2 (weights[2])"
    wrong(report, "weight-decay-missing", where, "0.1·w", "(0.1, 0.0) declares it")
    assert [row.own_name for row in report.tensors if not row.right] == ["weights[2]"]
    right(net.check(weight_decay=advised(report)))


def test_a_decay_of_all_parameters_alike_is_no_bug_where_nothing_else_is_said():
    """As an optimizer has it that is given all parameters."""
    report = Net(lambda m: (0.1, 0.1, 0.1, 0.1)).check()
    right(report, "0.1 times the bias added in every layer")
    assert advised(report) == ((0.1, 0.1), (0.1, 0.1))
    wrong(Net(lambda m: (0.1, 0.2, 0.1, 0.2)).check(), "weight-decay-on-biases", "0.2 times")


def test_a_pair_declares_the_decay_of_biases():
    net = Net(lambda m: (0.1, 0.1, 0.0, 0.0))
    report = net.check()
    wrong(report, "weight-decay-on-biases", "layer 1 (weights[1])", "0.1 times the bias")
    assert advised(report) == ((0.1, 0.1), 0.0)
    right(net.check(weight_decay=((0.1, 0.1), 0.0)))
    wrong(net.check(weight_decay=(0.1, 0.0)), "weight-decay-on-biases", "weight_decay does not")
    words = "of the biases", "0.1 times the bias", "expected 0.4·w"
    wrong(net.check(weight_decay=((0.1, 0.4), 0)), "weight-decay-factor", *words)


def test_what_the_report_says_to_declare_is_right_as_printed():
    net = Net(kernels(1 / 3))
    right(net.check(weight_decay=advised(net.check())))


def test_a_gradient_off_by_a_factor_with_its_decay_is_one_finding():
    net = Net(kernels(0.3))
    doubled = [2, 1, 1, 1]

    def gradients(x, y):
        return [f * g for f, g in zip(doubled, net.gradients(x, y), strict=True)]

    wrong(net.check(gradients=gradients, weight_decay=0.3), "times-2")


def test_a_step():
    net = Net(over_batch(0.7))
    right(net.check(gradients=None, step=net.step, weight_decay=0.7), "0.1 = 0.7 / 7 times")
    net = Net(kernels(0.7))
    own_rate = {"gradients": None, "step": lambda x, y, rate: net.step(x, y, 0.3)}
    # 0.3 · 0.7 = 0.21
    right(net.check(**own_rate, weight_decay=0.7), "0.21 = 0.3 · 0.7")


@pytest.mark.parametrize("given", ["0.1", float("nan"), (0.1, "x"), ((0.1, 0.1, 0.1), 0.0)])
def test_what_is_no_number_is_refused(given):
    with pytest.raises(ValueError, match="weight_decay"):
        Net(kernels(0.1)).check(weight_decay=given)


def test_numbers_for_other_layers_are_refused():
    with pytest.raises(ValueError, match=r"each of 2 layers\. Received: 3"):
        Net(kernels(0.1)).check(weight_decay=(0.1, 0.1, 0.1))


class Decaying(Net):
    """A step that adds a decay of its own to right gradients, as PyTorch's optimizers do."""

    own: float = 0.0
    axes: int = 2

    def step(self, x, y, rate):
        for w, g in zip(self.weights(), self.gradients(x, y), strict=True):
            w -= rate * (g + self.own * w * (w.ndim >= self.axes))


def decaying(own=0.1, penalty=0.0):
    net = Decaying(kernels(penalty), lambda m: (penalty / 2, penalty / 2))
    net.own = own
    return net


@pytest.mark.parametrize("gives", [{}, {"gradients": None}])
@pytest.mark.parametrize("penalty", [0.0, 0.3])
def test_a_decay_of_the_step_s_own_is_no_mistake(gives, penalty):
    net = decaying(penalty=penalty)
    if penalty and gives:  # which part is the loss's own, and which the step's, is not known
        net.own = 0.0
    right(net.check(loss=True, step=net.step, **gives), *["0.1 times"] * bool(net.own))


@pytest.mark.parametrize("loss", [False, True])
def test_so_it_is_where_biases_decay_too(loss):
    net = decaying()
    net.axes = 1
    right(net.check(loss=loss, step=net.step), "the step has 0.1 times the")


@pytest.mark.parametrize(
    ("loss", "code"), [(True, "weight-decay-factor"), (False, "other-optimizer")]
)
def test_it_is_one_where_the_optimizer_is_declared_without(loss, code):
    net = decaying()
    wrong(net.check(loss=loss, step=net.step, optimizer=SGD(0.1)), code)


def test_twice_the_penalty_of_the_loss_is_wrong_where_a_step_alone_is_given():
    net = decaying(own=0.3, penalty=0.3)
    wrong(net.check(loss=True, gradients=None, step=net.step), "weight-decay-factor", "×2")


def test_a_decay_with_its_sign_turned_is_wrong_in_a_step_too():
    net = decaying(-0.1)
    wrong(net.check(loss=True, step=net.step), "weight-decay-factor")
