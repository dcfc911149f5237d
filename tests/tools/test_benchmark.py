"""The benchmark: who is compared does the same work, and the report says what was measured.

Nothing here asserts a time: ``make benchmark-check`` does.
"""

import json
import os
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from numpy_impl import losses
from tools.benchmark import __main__ as benchmark
from tools.benchmark import contenders, growth, report, targets, worker, works
from tools.benchmark.rounds import Measured, Result, measure
from tools.benchmark.sample_loop import SampleLoop
from tools.benchmark.works import Work

SMALL = Work("small", "64-40-10", 15, 45)
DO = ("train", "predict", "check")
THERE = [contender for contender in contenders.CONTENDERS if contender.is_there]
# Keras has one backend a process: it is tried by test_a_work_is_measured.
HERE = [contender for contender in THERE if contender.backend is None]


def test_the_sample_loop_takes_the_engine_s_step() -> None:
    x, y = works.samples(SMALL)
    loop = SampleLoop(SMALL.sizes, np.random.default_rng(1))
    network = contenders.own_network(SMALL).clone("float64")
    pairs = zip(loop.kernels, loop.biases, strict=True)
    network.set_weights([a for w, b in pairs for a in (w.T, b[:, 0])])
    loop.step([(a[:, None], b[:, None]) for a, b in zip(x, y, strict=True)], 0.5)
    _, gradients = network.loss_and_gradients(x, y, losses.Quadratic())
    for own, gradient, theirs in zip(
        network.weights, gradients,
        [a for w, b in zip(loop.kernels, loop.biases, strict=True) for a in (w.T, b[:, 0])],
        strict=True,
    ):  # fmt: skip
        # Sums of 45 samples and of 64 inputs, of numbers of the size of 1 (the weights: 4).
        np.testing.assert_allclose(own - 0.5 * gradient, theirs, rtol=0, atol=200 * 2.0**-52)


@pytest.mark.parametrize("work", [*works.WORKS, SMALL], ids=lambda work: work.name)
def test_data_fit_the_network(work: Work, monkeypatch: pytest.MonkeyPatch, tiny_mnist) -> None:
    monkeypatch.setenv("MNIST_PATH", str(tiny_mnist))
    x, y = works.samples(replace(work, samples=70))
    assert (x.shape, y.shape) == ((70, work.sizes[0]), (70, 10))
    assert x.dtype == y.dtype == np.float32
    assert 0 <= x.min() < x.max() <= 1
    outputs = contenders.own_network(work).predict(x)
    assert outputs.shape == y.shape


def test_operations_are_counted() -> None:
    # The figure of the write-up's network: 249 million a step in batches of 100.
    d4 = works.WORKS[0]
    assert d4.flops / d4.steps == pytest.approx(249e6, rel=0.002)
    # By hand for one sample of 64-40-10: forward 2 (2560 + 400); kernels as much; inputs 2 x 400.
    assert replace(SMALL, samples=1).flops == 2 * 2960 + 2 * 2960 + 800


@pytest.mark.census(keep=1, by=lambda optimizer, contender: contender.name)
@pytest.mark.parametrize("optimizer", ["sgd", "rmsprop", "adam"])
@pytest.mark.parametrize("contender", HERE, ids=lambda contender: contender.name)
def test_every_contender_does_what_it_says(contender, optimizer: str, monkeypatch) -> None:
    # What the floor does is the same with small matrices, and takes a thousandth of the time.
    monkeypatch.setattr(contenders, "FLOOR_SIZE", 200)
    kinds = [SMALL, *(replace(SMALL, network=name, batch=5) for name in ("64-200-10", "64-9-8-10"))]
    for work in [replace(kind, do=do, optimizer=optimizer) for kind in kinds for do in DO]:
        turns = iter([True, True, False])
        if contender.can(work):
            contender.run(work, *works.samples(work), lambda turns=turns: next(turns))
            assert next(turns, None) is None  # it came round three times, and stopped when told


def test_a_work_is_measured() -> None:
    result = measure(SMALL, THERE, rounds=2)
    names = {m.contender for m in result.measured}
    assert {contenders.OURS, contenders.FLOOR, contenders.DOCUMENT, "Keras on TensorFlow"} <= names
    assert "scikit-learn" not in names  # it has no quadratic cost for classes
    for measured in result.measured:
        assert measured.failure is None, measured
        assert len(measured.seconds) == 2
        assert min(measured.seconds) > 0
        assert measured.megabytes > 10
    assert result.ratio(contenders.OURS, contenders.OURS) == 1


