"""``parity.loop_functions``: a training loop as functions, and drafts of what stands in one.

The witness is the program itself: one round of its own loop leads to the same weights as ``step``.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import parity
from parity.__main__ import main
from parity.commands import targets
from parity.drafting import LoopError

# Momentum, a penalty that leaves the row of the ones out, the number of samples as a variable.
ONES = """
import numpy as np
r = np.random.RandomState(3)
N = 60
P = np.hstack([r.randn(N, 2), np.ones((N, 1))])
T = np.where(P[:, 0] > P[:, 1], 1.0, -1.0)
Wa, Wb = r.randn(3, 8) * 0.7, r.randn(9) * 0.4
Va, Vb = Wa * 0, Wb * 0
lam, mom, lr = 1e-3, 0.8, 0.2
for it in range(200):
    A = np.tanh(P @ Wa)
    A1 = np.hstack([A, np.ones((N, 1))])
    O = np.tanh(A1 @ Wb)
    cost = np.mean((O - T) ** 2) + lam * ((Wa[:-1] ** 2).sum() + (Wb[:-1] ** 2).sum())
    dO = 2 * (O - T) / N * (1 - O ** 2)
    gb = A1.T @ dO
    ga = P.T @ (np.outer(dO, Wb[:-1]) * (1 - A ** 2))
    gb[:-1] += 2 * lam * Wb[:-1]
    ga[:-1] += 2 * lam * Wa[:-1]
    Va, Vb = mom * Va + ga, mom * Vb + gb
    Wa, Wb = Wa - lr * Va, Wb - lr * Vb
    if it == 150:
        lr = lr / 4
    if it % 50 == 0:
        print(it, cost)
print(int((np.sign(O) != T).sum()))
"""
# Batches of a permutation, and Adam, whose steps an own counter counts.
BATCHES = """
import numpy as np
rng = np.random.default_rng(5)
X = rng.normal(size=(60, 4))
labels = X[:, :3].argmax(axis=1)
Y = np.eye(3)[labels]
W1, b1, W2, b2 = rng.normal(size=(4, 7)), np.zeros(7), rng.normal(size=(7, 3)) / 2, np.zeros(3)
ws = [W1, b1, W2, b2]
ms, vs = [np.zeros_like(w) for w in ws], [np.zeros_like(w) for w in ws]
t, size = 0, 20
if __name__ == "__main__":
    for epoch in range(50):
        order = rng.permutation(60)
        total = 0.0
        for start in range(0, 60, size):
            ids = order[start:start + size]
            xb, yb = X[ids], Y[ids]
            h = np.maximum(xb @ W1 + b1, 0)
            e = np.exp(h @ W2 + b2)
            p = e / e.sum(axis=1, keepdims=True)
            total += -np.sum(yb * np.log(p))
            d = (p - yb) / size
            dh = d @ W2.T * (h > 0)
            grads = [xb.T @ dh, dh.sum(0), h.T @ d, d.sum(0)]
            t += 1
            for w, m, v, g in zip(ws, ms, vs, grads):
                m[...] = 0.9 * m + 0.1 * g
                v[...] = 0.999 * v + 0.001 * g * g
                w -= 0.01 * (m / (1 - 0.9 ** t)) / (np.sqrt(v / (1 - 0.999 ** t)) + 1e-8)
        print(epoch, total)
"""
# Samples are columns, the loop stands in main(), and the count of the data divides.
MAIN = """
import numpy as np
def sigmoid(z):
    return 1 / (1 + np.exp(-z))
def main():
    rng = np.random.default_rng(7)
    X = rng.normal(size=(3, 40))
    Y = (X[:1] * X[1:2] > 0) * 1.0
    m = X.shape[1]
    W1, b1 = rng.normal(size=(5, 3)), np.zeros((5, 1))
    W2, b2 = rng.normal(size=(1, 5)), np.zeros((1, 1))
    for i in range(300):
        A1 = np.tanh(W1 @ X + b1)
        A2 = sigmoid(W2 @ A1 + b2)
        dZ2 = A2 - Y
        dW2 = dZ2 @ A1.T / 40
        db2 = dZ2.sum(axis=1, keepdims=True) / m
        dZ1 = W2.T @ dZ2 * (1 - A1 ** 2)
        dW1 = dZ1 @ X.T / 40
        db1 = dZ1.sum(axis=1, keepdims=True) / m
        W1 = W1 - 1.2 * dW1
        b1 = b1 - 1.2 * db1
        W2 = W2 - 1.2 * dW2
        b2 = b2 - 1.2 * db2
if __name__ == "__main__":
    main()
