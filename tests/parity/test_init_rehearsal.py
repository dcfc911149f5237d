"""``python -m parity init``: what a program's own run tells, and that it leaves no trace."""

import os
import sys
import time
from pathlib import Path

import pytest

import parity
from parity import drafting
from parity.__main__ import main
from parity.commands import isolation, targets
from parity.drafting import holding
from tests.parity import in_process
from tests.parity.drafted import own_imports

__all__ = ["own_imports"]  # a fixture that every test here has

COURSE = """
import numpy as np

def load():
    r = np.random.RandomState(0)
    X = r.randn(3, 50)
    return X, (X[:1] * X[1:2] > 0).astype(float)

def initialize_parameters(n_x, n_h, n_y):
    r = np.random.RandomState(1)
    return {"W1": r.randn(n_h, n_x), "b1": np.zeros((n_h, 1)),
            "W2": r.randn(n_y, n_h), "b2": np.zeros((n_y, 1))}

def forward_propagation(X, parameters):
    A1 = np.tanh(parameters["W1"] @ X + parameters["b1"])
    A2 = 1 / (1 + np.exp(-(parameters["W2"] @ A1 + parameters["b2"])))
    assert A2.shape == (1, X.shape[1])
    return A2, (A1, A2)

def compute_cost(A2, Y):
    return -np.sum(Y * np.log(A2) + (1 - Y) * np.log(1 - A2)) / Y.shape[1]

def backward_propagation(parameters, caches, X, Y):
    A1, A2 = caches
    m = X.shape[1]
    dZ2 = A2 - Y
    dZ1 = parameters["W2"].T @ dZ2 * (1 - A1 ** 2)
    return {"dW1": dZ1 @ X.T / m, "db1": dZ1.sum(axis=1, keepdims=True) / m,
            "dW2": dZ2 @ A1.T / m, "db2": dZ2.sum(axis=1, keepdims=True) / m}

def update_parameters(parameters, grads, learning_rate=1.2):
    return {k: v - learning_rate * grads["d" + k] for k, v in parameters.items()}

if __name__ == "__main__":
    X, Y = load()
    parameters = initialize_parameters(X.shape[0], 4, Y.shape[0])
    for i in range(100):
        A2, caches = forward_propagation(X, parameters)
        grads = backward_propagation(parameters, caches, X, Y)
        parameters = update_parameters(parameters, grads)
"""
# One output without an axis of its own, gradients called gW1, and a penalty from the run.
FLAT = """
import numpy as np

def start(d, h, rng):
    return {"W1": rng.normal(size=(d, h)), "b1": np.zeros(h),
            "w2": rng.normal(size=h), "b2": np.zeros(1)}

def value(th, X):
    return np.tanh(X @ th["W1"] + th["b1"]) @ th["w2"] + th["b2"]

def error_of(th, X, y):
    return ((value(th, X) - y) ** 2).mean() / 2

def grad(th, X, y):
    a = np.tanh(X @ th["W1"] + th["b1"])
    d = (a @ th["w2"] + th["b2"] - y) / len(y)
    dz = np.outer(d, th["w2"]) * (1 - a ** 2)
    return {"w2": a.T @ d, "b2": np.array([d.sum()]), "W1": X.T @ dz, "b1": dz.sum(axis=0)}

if __name__ == "__main__":
    rng = np.random.default_rng(5)
    X = rng.normal(size=(40, 3))
    y = X[:, 0] * X[:, 1]
    th = start(3, 6, rng)
    for it in range(20):
        g = grad(th, X, y)
        for k in th:
            th[k] -= 0.3 * g[k]
"""
# Lists of Python's numbers and names in another language, a class method, three layers.
LISTS = """
import math
import random

class Red:
    def __init__(self, capas, azar):
        self.capas = capas
        self.W = [[[azar.uniform(-1, 1) for _ in range(n)] for _ in range(m)]
                  for n, m in zip(capas, capas[1:])]
        self.B = [[0.1 for _ in range(m)] for m in capas[1:]]

    @classmethod
    def crear(cls, capas, semilla):
        return cls(capas, random.Random(semilla))

    def adelante(self, entrada):
        self.a = [list(entrada)]
        for l in range(len(self.W)):
            antes = self.a[-1]
            self.a.append([
                math.tanh(self.B[l][j] + sum(self.W[l][j][i] * antes[i]
                                             for i in range(self.capas[l])))
                for j in range(self.capas[l + 1])])
        return self.a[-1]

    def costo(self, entrada, objetivo):
        salida = self.adelante(entrada)
        return sum((s - o) ** 2 for s, o in zip(salida, objetivo)) / 2

    def atras(self, entrada, objetivo):
        salida = self.adelante(entrada)
        d = [(s - o) * (1 - s * s) for s, o in zip(salida, objetivo)]
        gW, gB = [], []
        for l in range(len(self.W) - 1, -1, -1):
            antes = self.a[l]
            gW.insert(0, [[dj * ai for ai in antes] for dj in d])
            gB.insert(0, list(d))
            d = [sum(self.W[l][j][i] * d[j] for j in range(len(d))) * (1 - antes[i] ** 2)
                 for i in range(self.capas[l])]
        return gW, gB

    def entrenar(self, entrada, objetivo, tasa):
        gW, gB = self.atras(entrada, objetivo)
        for l in range(len(self.W)):
            for j in range(self.capas[l + 1]):
                for i in range(self.capas[l]):
                    self.W[l][j][i] -= tasa * gW[l][j][i]
                self.B[l][j] -= tasa * gB[l][j]

if __name__ == "__main__":
    red = Red.crear([3, 5, 4, 2], 1)
    for k in range(30):
        x = [random.uniform(-1, 1) for _ in range(3)]
        red.entrenar(x, [x[0] * x[1], x[2]], 0.05)
"""
# A tuple of weights that is taken apart where it is used, and a loss that no list names.
TUPLE = """
import numpy as np

def init_params(key, d, h, k):
    rng = np.random.default_rng(key)
    return rng.normal(size=(d, h)), np.zeros(h), rng.normal(size=(h, k)), np.zeros(k)

def apply(params, x):
    W1, b1, W2, b2 = params
    h = np.tanh(x @ W1 + b1)
    e = np.exp(h @ W2 + b2)
    return e / e.sum(1, keepdims=True), h

def nll(params, x, y):
    return -np.sum(y * np.log(apply(params, x)[0])) / len(x)

def nll_grad(params, x, y):
    p, h = apply(params, x)
    d = (p - y) / len(x)
    g = d @ params[2].T * (1 - h ** 2)
    return x.T @ g, g.sum(0), h.T @ d, d.sum(0)

if __name__ == "__main__":
    x = np.random.default_rng(1).normal(size=(30, 4))
    y = np.eye(3)[np.arange(30) % 3]
    params = init_params(0, 4, 6, 3)
    for i in range(50):
        params = tuple(p - 0.3 * g for p, g in zip(params, nll_grad(params, x, y)))
"""
# Modules as PyTorch has them, made by a function, whose gradients add up and are set back.
MODULES = """
import numpy as np

class Parameter:
    def __init__(self, data):
        self.data, self.grad = data, np.zeros_like(data)

class Linear:
    def __init__(self, n_in, n_out, rng):
        self.weight = Parameter(rng.normal(size=(n_out, n_in)))
        self.bias = Parameter(np.zeros(n_out))

    def parameters(self):
        return [self.weight, self.bias]

    def forward(self, x):
        self.x = x
        return x @ self.weight.data.T + self.bias.data

    def backward(self, g):
        self.weight.grad += g.T @ self.x
        self.bias.grad += g.sum(0)
        return g @ self.weight.data

class Tanh:
    def parameters(self):
        return []

    def forward(self, x):
        self.y = np.tanh(x)
        return self.y

    def backward(self, g):
        return g * (1 - self.y ** 2)

class Sequential:
    def __init__(self, *parts):
        self.parts = parts

    def parameters(self):
        return [p for part in self.parts for p in part.parameters()]

    def forward(self, x):
        for part in self.parts:
            x = part.forward(x)
        return x

    def backward(self, g):
        for part in reversed(self.parts):
            g = part.backward(g)
        return g

def mse_loss(pred, target):
    diff = pred - target
    return (diff ** 2).mean(), 2 * diff / diff.size

def build(rng):
    return Sequential(Linear(4, 6, rng), Tanh(), Linear(6, 2, rng))

if __name__ == "__main__":
    rng = np.random.default_rng(0)
    model = build(rng)
    X = rng.normal(size=(30, 4))
    for i in range(10):
        for p in model.parameters():
            p.grad = np.zeros_like(p.data)
        loss, g = mse_loss(model.forward(X), X[:, :2])
        model.backward(g)
        for p in model.parameters():
            p.data -= 0.1 * p.grad
"""
PROGRAMS = {
    "course": (COURSE, ("gradients", "step", "loss"), "3-4-1 (tanh, sigmoid)"),
    "flat": (FLAT, ("gradients", "loss"), "3-6-1 (tanh, linear)"),
    "lists": (LISTS, ("gradients", "step", "loss"), "3-5-4-2 (tanh, tanh, tanh)"),
    "modules": (MODULES, ("gradients", "loss"), "4-6-2 (tanh, linear)"),
    "tuple": (TUPLE, ("gradients", "loss"), "4-6-3 (tanh, softmax)"),
}
BUGS = {
    "course": ("* (1 - A1 ** 2)", "", "missing activation derivative"),
    "flat": ("dz.sum(axis=0)}", "dz.sum()}", "bias gradient summed over the wrong axis"),
    "lists": ("* (1 - antes[i] ** 2)", "", "missing activation derivative"),
    "modules": ("            p.grad = np.zeros_like(p.data)\n", "            pass\n", "accumulate"),
    "tuple": ("d.sum(0)\n", "d.mean(0)\n", "bias gradient"),
}


