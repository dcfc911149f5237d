"""Rules give the same bits whether NumPy evaluates them or Numba compiles them."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from numpy_impl import Sequential, compiling, fused, layers, losses, optimizers, training
from numpy_impl.fused import RULES, Each, Row, Rule, Same, rule
from numpy_impl.optimizers.adam import adam
from numpy_impl.optimizers.adaptive import rmsprop
from numpy_impl.types import Array, Precision

ROOT = Path(__file__).parents[2]
EXTREMES = [0.0, -0.0, 1.0, np.inf, -np.inf, np.nan, 1e-40, -1e-45, 1e-310, 3e38, -2e19]
DTYPES: list[Precision] = ["float32", "float64"]

needs_numba = pytest.mark.skipif(find_spec("numba") is None, reason="Numba is not installed")


@rule("z", "sums")
def centre(z: Each, bias: Row, scale: Same) -> Any:
    """Have all that a rule may have: a number of numbers alone, and constants."""
    halved = 1 - scale / 3
    z = z + bias
    return np.where(z <= 0.5, np.abs(z) * halved, np.sign(z) - 0.1), np.maximum(-z, 0.1) / 3


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(Rule, "seconds", 0.0)
    monkeypatch.setattr(fused, "PATIENCE", 0.5)
    compiling._announce.cache_clear()  # pyright: ignore[reportPrivateUsage]
    for each in RULES:
        monkeypatch.setattr(each, "kernels", {})


def _arguments(which: Rule, shape: tuple[int, ...], dtype: Precision) -> list[Any]:
    """Return arrays of ordinary and of extreme numbers, and numbers, to call a rule with."""
    rng = np.random.default_rng(shape[-1])

    def drawn(kind: Any) -> Any:
        if kind is Same:
            return float(rng.random())
        size = shape[-1:] if kind is Row else shape
        values = rng.normal(size=size) * np.exp(4 * rng.normal(size=size))
        values = np.where(rng.random(size) < 0.2, rng.choice(EXTREMES, size=size), values)
        return values.astype(dtype)

    with np.errstate(all="ignore"):
        given = [drawn(which.kinds.get(name, Each)) for name in which.names]
    if "mask" in which.names:
        given[which.names.index("mask")] = rng.random(shape) < 0.5
    return given


def _copied(arguments: list[Any]) -> list[Any]:
    return [a.copy() if isinstance(a, np.ndarray) else a for a in arguments]


def _assert_same_bits(one: list[Any], other: list[Any]) -> None:
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)
        # NaN has a sign that nothing defines; 0 has one that counts.
        known = ~np.isnan(a)
        assert (np.signbit(a) == np.signbit(b))[known].all()


@needs_numba
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("which", RULES, ids=lambda which: which.formula.__name__)
def test_both_ways_give_the_same_bits(which: Rule, dtype: Precision) -> None:
    ndim = 2 if which is centre else 1
    compiling.compile_rule(which, *_arguments(which, (3,) * ndim, dtype))
    for length in (0, 1, 7, 1023):
        given = _arguments(which, (2, length)[-ndim:], dtype)
        compiled, evaluated = _copied(given), _copied(given)
        with np.errstate(all="ignore"):
            which(*compiled)
            which.evaluate(*evaluated)
        _assert_same_bits(compiled, evaluated)


@needs_numba
@pytest.mark.parametrize("which", [centre, rmsprop])
def test_views_give_the_same_bits(which: Rule) -> None:
    given = _arguments(which, (9, 14), "float32")
    wide = [np.repeat(a, 2, axis=-1) if isinstance(a, np.ndarray) else a for a in given]
    strided = [a[..., ::2] if isinstance(a, np.ndarray) else a for a in wide]
    compiling.compile_rule(which, *given)
    with np.errstate(all="ignore"):
        which(*strided)
        which.evaluate(*given)
    _assert_same_bits(strided, given)
    for a in wide:  # what lies between is left alone
        if isinstance(a, np.ndarray):
            assert a.shape[-1] == 28


def test_long_vectors_are_evaluated_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = _arguments(rmsprop, (1001,), "float64")
    parts = _copied(whole)
    with np.errstate(all="ignore"):
        rmsprop.evaluate(*whole)
        monkeypatch.setattr(fused, "BLOCK", 64)
        rmsprop.evaluate(*parts)
    _assert_same_bits(parts, whole)


@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=needs_numba)])
def test_arrays_that_do_not_fit_are_refused(compiled: bool) -> None:
    z, bias = np.zeros((4, 3)), np.zeros(3)
    if compiled:
        compiling.compile_rule(centre, z, bias, 0.5, z.copy())
    for wrong in (
        (z, np.zeros(2), 0.5, z.copy()),
        (z, np.zeros(4), 0.5, z.copy()),
        (z, np.zeros((4, 3)), 0.5, z.copy()),
        (z, bias, 0.5, np.zeros(3)),
        (z, bias, 0.5, np.zeros((4, 2))),
    ):
        with pytest.raises(ValueError, match="Expected arrays of one shape"):
            centre(*wrong)
    assert not z.any()


@needs_numba
def test_what_libraries_do_not_agree_on_is_no_rule() -> None:
    @rule("z")
    def bent(z: Each) -> Any:
        return np.tanh(z)

    RULES.remove(bent)
    with pytest.raises(AssertionError, match="tanh may have other bits"):
        compiling.text(bent, 1, np.dtype("float32"))


def _trained(seed: int = 0) -> Array:
    rng = np.random.default_rng(seed)
    x, y = rng.random((60, 8), np.float32), np.eye(3, dtype="float32")[rng.integers(3, size=60)]
    network = Sequential(
        [layers.Dense(5, "relu"), layers.Dropout(0.2), layers.Dense(3, "softmax")], 8, rng
    )
    loss, optimizer = losses.get("categorical_crossentropy", fused=True), optimizers.get("adam")
    schedule = training.shuffled(60, 7, rng)
    training.fit(network, loss, optimizer, x, y, epochs=3, schedule=schedule)
    return network.parameters


@needs_numba
def test_a_training_gives_the_same_bits_while_rules_become_compiled(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    plain = _trained()
    assert not any(each.kernels for each in RULES)
    assert not capsys.readouterr().err
    monkeypatch.setattr(fused, "PATIENCE", -1.0)
    np.testing.assert_array_equal(_trained(), plain)
    compiling.wait()
    assert adam.kernels[1, "f"] is not None
    np.testing.assert_array_equal(_trained(), plain)
    assert f"kept in {tmp_path}" in capsys.readouterr().err


SCRIPT = """
import numpy as np
from numpy_impl import compiling
from numpy_impl.optimizers.adaptive import rmsprop
w, g, v = np.ones((3, 5), np.float32)
compiling.compile_rule(rmsprop, w, g, v, 0.1, 0.9, 1e-7)
[kernel] = rmsprop.kernels.values()
print(sum(kernel.stats.cache_hits.values()), compiling.folder())
"""


def _run(cache: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache)}
    command = [sys.executable, "-c", SCRIPT]
    return subprocess.run(
        command, capture_output=True, text=True, check=True, env=environment, cwd=ROOT
    )


@needs_numba
def test_a_second_run_finds_what_the_first_compiled(tmp_path: Path) -> None:
    first, second = _run(tmp_path), _run(tmp_path)
    assert first.stdout.split() == ["0", str(tmp_path / "digits-parity")]
    assert "Compiling formulas (Numba)" in first.stderr
    assert second.stdout.split() == ["1", str(tmp_path / "digits-parity")]
    assert second.stderr == ""


@needs_numba
def test_where_nothing_can_be_written_it_is_compiled_for_this_run(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("no folder")
    done = _run(file)
    hits, folder = done.stdout.split()
    assert hits == "0"
    assert not Path(folder).exists()  # it was the run's own
    assert file.read_text() == "no folder"


def test_without_numba_it_is_evaluated(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = _trained()
    monkeypatch.setitem(sys.modules, "numba", None)
    monkeypatch.setattr(fused, "PATIENCE", -1.0)
    np.testing.assert_array_equal(_trained(), plain)
    compiling.wait()
    assert not any(kernel for each in RULES for kernel in each.kernels.values())
