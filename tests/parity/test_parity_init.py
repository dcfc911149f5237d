"""``python -m parity init``: adapters drafted from text, for networks as people write them."""

import ast
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import parity
from parity import Candidate
from parity.__main__ import main
from parity.commands import isolation, targets
from tests import census
from tests.parity import in_process
from tests.parity.drafted import own_imports
from tests.parity.drafted_styles import STYLES, Style

__all__ = ["own_imports"]  # a fixture that every test here has


@pytest.fixture(autouse=True)
def _asked_here(own_imports: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask in this process, in an empty folder of whose modules none stays."""
    monkeypatch.setattr(isolation, "asked", in_process.asked)


def _init(name: str, text: str, *options: str) -> int:
    Path(f"{name}.py").write_text(text, encoding="utf-8")
    return main(["init", f"{name}.py", *options])


def _flat(arrays: Any) -> list[np.ndarray]:
    if isinstance(arrays, np.ndarray):
        return [arrays]
    values = arrays.values() if isinstance(arrays, dict) else arrays
    return [array for value in values for array in _flat(value)]


def _loss(style: Style, output: Any, y: np.ndarray) -> float:
    """Return what the style's gradient is the gradient of, from its forward pass alone."""
    by_rows = style.x[0] == style.y[0]
    a = np.asarray(output) if by_rows or np.ndim(output) < 2 else np.asarray(output).T
    y = y if by_rows or y.ndim < 2 else y.T
    if style.loss in ("scores", "softmax", "one-hot"):
        a = a / a.sum(axis=1, keepdims=True) if style.loss != "scores" else _softmax(a)
        y = np.eye(a.shape[1])[y] if y.ndim == 1 else y
        return -(y * np.log(a)).sum() / len(y)
    squares = (a.reshape(y.shape) - y) ** 2
    if style.loss == "mean":
        return squares.mean()
    total = squares.sum() / (1 if style.loss == "squares" else 2)
    return total / len(y) if style.mean else total


def _softmax(scores: np.ndarray) -> np.ndarray:
    return np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)


def _slopes(value: Callable[[], float], array: np.ndarray, places: list[int]) -> list[float]:
    """Return central differences by some elements of an array, which is changed in between."""
    slopes, h = [], 1e-5
    for place in places:
        index = np.unravel_index(place, array.shape)
        before = array[index]
        array[index] = before + h
        above = value()
        array[index] = before - h
        slopes.append((above - value()) / (2 * h))
        array[index] = before
    return slopes


def _candidate(target: str) -> parity.Candidate:
    found = targets.candidate(target)
    return found if isinstance(found, parity.Candidate) else found()


def _asked(candidate: Candidate, x: np.ndarray, y: np.ndarray) -> Iterator[list[np.ndarray]]:
    """Yield the gradients that a candidate gives, and those that its step of size 1/8 shows."""
    assert candidate.get_weights is not None
    if candidate.gradients is not None:
        yield [array.copy() for array in _flat(candidate.gradients(x, y))]
    if candidate.step is not None:
        before = [array.copy() for array in _flat(candidate.get_weights())]
        candidate.step(x, y, 0.125)
        after = [array.copy() for array in _flat(candidate.get_weights())]
        for array, old in zip(_flat(candidate.get_weights()), before, strict=True):
            array[...] = old
        yield [8 * (old - new) for old, new in zip(before, after, strict=True)]


@pytest.mark.parametrize("name", STYLES)
def test_the_draft_of_a_common_style_works_unedited(name: str):
    style = STYLES[name]
    assert _init(name, style.text) == 0
    text = Path(f"check_{name}.py").read_text()
    compile(text, name, "exec")
    assert text.count("# check:") == style.checks + text.count('with "# check:"')
    candidate = _candidate(f"check_{name}.py")
    parts = [p for p in ("gradients", "step", "loss") if getattr(candidate, p) is not None]
    assert parts == [p for p in ("gradients", "step", "loss") if p in style.parts]

    rng = np.random.default_rng(0)
    x = rng.normal(size=style.x) / 4
    y = rng.random(style.y)
    if style.loss in ("softmax", "scores"):
        y = rng.integers(0, 3, style.y)
    elif style.loss == "one-hot":
        y = np.eye(style.y[1])[rng.integers(0, 3, style.y[0])]
    forward = candidate.forward
    assert forward is not None
    assert candidate.get_weights is not None
    for given in _asked(candidate, x, y):
        weights = _flat(candidate.get_weights())
        assert [g.shape for g in given] == [w.shape for w in weights]
        for array, gradient in zip(weights, given, strict=True):
            places = rng.choice(array.size, min(3, array.size), replace=False).tolist()
            slopes = _slopes(lambda: _loss(style, forward(x), y), array, places)
            assert gradient.ravel()[places] == pytest.approx(slopes, rel=1e-6, abs=1e-8)


def test_the_check_finds_every_draft_right():
    """The only test here that runs the real check."""
    names = census.sample(list(STYLES), 3, "drafts")
    for name in names:
        assert _init(name, STYLES[name].text) == 0
        assert main(["check", f"check_{name}.py"]) == 0, name


@pytest.mark.parametrize("name", ["planar", "layers"])
def test_the_loss_is_the_loss_of_the_module(name: str):
    style = STYLES[name]
    _init(name, style.text)
    candidate = _candidate(f"check_{name}.py")
    if name == "layers":
        assert candidate.loss is None  # it has none
        return
    x, y = np.full(style.x, 0.1), np.full(style.y, 0.3)
    assert callable(candidate.loss)
    assert candidate.forward is not None
    expected = _loss(style, candidate.forward(x), y)
    assert candidate.loss(x, y) == pytest.approx(expected, rel=1e-12)


