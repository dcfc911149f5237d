"""Large networks: compared and checked within memory, as strictly as small ones."""

import json
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest

import parity
from tests import census

# For a network of 50 million weights.
GIGABYTES = 8
LARGE, SMALL = (784, 4096, 8192, 1600), (1200, 900, 10)

CHILD = """
import json, sys
import numpy as np
what, sizes = sys.argv[1], json.loads(sys.argv[2])
import parity
from tests.parity.test_at_size import Network
rng = np.random.default_rng(0)
x, y = rng.random((8, sizes[0])), np.eye(sizes[-1])[rng.integers(0, sizes[-1], 8)]
if what == "compare":
    from keras_impl import keras, precision
    with precision("float64"):
        hidden = [keras.layers.Dense(n, activation="tanh") for n in sizes[1:-1]]
        last = keras.layers.Dense(sizes[-1], activation="softmax")
        model = keras.Sequential([keras.Input((sizes[0],)), *hidden, last])
        network = parity.numpy_twin(model)
        passed = parity.compare(model, network, x, y, loss="categorical_crossentropy").passed
else:
    net = Network(sizes)
    report = parity.check_gradients(net.loss, net.weights, net.gradients, (x, y))
    passed = report.outcome is parity.Outcome.RIGHT
# Not ru_maxrss, in which what this process was forked from still counts.
[peak] = [int(l.split()[1]) / 2**20 for l in open("/proc/self/status") if l.startswith("VmHWM")]
print(json.dumps({"passed": passed, "gigabytes": peak}))
"""


class Network:
    """Written by hand: tanh, and softmax with cross-entropy."""

    def __init__(self, sizes):
        rng = np.random.default_rng(0)
        self.weights = []
        for n, m in pairwise(sizes):
            self.weights.append(rng.normal(0, n**-0.5, (n, m)))
            self.weights.append(np.zeros(m))

    def activations(self, x):
        a = [x]
        pairs = list(zip(self.weights[::2], self.weights[1::2], strict=True))
        for kernel, bias in pairs[:-1]:
            a.append(np.tanh(a[-1] @ kernel + bias))
        z = a[-1] @ pairs[-1][0] + pairs[-1][1]
        e = np.exp(z - z.max(axis=1, keepdims=True))
        return [*a, e / e.sum(axis=1, keepdims=True)]

    def loss(self, x, y):
        return -np.sum(np.log(self.activations(x)[-1]) * y) / len(x)

    def gradients(self, x, y):
        *a, p = self.activations(x)
        delta, found = (p - y) / len(x), []
        for i in reversed(range(len(a))):
            found = [a[i].T @ delta, delta.sum(axis=0), *found]
            delta = (delta @ self.weights[2 * i].T) * (1 - a[i] ** 2)
        return found


def _in_child(what, sizes):
    command = [sys.executable, "-c", CHILD, what, json.dumps(sizes)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("what", ["compare", "check_gradients"])
def test_large_networks_take_no_more_memory_than_they_may(what):
    sizes = LARGE if census.settings.all else SMALL
    taken = _in_child(what, sizes)
    assert taken["passed"]
    share = sum(n * m for n, m in pairwise(sizes)) / 50e6
    assert taken["gigabytes"] < 1 + (GIGABYTES - 1) * share


def _data(sizes):
    rng = np.random.default_rng(1)
    return rng.random((6, sizes[0])), np.eye(sizes[-1])[rng.integers(0, sizes[-1], 6)]


def test_one_wrong_number_in_a_million_is_seen():
    net = Network(SMALL)
    before = [w.copy() for w in net.weights]

    def wrong(x, y):
        found = net.gradients(x, y)
        found[2][3, 5] += 0.5
        return found

    right = parity.check_gradients(net.loss, net.weights, net.gradients, _data(SMALL))
    assert right.outcome is parity.Outcome.RIGHT
    report = parity.check_gradients(net.loss, net.weights, wrong, _data(SMALL))
    assert report.outcome is parity.Outcome.WRONG
    assert "weights[2]" in report.findings[0].where
    assert all(np.array_equal(a, b) for a, b in zip(before, net.weights, strict=True))


def test_a_loss_that_changes_weights_is_measured_as_before():
    net = Network(SMALL)

    def loss(x, y):
        value = net.loss(x, y)
        net.weights[1] += 0.01  # what is written anew before each measurement
        return value

    report = parity.check_gradients(loss, net.weights, net.gradients, _data(SMALL))
    assert report.outcome is parity.Outcome.RIGHT
    assert {t.name for t in report.tensors} == {f"weights[{i}]" for i in range(4)}


def test_the_worst_number_is_found_in_whichever_block_it_is():
    from parity.bounds.rounding import Approx, Rounding
    from parity.comparing.rows import Verdict, compare_tensors

    keras = np.random.default_rng(0).normal(size=(300, 700))
    bounded = Approx(keras, np.full(keras.shape, 1e-6), Rounding("float64"))
    for place in ((0, 0), (150, 3), (299, 699)):
        numpy = keras + 1e-9
        numpy[place] += 1e-5
        row = compare_tensors("forward", "t", keras, numpy, bounded)
        assert (row.index, row.verdict) == (place, Verdict.DIFFERENT)
        numpy[place] = np.nan
        row = compare_tensors("forward", "t", keras, numpy, bounded)
        assert (row.index, row.verdict) == (place, Verdict.DIFFERENT)
    row = compare_tensors("forward", "t", keras, keras + 1e-9, bounded)
    assert row.verdict is Verdict.ROUNDING
