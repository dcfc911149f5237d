"""Everything that uses Keras, on each of its backends that is installed, a process each.

In a sample the backend of this process is tried in this one.
"""

import functools
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from keras_impl import _startup, keras
from scripts.engines import BACKENDS
from tests import census

ROOT = Path(__file__).parents[2]
each_backend = pytest.mark.parametrize("backend", BACKENDS)


def run(backend: str, *arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    # One thread: they wait for one another longer than these products take.
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    environment = os.environ | threads | {"KERAS_BACKEND": backend, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, text=True, cwd=cwd
    )


@functools.cache
def found(backend: str) -> dict[str, Any]:
    if backend == keras.backend.backend() and not census.settings.all:
        # In this process, which has it already; that importing it says nothing is tried elsewhere.
        from tests.keras_impl import on_backend

        return json.loads(json.dumps(on_backend.found()))
    done = run(backend, "-m", "tests.keras_impl.on_backend")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Could not find cuda" not in done.stderr  # TensorFlow's messages
    return json.loads(done.stdout.splitlines()[-1])


def on(backend: str) -> dict[str, Any]:
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed: pip install -r requirements-benchmark.txt")
    return found(backend)


@each_backend
def test_networks_are_identical(backend: str) -> None:
    assert set(on(backend)["networks"].values()) == {True}, on(backend)["networks"]


@each_backend
def test_a_gradient_that_is_off_by_a_billionth_is_seen(backend: str) -> None:
    assert on(backend)["planted"] == ["gradients 0/kernel"]


@each_backend
def test_float64_as_keras_sets_it_is_refused_where_it_is_float32(backend: str) -> None:
    said = on(backend)["by_itself"]
    if backend == "tensorflow":
        assert said == "identical"
    else:
        assert said.startswith("Expected float64 as keras_impl.precision sets it")


@each_backend
def test_what_a_backend_computes_in_its_own_way_is_matched(backend: str) -> None:
    assert set(on(backend)["own_ways"].values()) == {True}, on(backend)["own_ways"]


@each_backend
def test_300_steps_of_rmsprop_stay_together_in_float64(backend: str) -> None:
    assert 0 < on(backend)["apart"] < 1e-12


@each_backend
def test_keras_own_fit_trains_as_numpy_does(backend: str) -> None:
    assert on(backend)["fitted"] < 1e-13


@each_backend
def test_checks_ask_keras(backend: str) -> None:
    checks = on(backend)["checks"]
    assert checks["outcomes"] == ["RIGHT", "WRONG", "RIGHT", "WRONG"]
    assert checks["witnesses"] == [True, False, True, False]
    assert checks["matched"] == ["shape", "forward", "shape", "shape", "shape"]


@each_backend
def test_the_gradient_by_the_inputs_is_numpy_s(backend: str) -> None:
    assert on(backend)["by_inputs"] < 1e-13


@each_backend
def test_commands_train_go_on_and_answer(backend: str) -> None:
    commands = on(backend)["commands"]
    assert commands["codes"] == [0, 0, 0]
    assert {"model.keras", "model.npz", "summary.json"} <= set(commands["files"])
    assert commands["left"] == 2  # the training and the picture
    assert commands["page"] == "ready"


@each_backend
def test_a_convolution_that_pytorch_cannot_differentiate_is_one_line(backend: str) -> None:
    said = on(backend)["one_filter"]
    if backend == "torch":
        assert said.startswith("Expected a model that PyTorch differentiates")
        assert "\n" not in said
    else:
        assert said == "identical"


@pytest.mark.parametrize("backend", ["nonesuch", "numpy"])
@pytest.mark.parametrize("engine", ["keras", "numpy"])
def test_a_backend_that_is_not_there_is_one_line_and_no_folder(
    backend: str, engine: str, tmp_path: Path
) -> None:
    arguments = ["-m", "scripts.train", "64-40-10", "--engine", engine, "--out", "run"]
    done = run(backend, *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == (
        f"train: KERAS_BACKEND: expected one of {', '.join(BACKENDS)}. Received: {backend}\n"
    )
    assert not list(tmp_path.iterdir())


def test_whatami_says_in_one_line_that_a_backend_is_not_there() -> None:
    done = run("nonesuch", "-m", "scripts.whatami", "docs/images/photo.jpg", "--engine", "keras")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "expected KERAS_BACKEND to be one of tensorflow, jax, torch" in done.stderr


def test_both_lists_of_backends_are_one() -> None:
    assert _startup.BACKENDS == BACKENDS
