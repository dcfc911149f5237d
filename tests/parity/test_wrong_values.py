"""A wrong value inside of a backward pass, found by measuring what it should be."""

import inspect
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import parity
from numpy_impl.types import Array
from parity.reports.report import Outcome

pytestmark = pytest.mark.search


@pytest.fixture(autouse=True)
def no_change(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave no time to try changes: a value is told where none is found."""
    monkeypatch.setattr("parity.checking.repairing.search.Search.run", lambda _: None)
    monkeypatch.setattr("parity.checking.repairing.telling._FOR_A_VALUE", 60.0)


def softmax(z: Array) -> Array:
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


class Net:
    """Two dense layers; what its subclasses add is the loss and its derivative."""

    def __init__(self) -> None:
        r = np.random.default_rng(1)
        shapes = (4, 5), (5,), (5, 3), (3,)
        self.weights = [0.6 * r.normal(size=shape) for shape in shapes]

    def logits(self, x: Array) -> Array:
        self.x = x
        self.h = np.tanh(x @ self.weights[0] + self.weights[1])
        return self.h @ self.weights[2] + self.weights[3]

    def behind(self, dz: Array) -> list[Array]:
        dh = (dz @ self.weights[2].T) * (1 - self.h**2)
        return [self.x.T @ dh, dh.sum(axis=0), self.h.T @ dz, dz.sum(axis=0)]

    def loss(self, x: Array, y: Array) -> Any:
        raise NotImplementedError

    def gradients(self, x: Array, y: Array) -> list[Array]:
        raise NotImplementedError


class Dice(Net):
    """1 - 2 sum(p y) / (sum(p) + sum(y)) of the batch; the divisor's derivative is p squared's."""

    def loss(self, x: Array, y: Array) -> Any:
        p = 1 / (1 + np.exp(-self.logits(x)))
        return 1 - 2 * np.sum(p * y) / (np.sum(p) + np.sum(y))

    def slope(self, p: Array, y: Array) -> Array:
        number, divisor = 2 * np.sum(p * y), np.sum(p) + np.sum(y)
        return (number * 2 * p - 2 * y * divisor) / divisor**2

    def gradients(self, x: Array, y: Array) -> list[Array]:
        p = 1 / (1 + np.exp(-self.logits(x)))
        dz = self.slope(p, y) * p * (1 - p)
        return self.behind(dz)


class Smoothed(Net):
    """Labels are smoothed by another share in the gradients than in the loss."""

    def loss(self, x: Array, y: Array) -> Any:
        soft = 0.9 * y + 0.1 / 3
        return -np.mean(np.sum(soft * np.log(softmax(self.logits(x))), axis=1))

    def gradients(self, x: Array, y: Array) -> list[Array]:
        p = softmax(self.logits(x))
        soft = np.where(y == 1, 0.9, 0.1 / 2)
        d = (p - soft) / len(x)
        return self.behind(d)


class Added(Net):
    """What an entropy adds is wrong: its part through the other outputs is missing."""

    def loss(self, x: Array, y: Array) -> Any:
        p = softmax(self.logits(x))
        logs = np.log(p)
        return -np.mean(np.sum(y * logs, axis=1)) + 0.5 * np.mean(np.sum(p * logs, axis=1))

    def gradients(self, x: Array, y: Array) -> list[Array]:
        p = softmax(self.logits(x))
        d = (p - y) / len(x)
        d += 0.5 * p * (np.log(p) + 1) / len(x)
        return self.behind(d)


class Instead(Net):
    """The derivative by the hidden units is taken for that by what they are computed from."""

    def loss(self, x: Array, y: Array) -> Any:
        pre = x @ self.weights[0] + self.weights[1]
        hidden = np.sin(pre)
        z = hidden @ self.weights[2] + self.weights[3]
        return -np.mean(np.sum(y * np.log(softmax(z)), axis=1))

    def gradients(self, x: Array, y: Array) -> list[Array]:
        hidden = np.sin(x @ self.weights[0] + self.weights[1])
        dz = (softmax(hidden @ self.weights[2] + self.weights[3]) - y) / len(x)
        back = dz @ self.weights[2].T
        return [x.T @ back, back.sum(axis=0), hidden.T @ dz, dz.sum(axis=0)]


class Twice(Net):
    """Two mistakes, one behind the other: of the loss, and of the hidden units' function."""

    def loss(self, x: Array, y: Array) -> Any:
        pre = x @ self.weights[0] + self.weights[1]
        hidden = np.sin(pre)
        z = hidden @ self.weights[2] + self.weights[3]
        return np.mean(np.log(np.cosh(z - y)))

    def gradients(self, x: Array, y: Array) -> list[Array]:
        hidden = np.sin(x @ self.weights[0] + self.weights[1])
        slope = np.tanh(hidden @ self.weights[2] + self.weights[3] - 1.1 * y) / y.size
        inner = (slope @ self.weights[2].T) * (1 - hidden**2)
        return [x.T @ inner, inner.sum(axis=0), hidden.T @ slope, slope.sum(axis=0)]


class Recurrent:
    """A state that is handed on; its derivative is wrong at each step."""

    def __init__(self) -> None:
        r = np.random.default_rng(1)
        shapes = {"W": (3, 4), "U": (4, 4), "v": (4,)}
        self.weights = {name: 0.5 * r.normal(size=shape) for name, shape in shapes.items()}

    def loss(self, x: Array, y: Array) -> Any:
        h = np.zeros((len(x), 4))
        self.states = [h]
        for t in range(x.shape[1]):
            z = x[:, t] @ self.weights["W"] + h @ self.weights["U"]
            h = z / (1 + np.abs(z))
            self.states.append(h)
        return 0.5 * np.mean((h @ self.weights["v"] - y) ** 2)

    def gradients(self, x: Array, y: Array) -> dict[str, Array]:
        self.loss(x, y)
        w = self.weights
        found = {name: np.zeros_like(value) for name, value in w.items()}
        e = (self.states[-1] @ w["v"] - y) / len(x)
        found["v"] = self.states[-1].T @ e
        dh = np.outer(e, w["v"])
        for t in reversed(range(x.shape[1])):
            dz = dh * (1 - self.states[t + 1] ** 2)
            found["W"] += x[:, t].T @ dz
            found["U"] += self.states[t].T @ dz
            dh = dz @ w["U"].T
        return found


def checked(net: Any, data: Callable[[np.random.Generator], Any] | None = None) -> Any:
    def samples(rng: np.random.Generator) -> Any:
        return rng.normal(size=(6, 4)), np.eye(3)[rng.integers(0, 3, 6)]

    return parity.check(
        parity.Candidate(
            get_weights=lambda: net.weights, gradients=net.gradients, loss=net.loss,
            data=data or samples,
        )
    )  # fmt: skip


def line(kind: Any, text: str) -> int:
    """Return the number of the line of a class, or a function, in which a text stands first."""
    lines, first = inspect.getsourcelines(kind)
    return first + next(k for k, each in enumerate(lines) if text in each)


@pytest.mark.parametrize(
    ("kind", "text", "value", "by"),
    [
        (Dice, "return (number", "what line {} of test_wrong_values.py returns", "p in line"),
        (Smoothed, "d = (p - soft)", "d in line {} of test_wrong_values.py", "what line"),
        (Added, "d += 0.5", "d in line {} of test_wrong_values.py", "what line"),
        (Instead, "back = ", "back in line {} of test_wrong_values.py", "pre in line"),
    ],
)
def test_the_first_wrong_value_is_told(kind: type[Net], text: str, value: str, by: str):
    report = checked(kind())
    assert report.outcome is Outcome.WRONG
    assert [finding.code for finding in report.findings] == ["wrong-value"], report
    values = report.findings[0].values
    assert values["value"] == value.format(line(kind, text)), report
    assert str(values["by"]).startswith(by), report


def test_what_it_is_the_derivative_by_instead_is_told():
    evidence = checked(Instead()).findings[0].evidence
    assert f"yours is the derivative by hidden in line {line(Instead, 'hidden = ')}" in evidence


def test_the_number_that_is_right_is_the_derivative():
    """By hand: of the mean of -log softmax(z)[y] it is (p - soft) / n."""
    told = checked(Smoothed()).findings[0].evidence
    right, own = map(float, re.findall(r"has (-?[\d.]+)", told)[:2])
    # The shares that the others get, 0.1 / 3 and 0.1 / 2, are most apart by the label's own.
    assert abs(abs(right - own) - 0.1 / 3 / 6) < 1e-6


def test_two_wrong_values_are_told_one_after_the_other():
    report = checked(Twice())
    assert [finding.code for finding in report.findings] == ["wrong-value", "wrong-value"], report
    first, second = (finding.values["value"] for finding in report.findings)
    assert first == f"slope in line {line(Twice, 'slope = ')} of test_wrong_values.py"
    assert second == f"inner in line {line(Twice, 'inner = ')} of test_wrong_values.py"
    assert report.findings[0].where == "weights[2], weights[3]"
    assert report.findings[1].where == "weights[0], weights[1]"


def test_a_value_of_each_step_of_a_loop_is_told():
    report = checked(
        Recurrent(), lambda rng: (rng.normal(size=(5, 3, 3)), rng.normal(size=5))
    )  # fmt: skip
    assert [finding.code for finding in report.findings] == ["wrong-value"], report
    value = f"dz in line {line(Recurrent, 'dz = ')} of test_wrong_values.py"
    assert report.findings[0].values["value"] == value, report


def test_a_layer_s_wrong_value_is_told_of_its_forward():
    def forward(x: Array, w: Array) -> tuple[Array, Any]:
        z = x @ w
        out = z / np.sqrt(1 + z**2)
        return out, (x, w, z)

    def backward(dout: Array, cache: Any) -> tuple[Array, Array]:
        x, w, z = cache
        dz = dout / (1 + z**2)
        return dz @ w.T, x.T @ dz

    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(4, 3)), rng.normal(size=(3, 2))
    report = parity.check_layer(forward, backward, inputs=x, weights=[w])
    assert report.outcome is Outcome.WRONG
    assert report.findings[0].code == "wrong-value", report
    here = line(test_a_layer_s_wrong_value_is_told_of_its_forward, "dz = ")
    assert f"dz in line {here}" in report.findings[0].title
    assert "derivative of your own forward by z" in report.findings[0].title