"""
# One sample after the other; the error is added.
SINGLE = """
import numpy as np
rng = np.random.default_rng(9)
inputs = rng.uniform(-1, 1, (30, 3))
targets = np.column_stack([inputs[:, 0] > 0, inputs[:, 1] > 0]) * 0.8 + 0.1
weights_ih, weights_ho = rng.normal(size=(4, 3)), rng.normal(size=(2, 4))
tasa = 0.3
for epoch in range(100):
    for entrada, objetivo in zip(inputs, targets):
        oculta = 1 / (1 + np.exp(-(weights_ih @ entrada)))
        salida = 1 / (1 + np.exp(-(weights_ho @ oculta)))
        error = objetivo - salida
        delta = error * salida * (1 - salida)
        delta_h = weights_ho.T @ delta * oculta * (1 - oculta)
        weights_ho += tasa * np.outer(delta, oculta)
        weights_ih += tasa * np.outer(delta_h, entrada)
"""
# The program, its weights, the data of its first round, and what the check says of the draft.
PROGRAMS: dict[str, tuple[str, tuple[str, ...], str, str]] = {
    "ones": (ONES, ("Wa", "Wb"), "P, T, lr", "SGD with momentum 0.8"),
    "batches": (BATCHES, ("W1", "b1", "W2", "b2"), "xb, yb, 0.01", "4-7-3 (relu, softmax)"),
    "main": (MAIN, ("W1", "b1", "W2", "b2"), "X, Y, 1.2", "3-5-1 (tanh, sigmoid)"),
    "single": (
        SINGLE,
        ("weights_ih", "weights_ho"),
        "entrada, objetivo, tasa",
        "3-4-2 (sigm",
    ),
}
# What only runs once, of which ``step`` is one round.
ONCE = (
    ("range(200)", "range(1)"), ("range(50)", "range(1)"), ("range(0, 60, size)", "range(0, 1)"),
    ("range(300)", "range(1)"), ("range(100)", "range(1)"),
    ("zip(inputs, targets)", "[*zip(inputs, targets)][:1]"),
)  # fmt: skip
WRONG = {
    "ones": ("np.outer(dO, Wb[:-1]) * (1 - A ** 2)", "np.outer(dO, Wb[:-1])", "own loss"),
    "batches": ("d @ W2.T * (h > 0)", "d @ W2.T", "missing activation deriv"),
    "main": ("dZ1.sum(axis=1, keepdims=True)", "dZ1.sum(keepdims=True)", "wrong axis"),
    "single": ("delta * oculta * (1 - oculta)", "delta * oculta", "activation sigmoid(z) itself"),
}


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))


def _written(text: str) -> Path:
    Path("program.py").write_text(text)
    return Path("program.py")


def _drafted(text: str) -> parity.Candidate:
    assert main(["init", str(_written(text)), "--force"]) == 0
    make = targets.candidate("check_program.py")
    return make if isinstance(make, parity.Candidate) else make()


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_step_is_one_round_of_the_loop(name: str):
    text, weights, handed, _ = PROGRAMS[name]
    once = text
    for many, one in ONCE:
        once = once.replace(many, one)
    # Of main() the variables are wanted, too.
    once = once.replace("def main():", "if True:") if name == "main" else once
    own: dict[str, Any] = {"__name__": "__main__"}
    exec(once.replace("    main()", "    pass"), own)
    module = parity.loop_functions(_written(text))
    exec(f"handed = {handed}", own)
    before = [getattr(module, w).copy() for w in weights]
    module.step(*own["handed"])
    for was, w in zip(before, weights, strict=True):
        now = getattr(module, w)
        np.testing.assert_allclose(now, own[w], rtol=1e-13, atol=1e-15)
        assert not np.array_equal(now, was)


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_draft_is_right_unedited(name: str):
    report = parity.check(_drafted(PROGRAMS[name][0]))
    assert report.outcome.name == "RIGHT", str(report)
    assert PROGRAMS[name][3] in " ".join(str(report).split("\n\n")[0].split())


@pytest.mark.parametrize("name", WRONG)
def test_a_bug_in_the_loop_is_found(name: str):
    right, wrong, said = WRONG[name]
    assert right in PROGRAMS[name][0]
    report = parity.check(_drafted(PROGRAMS[name][0].replace(right, wrong)))
    assert report.outcome.name == "WRONG", str(report)
    assert said in " ".join(str(report).split("\n\n")[0].split()), str(report)


def test_forward_and_loss_are_those_of_the_loop():
    module = parity.loop_functions(_written(ONES))
    x, y = module.P[:7], module.T[:7]
    h = np.hstack([np.tanh(x @ module.Wa), np.ones((7, 1))])
    output = np.tanh(h @ module.Wb)
    penalty = 1e-3 * ((module.Wa[:-1] ** 2).sum() + (module.Wb[:-1] ** 2).sum())
    np.testing.assert_allclose(module.forward(x), output, rtol=1e-14)
    assert module.loss(x, y) == pytest.approx(np.mean((output - y) ** 2) + penalty, rel=1e-14)


def test_gradients_are_those_that_lower_the_loss():
    """By central differences of the loop's own cost, all of a kernel's elements."""
    module = parity.loop_functions(_written(ONES))
    given = module.gradients(module.P, module.T)
    assert sorted(given) == ["dWa", "dWb"]
    for w in ("Wa", "Wb"):
        array, slopes = getattr(module, w), np.zeros_like(getattr(module, w))
        for k in np.ndindex(array.shape):
            for sign in (1, -1):
                array[k] += sign * 1e-6
                slopes[k] += sign * module.loss(module.P, module.T) / 2e-6
                array[k] -= sign * 1e-6
        np.testing.assert_allclose(given[f"d{w}"], slopes, rtol=1e-6, atol=1e-9)


def test_what_is_added_to_weights_is_handed_over_as_no_gradient():
    module = parity.loop_functions(_written(ONES.replace("Wa - lr * Va", "Wa + lr * Va")))
    assert not hasattr(module, "gradients")


@pytest.mark.parametrize("size", ["20", "size", "len(ids)"])
def test_the_number_of_samples_is_that_of_those_handed_over(size: str):
    """A batch that is drawn; its number divides as it stands, by name, or as it is counted."""
    text = BATCHES.replace("d = (p - yb) / size", f"d = (p - yb) / {size}")
    text = text.replace("ids = order[start:start + size]", "ids = rng.choice(60, 20)")
    module = parity.loop_functions(_written(text))
    x, y, w = module.X[:5], module.Y[:5], module.W2.copy()
    h = np.maximum(x @ module.W1, 0)
    e = np.exp(h @ module.W2)
    gradient = h.T @ (e / e.sum(axis=1, keepdims=True) - y) / 5
    module.step(x, y, 0.01)
    # Adam's first step, with biases that are zero.
    np.testing.assert_allclose(
        module.W2, w - 0.01 * gradient / (np.abs(gradient) + 1e-8), rtol=1e-9
    )


# As many samples as units: a divisor is none the less the number of samples.
AS_WIDE = """
import numpy as np
np.random.seed(0)
X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=float)
y = np.array([[0], [1], [1], [0]], dtype=float)
m = X.shape[0]
W1, b1 = np.random.randn(2, 4), np.zeros((1, 4))
W2, b2 = np.random.randn(4, 1), np.zeros((1, 1))
lr = 0.5
for i in range(5000):
    a1 = np.tanh(X @ W1 + b1)
    a2 = 1 / (1 + np.exp(-(a1 @ W2 + b2)))
    loss = -np.sum(y * np.log(a2) + (1 - y) * np.log(1 - a2)) / m
    dz2 = a2 - y
    dz1 = dz2 @ W2.T * (1 - a1 ** 2)
    dW2, db2 = a1.T @ dz2 / m, np.sum(dz2, axis=0, keepdims=True) / m
    dW1, db1 = X.T @ dz1 / m, np.sum(dz1, axis=0, keepdims=True) / m
    W1, b1 = W1 - lr * dW1, b1 - lr * db1
    W2, b2 = W2 - lr * dW2, b2 - lr * db2
