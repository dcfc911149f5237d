"""Connect a random network to :class:`parity.Candidate`."""

from collections.abc import Callable
from typing import Any

import numpy as np

import parity
from numpy_impl.optimizers import SGD
from tests.parity.random_correct.losses import NAMED
from tests.parity.random_correct.network import Network
from tests.parity.random_correct.spec import Spec
from tests.parity.random_correct.storing import PACK, gradient_container, unpack
from tests.parity.random_correct.updating import Updater

# What an optimizer may be declared as.
_DECLARED = {
    "sgd": "sgd",
    "classical": SGD(0.1, momentum=0.9),
    "nesterov": SGD(0.1, momentum=0.9, nesterov=True),
    "rmsprop": "rmsprop",
    "adam": "adam",
}


class Store:
    """Gets and sets a network's weights as its spec says."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.spec = network.spec

    def get(self) -> Any:
        kernels = [self._given(w) for w in self.network.kernels]
        biases = [self._given(b) for b in self.network.biases]
        return PACK[self.spec.container](kernels, biases)

    def _given(self, array: Any) -> Any:
        if self.spec.getting == "copies":
            return array.copy()
        if self.spec.getting == "read-only":
            array = array.view()
            array.setflags(write=False)
        return array

    def set(self, container: Any) -> None:
        biased = self.spec.bias.startswith("(")
        depth = len(self.network.kernels)
        kernels, biases = unpack(container, self.spec.container, depth, biased)
        net = self.network
        if self.spec.setting == "rebind":
            net.kernels, net.biases = kernels, biases
        elif self.spec.setting == "cast":
            net.kernels = [np.array(w, net.dtype) for w in kernels]
            net.biases = [np.array(b, net.dtype) for b in biases]
        else:
            for old, new in zip([*net.kernels, *net.biases], [*kernels, *biases], strict=True):
                old[...] = new


def make(spec: Spec) -> parity.Candidate:
    """Return a freshly initialised network of a spec, connected."""
    return connect(Network(spec))


def connect(network: Network) -> parity.Candidate:
    """Return the callables of a network."""
    spec = network.spec
    store = Store(network)

    def forward(x):
        answer = network.forward(x)
        if not spec.crossed:
            return answer
        return [a.T for a in answer] if isinstance(answer, list) else answer.T

    def labels(y):
        return y.T if spec.crossed == "outputs and labels" else y

    def gradients(x, y):
        y = labels(y)
        kind, container, prefix = spec.gradient_container, spec.container, spec.prefix
        return gradient_container(kind, container, prefix, *network.gradients(x, y))

    return parity.Candidate(
        get_weights=store.get,
        set_weights=None if spec.setting == "none" else store.set,
        forward=forward,
        gradients=None if spec.gives == "step" else gradients,
        step=None if spec.gives == "gradients" else _stepping(network, labels),
        loss=_loss(network, labels),
        optimizer=_DECLARED.get(spec.optimizer) if spec.says else None,
        weight_decay=spec.decay if spec.says_decay else None,
        name=f"seed {spec.seed}",
        **_conventions(spec),
    )


def _stepping(network: Network, labels: Callable[[Any], Any]) -> Callable[[Any, Any, float], None]:
    updater, spec = Updater(network), network.spec

    def step(x, y, rate):
        y = labels(y)
        if not spec.online:
            updater.step(x, y, rate)
            return
        for n in range(network.way.count(x)):
            one = slice(n, n + 1)
            of_y = y[one] if y.ndim == 1 or spec.samples == "rows" else y[:, one]
            updater.step(x[one] if spec.samples == "rows" else x[:, one], of_y, rate)

    return step


def _loss(network: Network, labels: Callable[[Any], Any]) -> Any:
    spec = network.spec
    if spec.declared == "own":
        return lambda x, y: network.loss(x, labels(y))
    if not spec.declared:
        return None
    assert spec.declared in NAMED.values()
    return spec.declared + ("" if spec.over_batch else "/sum")


def _conventions(spec: Spec) -> dict[str, Any]:
    if not spec.conventions:
        return {}
    bias = {"none": "none", "first": "folded-first", "last": "folded-last"}
    return {
        "samples": "single" if spec.single else spec.samples,
        "kernel": spec.kernel,
        "bias": bias.get(spec.bias, "separate"),
        "labels": "integer" if spec.labels.startswith("integer") else "one-hot",
    }