def test_nothing_is_left_of_it_in_the_user_s_functions():
    net = Smoothed()
    code = Smoothed.gradients.__code__
    before = [w.copy() for w in net.weights]
    checked(net)
    assert Smoothed.gradients.__code__ is code
    assert "_through_a_hole" not in globals()
    assert all(map(np.array_equal, before, net.weights))


class Handed(Recurrent):
    """Of sequences that have ended the state is handed on, and its derivative is not."""

    def loss(self, x: Array, y: Array) -> Any:
        h = np.zeros((len(x), 4))
        self.states, self.pre = [h], list[Array]()
        for t in range(x.shape[1]):
            z = x[:, t] @ self.weights["W"] + h @ self.weights["U"]
            new = np.tanh(z)
            h = self.mask[:, t] * new + (1 - self.mask[:, t]) * h
            self.states.append(h)
            self.pre.append(new)
        return 0.5 * np.mean((h @ self.weights["v"] - y) ** 2)

    mask = np.array([[1, 1, 1, 0], [1, 1, 0, 0], [1, 1, 1, 1], [1, 0, 0, 0]])[:, :, None]

    def gradients(self, x: Array, y: Array) -> dict[str, Array]:
        self.loss(x, y)
        w = self.weights
        found = {name: np.zeros_like(value) for name, value in w.items()}
        e = (self.states[-1] @ w["v"] - y) / len(x)
        found["v"] = self.states[-1].T @ e
        dh = np.outer(e, w["v"])
        for t in reversed(range(x.shape[1])):
            dnew = dh * self.mask[:, t]
            dz = dnew * (1 - self.pre[t] ** 2)
            found["W"] += x[:, t].T @ dz
            found["U"] += self.states[t].T @ dz
            dh = dz @ w["U"].T
        return found