@pytest.fixture(autouse=True)
def _asked_here(own_imports: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask in this process, in an empty folder of whose modules none stays."""
    monkeypatch.setattr(isolation, "asked", in_process.asked)


def _drafted(name: str, text: str) -> parity.Candidate:
    Path(f"{name}.py").write_text(text)
    assert main(["init", f"{name}.py"]) == 0
    make = targets.candidate(f"check_{name}.py")
    return make if isinstance(make, parity.Candidate) else make()


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_sizes_of_the_run_make_a_draft_that_is_right(name: str):
    text, parts, architecture = PROGRAMS[name]
    candidate = _drafted(name, text)
    found = [p for p in ("gradients", "step", "loss") if getattr(candidate, p) is not None]
    assert found == list(parts)
    report = parity.check(candidate)
    assert report.outcome.name == "RIGHT", str(report)
    assert f"Equal to {architecture}" in " ".join(str(report).split())


@pytest.mark.parametrize("name", BUGS)
def test_a_bug_is_found_through_such_a_draft(name: str):
    right, wrong, said = BUGS[name]
    assert right in PROGRAMS[name][0]
    report = parity.check(_drafted(name, PROGRAMS[name][0].replace(right, wrong)))
    assert report.outcome.name == "WRONG", str(report)
    assert said in " ".join(str(report).split("\n\n")[0].split())


def test_a_loss_that_fits_no_gradient_is_doubted():
    other = COURSE.replace("return -np.sum(Y * np.log(A2)", "return 3 - np.sum(A2 + Y * np.log(A2)")
    Path("mynet.py").write_text(other)
    assert main(["init", "mynet.py"]) == 0
    assert "# check: that compute_cost is the loss" in Path("check_mynet.py").read_text()


def test_new_weights_are_not_taken_for_gradients():
    # A function whose parameter could be anything gives arrays of the weights' own shapes.
    text = TUPLE[: TUPLE.index("def nll_grad")] + TUPLE[TUPLE.index("if __name__") :]
    text = text.replace("init_params(key, d, h, k)", "grad_of(seed, d=4, h=6, k=3)")
    text = text.replace("default_rng(key)", "default_rng(int(np.sum(seed)))")
    text = text.partition("    params =")[0] + "    params = grad_of(0)\n    apply(params, x)\n"
    Path("mynet.py").write_text(text)
    assert main(["init", "mynet.py"]) == 2


def test_an_update_that_is_not_connected_is_named(capsys: pytest.CaptureFixture[str]):
    text = TUPLE.replace("if __name__", "def update(*everything): raise ValueError\n\nif __name__")
    assert _drafted("mynet", text).step is None
    said = "not connected: update; give step=... by hand if it is the update"
    assert said in capsys.readouterr().out
    assert "# No step is given, though there is update." in Path("check_mynet.py").read_text()
    assert _drafted("other", COURSE).step is not None
    assert "not connected" not in capsys.readouterr().out


REFUSED = {
    "write": "open('left.txt', 'w')",
    "append": "open('mynet.py', 'a')",
    "save": "np.save('left.npy', np.ones(3))",
    "folder": "os.mkdir('left')",
    "remove": "os.remove('mynet.py')",
    "rename": "os.rename('mynet.py', 'left.py')",
    "path": "__import__('pathlib').Path('left.txt').write_text('x')",
    "copy": "__import__('shutil').copy('mynet.py', 'left.py')",
    "process": "__import__('subprocess').run(['touch', 'left.txt'])",
    "shell": "os.system('touch left.txt')",
    "fork": "os.fork()",
    "network": "__import__('socket').create_connection(('127.0.0.1', 9))",
    "thread": "__import__('threading').Thread(target=print).start()",
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_rehearsal_leaves_no_trace(name: str):
    text = (
        "import numpy as np, os\n"
        "def refused(error): pass\n"
        f"try:\n    {REFUSED[name]}\n"
        "except PermissionError as error:\n    refused(str(error))\n"
    )
    Path("mynet.py").write_text(text)
    seen = drafting.rehearse(Path("mynet.py"), "mynet")
    assert "refused" in seen.calls, name
    assert [p.name for p in Path().iterdir()] == ["mynet.py"]
    assert Path("mynet.py").read_text() == text


def test_nothing_is_refused_once_the_rehearsal_has_ended():
    Path("mynet.py").write_text("raise SystemExit\n")
    drafting.rehearse(Path("mynet.py"), "mynet")
    Path("written.txt").write_text("by somebody else")
    assert Path("written.txt").exists()


@pytest.mark.parametrize(
    "end",
    [
        "while True: called(1)",
        "while True:\n    try: called(1)\n    except Exception: pass",
        "while True:\n    try: called(1)\n    except: pass\n    else: continue\n    break",
        "os._exit(3)",
        "sys.exit(3)",
        "input()",
        "plt.show(); called(2); raise ValueError",
    ],
)
def test_a_rehearsal_ends_and_keeps_what_it_saw(end: str):
    text = (
        "import os, sys, matplotlib.pyplot as plt\n"
        f"def called(n): return n\ncalled(1)\nprint('never seen')\n{end}\n"
    )
    Path("mynet.py").write_text(text)
    began = time.monotonic()
    seen = drafting.rehearse(Path("mynet.py"), "mynet")
    assert time.monotonic() - began < 5
    assert seen.calls["called"][0].arguments == {"n": "1"}


def test_the_process_is_as_it_was_after_a_rehearsal(capsys: pytest.CaptureFixture[str]):
    Path("helper.py").write_text("state = []\n")
    Path("mynet.py").write_text(
        "import os, sys, helper, matplotlib.pyplot\n"
        "print('never seen')\nhelper.state.append(1)\n"
        "os.environ['LEFT'] = '1'\nos.chdir('/')\nsys.path.append('left')\n"
    )
    before = (os.getcwd(), dict(os.environ), list(sys.path), sys.modules["__main__"])
    picture = sys.modules.get("matplotlib.pyplot")
    drafting.rehearse(Path("mynet.py"), "mynet")
    assert (os.getcwd(), dict(os.environ), list(sys.path), sys.modules["__main__"]) == before
    assert "helper" not in sys.modules
    assert sys.modules.get("matplotlib.pyplot") is picture
    assert capsys.readouterr().out == ""


def test_what_is_not_held_back_is_seen_to_leave_a_trace(monkeypatch: pytest.MonkeyPatch):
    """The test of the tests above: without the hook the file is written."""
    monkeypatch.setattr(holding, "_REFUSED", ())
    monkeypatch.setattr(holding, "_WRITING", 0)
    Path("mynet.py").write_text("open('left.txt', 'w').close()\n")
    drafting.rehearse(Path("mynet.py"), "mynet")
    assert Path("left.txt").exists()


def test_settings_are_what_one_value_and_no_usual_name_tells():
    Path("mynet.py").write_text(
        "def f(reg, learning_rate, kind, k): pass\n"
        "for k in range(3): f(0.25, 0.5, 'relu', k)\n"
        "class Net:\n"
        "    def __init__(self, sizes, *more, hidden=3): pass\n"
        "Net([1, 2], 'a', 4, hidden=5)\n"
    )
    seen = drafting.rehearse(Path("mynet.py"), "own")
    assert seen.settings() == {"reg": "0.25", "kind": "'relu'", "hidden": "5"}

    class Net:
        def __init__(self, sizes: list[int], *more: object, hidden: int = 3) -> None: ...

    assert seen.making("Net", Net, "own") == "own.Net([1, 2], 'a', 4, hidden=5)"
    assert seen.making("Other", Net, "own") is None