"""


@pytest.mark.parametrize("count", ["X.shape[0]", "4", "a literal"])
def test_a_network_as_wide_as_its_data_are_long_is_right(count: str):
    literal = count.startswith("a")
    text = AS_WIDE.replace("/ m", "/ 4") if literal else AS_WIDE.replace("X.shape[0]", count)
    report = parity.check(_drafted(text))
    assert report.outcome.name == "RIGHT", str(report)


def test_what_reads_files_is_left_out_and_its_count_is_that_of_the_samples():
    text = ONES.replace("N = 60\nP = np.hstack([r.randn(N, 2), np.ones((N, 1))])\n", "")
    text = text.replace(
        "T = np.where(P[:, 0] > P[:, 1], 1.0, -1.0)", "P, T = load_data()\nN = len(P)"
    )
    module = parity.loop_functions(_written(text))
    assert not hasattr(module, "P")
    x = np.random.default_rng(0).normal(size=(7, 3))
    expected = np.tanh(np.hstack([np.tanh(x @ module.Wa), np.ones((7, 1))]) @ module.Wb)
    np.testing.assert_allclose(module.forward(x), expected, rtol=1e-14)


REFUSED = {
    "takes its inputs as X[ids] and its labels as Y[start:start + size]": BATCHES.replace(
        "Y[ids]", "Y[start:start + size]"
    ),
    "depends on epoch": BATCHES.replace("0.01 *", "0.01 / (1 + epoch) *"),
    "the inputs and the labels (found: X)": MAIN.replace("dZ2 = A2 - Y", "dZ2 = A2"),
}


@pytest.mark.parametrize("said", REFUSED)
def test_what_cannot_be_taken_apart_is_refused_in_one_line(
    said: str, capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(LoopError) as refused:
        parity.loop_functions(_written(REFUSED[said]))
    assert said in str(refused.value)
    assert main(["init", "program.py"]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1


def test_a_file_without_such_a_loop_is_refused():
    with pytest.raises(LoopError):
        parity.loop_functions(_written("import numpy as np\nfor k in range(3):\n    print(k)\n"))