def test_what_is_handed_on_is_told_by_the_state_before():
    report = checked(
        Handed(), lambda rng: (rng.normal(size=(4, 4, 3)), rng.normal(size=4))
    )  # fmt: skip
    assert [finding.code for finding in report.findings] == ["wrong-value"], report
    value = f"dh in line {line(Handed, 'dh = dz @')} of test_wrong_values.py"
    assert report.findings[0].values["value"] == value, report


class Iterated(Net):
    """Its hidden units are halved until all are small, however often that is."""

    def loss(self, x: Array, y: Array) -> Any:
        h = x @ self.weights[0] + self.weights[1]
        while np.max(np.abs(h)) > 1:
            h = h / 2
        z = h @ self.weights[2] + self.weights[3]
        return np.mean((z - y) ** 2)

    def gradients(self, x: Array, y: Array) -> list[Array]:
        h = x @ self.weights[0] + self.weights[1]
        share = 1.0
        while np.max(np.abs(h)) > 1:
            h, share = h / 2, share / 2
        d = 2 * np.sin(h @ self.weights[2] + self.weights[3] - y) / y.size
        back = (d @ self.weights[2].T) * share
        return [x.T @ back, back.sum(axis=0), h.T @ d, d.sum(axis=0)]


def test_a_loop_may_go_on_until_something_is_so():
    report = checked(Iterated())
    assert [finding.code for finding in report.findings] == ["wrong-value"], report
    assert str(report.findings[0].values["value"]).startswith("d in line"), report