def test_one_core_is_kept_busy_while_a_work_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []
    popen = subprocess.Popen

    def noted(command: list[str], **options: Any) -> subprocess.Popen[str]:
        started.append(command)
        return popen(command, **options)

    monkeypatch.setattr(subprocess, "Popen", noted)
    checked = contenders.BY_NAME[contenders.CHECK]
    for busy in (False, True):
        started.clear()
        result = measure(replace(SMALL, do="check", busy=busy), [checked], rounds=1)
        assert result.of(contenders.CHECK), result
        assert any("while True" in command[-1] for command in started) is busy


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="cores cannot be chosen here")
def test_small_networks_have_one_core(monkeypatch: pytest.MonkeyPatch) -> None:
    all_cores, popen = os.sched_getaffinity(0), subprocess.Popen
    given: list[set[int]] = []

    def noted(command: list[str], **options: Any) -> subprocess.Popen[str]:
        process = popen(command, **options)
        given.append(os.sched_getaffinity(process.pid))
        return process

    monkeypatch.setattr(subprocess, "Popen", noted)
    ours = contenders.BY_NAME[contenders.OURS]
    for one_core in (True, False):
        given.clear()
        work = replace(SMALL, one_core=one_core)
        assert measure(work, [ours], rounds=1).of(contenders.OURS)
        assert given == [{max(all_cores)} if one_core else all_cores]
        assert os.sched_getaffinity(0) == all_cores
        # What others do does not count then.
        assert worker.clock(work) is (time.process_time if one_core else time.perf_counter)


def test_a_contender_that_fails_is_named_with_its_reason() -> None:
    # 64-40-10 with a batch of no samples: every engine refuses it.
    result = measure(replace(SMALL, batch=0), [contenders.BY_NAME[contenders.OURS]], rounds=1)
    (measured,) = result.measured
    assert measured.seconds == []
    assert "batch_size >= 1" in str(measured.failure)
    assert result.of(contenders.OURS) is None


def _result(work: Work, **seconds: list[float]) -> Result:
    names = {"ours": contenders.OURS, "jax": contenders.JAX, "floor": contenders.FLOOR}
    return Result(work, [Measured(names[who], values) for who, values in seconds.items()])


def test_ratios_are_taken_round_by_round() -> None:
    result = _result(SMALL, ours=[1.0, 10.0, 3.0], jax=[2.0, 20.0, 4.0])
    assert result.ratio(contenders.OURS, contenders.JAX) == 0.5
    assert result.ratio(contenders.OURS, contenders.FLOOR) is None


@pytest.mark.parametrize(("ours", "reached"), [(0.8, True), (0.95, False)])
def test_a_missed_target_is_said_and_is_the_exit_code(
    ours: float, reached: bool, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    def measured(work: Work, *args: object) -> Result:
        return _result(work, ours=[ours], jax=[1.0], floor=[0.6])

    monkeypatch.setattr(benchmark, "measure", measured)
    arguments = ["--work", "SGD", "--no-growth"]
    assert benchmark.main([*arguments, "--check"]) == (0 if reached else 1)
    assert ("MISSED" in capsys.readouterr().out) is not reached
    assert benchmark.main(arguments) == 0


def test_who_is_absent_is_named(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr(
        benchmark, "CONTENDERS",
        [contenders.BY_NAME[contenders.OURS], contenders.Contender("Caffe", print, "caffe")],
    )  # fmt: skip
    monkeypatch.setattr(benchmark, "measure", lambda work, *args: _result(work, ours=[1.0]))
    assert benchmark.main(["--work", "SGD", "--no-growth"]) == 0
    assert "not measured: Caffe (caffe is not installed)" in capsys.readouterr().out


def test_everything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def measured(work: Work, *args: object, **named: object) -> Result:
        seconds = work.samples * work.sizes[1] * 1e-9
        return _result(work, ours=[seconds], jax=[2 * seconds], floor=[seconds / 2])

    monkeypatch.setattr(benchmark, "measure", measured)
    monkeypatch.setattr(growth, "measure", measured)
    file = tmp_path / "all.json"
    assert benchmark.main(["--quick", "--json", str(file), "--plot", str(tmp_path)]) == 0
    written = json.loads(file.read_text())
    assert [work["name"] for work in written["works"]] == [work.name for work in works.WORKS]
    # The planted time grows with the width and the number of samples, and not with batch or depth.
    assert [round(axis["exponent"], 6) for axis in written["growth"]] == [0, 1, 0, 1]
    assert len(written["targets"]) == len(targets.TARGETS)
    for name in benchmark.PICTURES:
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--rounds", "0"], "--rounds: expected 1 or more. Received: 0"),
        (["--work", "LeNet"], "--work: expected a part of one of: 784-500-300-10, SGD"),
        (["--json", "/proc/no/file"], "--json: expected a directory to write to."),
        (["--plot", "/proc/no"], "--plot: expected a directory to write to."),
    ],
)
def test_what_is_wrong_is_said_in_a_line(arguments, message: str, monkeypatch, capsys) -> None:
    # Before anything is measured.
    monkeypatch.setattr(benchmark, "measure", lambda work, *args: pytest.fail("measured"))
    try:
        code = benchmark.main([*arguments, "--no-growth"])
    except SystemExit as stop:
        code = stop.code
    assert code not in (0, None)
    assert message in capsys.readouterr().err


def test_mnist_that_is_not_there_is_said_in_a_line(monkeypatch, capsys) -> None:
    monkeypatch.setenv("MNIST_PATH", "")  # put back afterwards
    assert benchmark.main(["--data", "nowhere.npz", "--no-growth"]) == 2
    assert capsys.readouterr().err.startswith("benchmark: nowhere.npz: expected")


@pytest.mark.parametrize(
    ("value", "text"), [(2.0, "2 s"), (0.0123, "12.3 ms"), (4.56e-6, "4.56 us"), (5e-8, "0.05 us")]
)
def test_times_are_written_with_their_unit(value: float, text: str) -> None:
    assert report.seconds(value) == text