def test_a_loss_whose_slope_takes_a_gradient_has_an_end():
    text = STYLES["layer_list"].text.replace("mse_prime(y_true, y_pred)", "mse_prime(y_true, grad)")
    text = text.replace("2 * (y_pred - y_true)", "2 * (grad - y_true)")
    assert _init("mynet", text) == 0
    assert "mynet.mse_prime(y, output)" in Path("check_mynet.py").read_text()


def test_what_the_module_does_is_not_run(capsys: pytest.CaptureFixture[str]):
    training = "\nnet = Net(6, 5, 3)\nfor epoch in range(9):\n    net.backward(x, y)\nnet.save()\n"
    assert _init("mynet", f"raise SystemExit(1)\n{STYLES['attributes'].text}{training}") == 0
    out = capsys.readouterr().out
    assert out.startswith("wrote check_mynet.py\nfound class Net: forward by forward")
    assert "left out of mynet.py, by parity.definitions:\n  line 1: raise SystemExit(1)\n" in out
    assert ": for epoch in range(9):\n" in out
    assert ": net.save()\n" in out
    assert out.endswith("next: python -m parity check check_mynet.py\n")


def test_what_is_harmless_is_not_called_training(capsys: pytest.CaptureFixture[str]):
    text = "import numpy as np\nnp.random.seed(1)\n" + STYLES["module_arrays"].text
    assert _init("mynet", text) == 0
    assert "left out" not in capsys.readouterr().out


def test_a_file_that_is_there_is_replaced_by_force_only(capsys: pytest.CaptureFixture[str]):
    Path("check_mynet.py").write_text("mine")
    assert _init("mynet", STYLES["attributes"].text) == 2
    assert capsys.readouterr().err == (
        "parity: expected no file check_mynet.py, or --force to replace it. Received: it is there\n"
    )
    assert Path("check_mynet.py").read_text() == "mine"
    assert _init("mynet", STYLES["attributes"].text, "--force") == 0
    assert Path("check_mynet.py").read_text() != "mine"
    assert _init("mynet", STYLES["attributes"].text, "--force", "--out", "mynet.py") == 2
    assert Path("mynet.py").read_text() == STYLES["attributes"].text


def test_the_adapter_finds_the_module_from_another_folder():
    os.makedirs("elsewhere/deep")
    out = "elsewhere/deep/adapter.py"
    assert _init("mynet", STYLES["attributes"].text, "--out", out) == 0
    assert _candidate(out).name == "Net of mynet.py"


@pytest.mark.parametrize("name", ["my-net", "2layers", "net", "layers", "lambda"])
def test_names_that_cannot_be_imported_as_they_are(name: str):
    assert _init(name, STYLES["attributes"].text) == 0
    plain = name.replace("-", "_")
    assert _candidate(f"check_{plain}.py").name == f"Net of {name}.py"


def test_a_name_that_another_module_has_is_told(capsys: pytest.CaptureFixture[str]):
    assert _init("random", STYLES["attributes"].text) == 0
    assert "rename random.py: importing random finds another" in capsys.readouterr().out


def test_a_module_that_imports_from_its_own_package():
    os.makedirs("pack/inner")
    for folder in ("pack", "pack/inner"):
        Path(folder, "__init__.py").touch()
    Path("pack/inner/numbers.py").write_text("ONE = 1\n")
    text = "from .numbers import ONE\n" + STYLES["attributes"].text
    Path("pack/inner/mynet.py").write_text(text)
    assert main(["init", "pack/inner/mynet.py", "--out", "adapter.py"]) == 0
    assert _candidate("adapter.py").name == "Net of mynet.py"


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("mynet.py", "", "a forward pass, and gradients or an update. Received: mynet.py, with no"),
        ("mynet.py", "class Net:\n    def forward(self, x): return x\n", "with only Net; "),
        ("mynet.py", "def f(:\n", "expected valid Python. Received: mynet.py line 1: "),
        ("mynet.py", "x = 1\nprint 'hello'\n", "mynet.py line 2: Missing parentheses in call"),
        ("mynet.py", "x = 1\nreturn x\n", "mynet.py line 2: 'return' outside function: return x"),
        ("mynet.py", "\0", "expected valid Python. Received: mynet.py: "),
        ("mynet.ipynb", "{}", "mynet.ipynb, a notebook; this writes it as Python: jupyter "),
        ("mynet.txt", "", "a Python file, whose name ends in .py. Received: mynet.txt"),
        (
            "nothing.py",
            None,
            "expected a Python file. Received: No such file or directory: nothing",
        ),
    ],
)
def test_what_cannot_be_drafted_is_said_in_one_line(
    file: str, text: str | None, message: str, capsys: pytest.CaptureFixture[str]
):
    if text is not None:
        Path(file).write_text(text)
    assert main(["init", file]) == 2
    err = capsys.readouterr().err
    assert err.startswith("parity: expected ")
    assert message in err
    assert err.count("\n") == 1
    assert not Path("check_mynet.py").exists()


def test_no_module_however_strange_breaks_the_drafting():
    """Each function removed in turn, what is left still gives Python or a line."""
    halves: list[str] = []
    for style in STYLES.values():
        tree = ast.parse(style.text)
        for place in (n for n in ast.walk(tree) if isinstance(n, (ast.Module, ast.ClassDef))):
            for k, statement in enumerate(list(place.body)):
                place.body[k] = ast.Pass()
                halves.append(ast.unparse(tree))
                place.body[k] = statement
    for text in census.sample(halves, 6, "halves"):
        if _init("mynet", text, "--force") == 0:
            compile(Path("check_mynet.py").read_text(), "check_mynet.py", "exec")