WEIGHTS = [0.5 * np.random.default_rng(3).normal(size=(4, 3)), np.zeros(3)]
GRADIENTS = [np.zeros((4, 3)), np.zeros(3)]


def global_loss(x: Array, y: Array) -> Any:
    z = np.sin(x) @ WEIGHTS[0] + WEIGHTS[1]
    return np.mean(np.log(np.cosh(z - y)))


def global_gradients(x: Array, y: Array) -> list[Array]:
    d = np.arctan(np.sin(x) @ WEIGHTS[0] + WEIGHTS[1] - y) / y.size

    def rows(k: int) -> None:
        GRADIENTS[0][k] = np.sin(x[:, k]) @ d

    for k in range(4):
        rows(k)
    GRADIENTS[1][:] = d.sum(axis=0)
    d[:] = 0
    return [g.copy() for g in GRADIENTS]


def test_arrays_of_the_module_that_are_written_into_stay_the_modules():
    class Module:
        weights, loss, gradients = (
            WEIGHTS,
            staticmethod(global_loss),
            staticmethod(global_gradients),
        )

    report = checked(
        Module, lambda rng: (rng.normal(size=(5, 4)), rng.normal(size=(5, 3)))
    )  # fmt: skip
    assert [finding.code for finding in report.findings] == ["wrong-value"], report
    value = f"d in line {line(global_gradients, 'd = np.arctan')} of test_wrong_values.py"
    assert report.findings[0].values["value"] == value, report


class Norm:
    """Divides by the root of the mean square; its gradient lacks that of the divisor."""

    def __call__(self, x: Array) -> Array:
        self.scale = 1 / np.sqrt(np.mean(x**2, axis=-1, keepdims=True) + 1e-6)
        self.hat = x * self.scale
        return self.hat

    def backward(self, d: Array) -> Array:
        dx = d.copy()
        dx[...] -= self.hat * d.mean(axis=-1, keepdims=True)
        dx *= self.scale
        return dx


class Linear:
    def __init__(self, rng: np.random.Generator, n_in: int, n_out: int) -> None:
        self.w = 0.5 * rng.normal(size=(n_in, n_out))

    def __call__(self, x: Array) -> Array:
        self.x = x
        return x @ self.w

    def backward(self, d: Array) -> Array:
        self.dw = self.x.T @ d
        return d @ self.w.T


class Modules:
    """Layers of several widths in a list, of which one kind is wrong."""

    def __init__(self) -> None:
        rng = np.random.default_rng(2)
        self.linear = [Linear(rng, 4, 6), Linear(rng, 6, 5), Linear(rng, 5, 3)]
        self.layers = [self.linear[0], Norm(), self.linear[1], Norm(), self.linear[2]]
        self.weights = [layer.w for layer in self.linear]

    def loss(self, x: Array, y: Array) -> Any:
        for layer in self.layers:
            x = layer(x)
        return 0.5 * np.mean((x - y) ** 2)

    def gradients(self, x: Array, y: Array) -> list[Array]:
        for layer in self.layers:
            x = layer(x)
        d = (x - y) / y.size
        for layer in reversed(self.layers):
            d = layer.backward(d)
        return [layer.dw for layer in self.linear]


