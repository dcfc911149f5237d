"""Every check of the comparison fails on a planted error, and says where it is."""

import numpy as np
import pytest

import parity
from keras_impl import keras, losses, precision
from numpy_impl import Sequential
from numpy_impl import layers as numpy_layers
from numpy_impl import losses as numpy_losses
from numpy_impl import optimizers as numpy_optimizers
from parity.comparing.result import Comparison
from parity.comparing.rows import Section, Verdict
from tests.parity.networks import compare_small, data, pair, small


def verdicts(result: Comparison, section: Section) -> set[Verdict]:
    return {row.verdict for row in result.section(section)}


def test_a_weight_one_unit_off_is_seen():
    model, network, x, y = small()
    network.weights[0][2, 3] = np.nextafter(network.weights[0][2, 3], 9)
    result = compare_small(model, network, x, y)
    row = result.section("weights")[0]
    assert row.verdict is Verdict.DIFFERENT
    assert row.index == (2, 3)
    assert "copy_weights" in row.note
    with pytest.raises(parity.ParityError, match="copy_weights"):
        result.raise_for_failure()


class WrongForward(numpy_layers.Dense):
    def forward(self, x, training=False, mask=None):
        self.a = super().forward(x, training, mask)
        self.a[0, 1] *= 1 + 1e-9
        return self.a


def replaced(network: Sequential, index: int, layer_class: type) -> Sequential:
    """Return the network with one layer's class changed to a wrong one."""
    wrong = network.clone()
    wrong.layers[index].__class__ = layer_class
    return wrong


def test_a_forward_error_is_placed_in_its_layer():
    model, network, x, y = small()
    result = compare_small(model, replaced(network, 1, WrongForward), x, y)
    first, second = result.section("forward")
    assert first.verdict is not Verdict.DIFFERENT
    assert second.verdict is Verdict.DIFFERENT
    assert second.index == (0, 1)


class WrongGradientEntry(numpy_layers.Dense):
    def backward(self, delta, input_gradient=True):
        passed_on = super().backward(delta, input_gradient)
        largest = np.unravel_index(np.argmax(np.abs(self.kernel_gradient)), self.kernel.shape)
        self.kernel_gradient[largest] *= 1 + 1e-6
        return passed_on


def test_one_gradient_entry_wrong_by_a_millionth_is_seen():
    model, network, x, y = small()
    result = compare_small(model, replaced(network, 0, WrongGradientEntry), x, y)
    by_name = {row.tensor: row for row in result.section("gradients")}
    assert by_name["0/kernel"].verdict is Verdict.DIFFERENT
    assert by_name["0/kernel"].ratio > 100
    assert all(r.verdict is not Verdict.DIFFERENT for n, r in by_name.items() if n != "0/kernel")


class WrongBias(numpy_layers.Dense):
    def backward(self, delta, input_gradient=True):
        passed_on = super().backward(delta, input_gradient)
        self.bias_gradient /= len(delta)
        return passed_on


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_wrong_bias_gradient_in_the_first_layer_is_seen(dtype):
    model, network, x, y = small(dtype)
    result = compare_small(model, replaced(network, 0, WrongBias), x, y)
    wrong = [row.tensor for row in result.failures()]
    assert wrong == ["0/bias"]


class WrongLoss(numpy_losses.CategoricalCrossentropy):
    def values(self, y_pred, y_true):
        return super().values(y_pred, y_true) * (1 + 1e-12)


def test_a_wrong_loss_value_is_seen():
    model, network, x, y = small()
    result = compare_small(model, network, x, y, numpy_loss=WrongLoss(fused=True))
    assert verdicts(result, "loss") == {Verdict.DIFFERENT}
    assert Verdict.DIFFERENT not in verdicts(result, "gradients")


class EpsilonOutside(numpy_optimizers.RMSprop):
    def _update(self, w, g, state):
        v = state["velocity"]
        v *= self.rho
        v += (1 - self.rho) * g * g
        w -= self.learning_rate * g / (np.sqrt(v) + self.epsilon)


class SwappedRho(numpy_optimizers.RMSprop):
    def _update(self, w, g, state):
        v = state["velocity"]
        v *= 1 - self.rho
        v += self.rho * g * g
        w -= self.learning_rate * g / np.sqrt(v + self.epsilon)


class NoCorrection(numpy_optimizers.Adam):
    def _update(self, w, g, state):
        m, v = state["momentum"], state["velocity"]
        m += (g - m) * (1 - self.beta_1)
        v += (g * g - v) * (1 - self.beta_2)
        w -= self.learning_rate * m / (np.sqrt(v) + self.epsilon)


class SlotOnly(numpy_optimizers.SGD):
    """The first step is right; the velocity it leaves behind is not."""

    def _update(self, w, g, state):
        super()._update(w, g, state)
        state["momentum"] *= 1 - 1e-9


PLANTED = {
    "epsilon outside the root": (keras.optimizers.RMSprop, {}, EpsilonOutside, {"weights"}),
    "rho swapped": (keras.optimizers.RMSprop, {}, SwappedRho, {"weights", "velocity"}),
    "no bias correction": (keras.optimizers.Adam, {}, NoCorrection, {"weights"}),
    "slot only": (keras.optimizers.SGD, {"momentum": 0.5}, SlotOnly, {"momentum"}),
}


@pytest.mark.parametrize("bug", PLANTED)
def test_a_wrong_optimizer_is_seen_in_its_first_step(bug):
    kind, options, wrong, where = PLANTED[bug]
    model, network, x, y = small()
    with precision("float64"):
        right = kind(0.01, **options)
    own = wrong(0.01, **options)
    result = compare_small(model, network, x, y, optimizer=right, numpy_optimizer=own, steps=1)
    failed = {row.tensor.partition(" ")[2] or "weights" for row in result.failures()}
    assert failed == where
    assert {row.section for row in result.failures()} == {"steps"}


def test_a_wrong_optimizer_that_starts_right_is_placed_at_its_step():
    class LateMistake(numpy_optimizers.SGD):
        def _update(self, w, g, state):
            g = g if self.iterations < 4 else 1.001 * g
            super()._update(w, g, state)

    model, network, x, y = small()
    with precision("float64"):
        right = keras.optimizers.SGD(0.1)
    options = {"optimizer": right, "numpy_optimizer": LateMistake(0.1)}
    assert compare_small(model, network, x, y, steps=4, **options).passed
    assert not compare_small(model, network, x, y, steps=5, **options).passed


def test_an_optimizer_with_other_slots_is_refused():
    model, network, x, y = small()
    with precision("float64"):
        right = keras.optimizers.SGD(0.1, momentum=0.9)
    with pytest.raises(ValueError, match=r"slots.*\('momentum',\).*Received: SGD with \(\)"):
        compare_small(
            model, network, x, y, optimizer=right, numpy_optimizer=numpy_optimizers.SGD(0.1)
        )


class MaskForgotten(numpy_layers.Dropout):
    def backward(self, delta, input_gradient=True):
        return delta


class ScaleForgotten(numpy_layers.Dropout):
    def backward(self, delta, input_gradient=True):
        assert self.mask is not None
        return np.where(self.mask, delta, 0)


class MaskRedrawn(numpy_layers.Dropout):
    def backward(self, delta, input_gradient=True):
        assert self.mask is not None
        self.mask = ~self.mask
        return super().backward(delta, input_gradient)


@pytest.mark.parametrize("wrong", [MaskForgotten, ScaleForgotten, MaskRedrawn])
def test_a_wrong_dropout_gradient_is_seen(wrong):
    with precision("float64"):
        model, network = pair("64-200-10")
        x, y = data("64-200-10", 15, "float64")
        result = parity.compare(
            model, replaced(network, 1, wrong), x, y, loss="categorical_crossentropy"
        )
    assert [row.tensor for row in result.failures()] == ["0/kernel"]


@pytest.mark.parametrize("side", ["keras", "numpy"])
def test_a_nan_on_either_side_is_a_failure(side):
    model, network, x, y = small()
    poisoned = network.get_weights()
    poisoned[2][0, 0] = np.nan
    (model if side == "keras" else network).set_weights(poisoned)
    result = compare_small(model, network, x, y)
    assert not result.passed
    assert Verdict.DIFFERENT in verdicts(result, "gradients")


def test_the_same_nan_on_both_sides_is_a_failure():
    model, network, x, y = small()
    poisoned = network.get_weights()
    poisoned[2][0, 0] = np.nan
    model.set_weights(poisoned)
    network.set_weights(poisoned)
    assert not compare_small(model, network, x, y).passed


def test_precisions_that_differ_are_refused():
    model, network, x, y = small("float64")
    with pytest.raises(ValueError, match=r"one precision on both sides.*floatx.*float32"):
        parity.compare(model, network, x, y, loss="categorical_crossentropy")


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.zeros((7, 5)), None, r"Expected inputs of shape \(N, 6\). Received: shape \(7, 5\)"),
        (np.full((7, 6), np.nan), None, r"finite inputs. Received: nan at index \(0, 0\)"),
        (None, np.zeros(7, int), r"targets of shape \(7, 4\); use one-hot"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(x, y, message):
    model, network, good_x, good_y = small()
    with pytest.raises(ValueError, match=message):
        compare_small(model, network, good_x if x is None else x, good_y if y is None else y)


def test_a_mean_squared_error_is_not_the_quadratic_cost():
    model, network, x, y = small()
    with precision("float64"):
        result = parity.compare(
            model, network, x, y,
            loss=losses.get("mean_squared_error"), numpy_loss=numpy_losses.get("quadratic"),
        )  # fmt: skip
    assert {row.section for row in result.failures()} == {"loss", "gradients"}


def test_a_compiled_model_brings_its_loss():
    model, network, x, y = small()
    with precision("float64"):
        with pytest.raises(ValueError, match="a loss, or a model compiled with one"):
            parity.compare(model, network, x, y)
        model.compile(loss="mean_squared_error")
        assert parity.compare(model, network, x, y).passed
        wrong = numpy_losses.get("quadratic")
        assert not parity.compare(model, network, x, y, numpy_loss=wrong).passed