def test_a_method_that_several_layers_share_is_told_by_its_line():
    report = checked(Modules())
    assert [finding.code for finding in report.findings] == ["wrong-value"], report
    assert report.findings[0].where == "weights[0], weights[1]"
    value = f"dx in line {line(Norm, 'dx *=')} of test_wrong_values.py"
    assert report.findings[0].values["value"] == value, report


class Gated:
    """Two gates by one function: that of the second one's derivative is wrong."""

    def __init__(self) -> None:
        r = np.random.default_rng(4)
        self.weights = [0.6 * r.normal(size=shape) for shape in ((3, 4), (3, 4), (4, 4), (4,))]

    def squash(self, a: Array) -> Array:
        return 1 / (1 + np.exp(-a))

    def loss(self, x: Array, y: Array) -> Any:
        wz, wr, u, v = self.weights
        h, self.tape = np.zeros((len(x), 4)), list[Any]()
        for t in range(x.shape[1]):
            z = self.squash(x[:, t] @ wz)
            r = self.squash(x[:, t] @ wr + h @ u)
            self.tape.append((x[:, t], h, z, r))
            h = z * h + (1 - z) * r
        self.h = h
        return 0.5 * np.mean((h @ v - y) ** 2)

    def gradients(self, x: Array, y: Array) -> list[Array]:
        self.loss(x, y)
        wz, wr, u, v = self.weights
        e = (self.h @ v - y) / len(x)
        dwz, dwr, du, dh = np.zeros_like(wz), np.zeros_like(wr), np.zeros_like(u), np.outer(e, v)
        for xt, h, z, r in reversed(self.tape):
            dz = dh * (h - r) * z * (1 - z)
            dr = dh * (1 - z) * (1 - r**2)
            dwz += xt.T @ dz
            dwr += xt.T @ dr
            du += h.T @ dr
            dh = dh * z + dr @ u.T
        return [dwz, dwr, du, self.h.T @ e]


def test_a_function_that_two_gates_share_tells_them_apart():
    report = checked(Gated(), lambda rng: (rng.normal(size=(3, 3, 3)), rng.normal(size=3)))
    assert [finding.code for finding in report.findings] == ["wrong-value"], report
    value = f"dr in line {line(Gated, 'dr = ')} of test_wrong_values.py"
    assert report.findings[0].values["value"] == value, report
    assert str(report.findings[0].values["by"]).startswith("a in line"), report


def test_what_does_not_depend_on_a_length_has_a_derivative_all_the_same():
    def forward(x: Array, w: Array) -> tuple[Array, Any]:
        lengths = np.linalg.norm(w, axis=0)
        out = x @ (w / lengths)
        return out, (x, w, lengths)

    def backward(dout: Array, cache: Any) -> tuple[Array, Array]:
        x, w, lengths = cache
        unit = w / lengths
        dunit = x.T @ dout
        dw = (dunit - unit * dunit.mean(axis=0)) / lengths
        return dout @ unit.T, dw

    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(4, 3)), rng.normal(size=(3, 2))
    report = parity.check_layer(forward, backward, inputs=x, weights=[w])
    assert [finding.code for finding in report.findings] == ["wrong-value"], report
    here = line(test_what_does_not_depend_on_a_length_has_a_derivative_all_the_same, "dw = ")
    assert f"dw in line {here}" in report.findings[0].title


def test_what_is_off_by_less_than_a_measured_derivative_is_not_located():
    class Nearly(Smoothed):
        def gradients(self, x: Array, y: Array) -> list[Array]:
            p = softmax(self.logits(x))
            soft = 0.9 * y + 0.1 / 3
            d = (p - soft) / len(x) * (1 + 1e-8 * y)
            return self.behind(d)

    report = checked(Nearly())
    assert "wrong-value" not in [finding.code for finding in report.findings], report
