"""A recurrent network of class numbers, right, and with mistakes in its gradients."""

from collections.abc import Callable
from typing import Any

import numpy as np

import parity
from parity.reports.report import CheckReport

Arrays = dict[str, Any]
Mutation = Callable[[Any, Arrays, Any, Any], Arrays]


class Tagger:
    """Embedding, a recurrent layer, a softmax of each step: class numbers in, class numbers out.

    Two square matrices of one size, so that tensors can be mixed up.
    """

    WORDS, UNITS, TAGS, DECAY = 9, 4, 3, 0.0

    def __init__(self) -> None:
        r = np.random.default_rng(0)
        n = self.UNITS
        self.w: Arrays = {
            "embedding": r.normal(size=(self.WORDS, n)),
            "inward": r.normal(size=(n, n)) * 0.5,
            "recurrent": r.normal(size=(n, n)) * 0.5,
            "bias": r.normal(size=n),
            "outward": r.normal(size=(n, self.TAGS)),
        }

    def run(self, x: Any) -> tuple[list[Any], Any]:
        w = self.w
        states = [np.zeros((len(x), self.UNITS))]
        scores: list[Any] = []
        for words in x.T:
            inward = w["embedding"][words] @ w["inward"]
            states.append(np.tanh(inward + states[-1] @ w["recurrent"] + w["bias"]))
            scores.append(states[-1] @ w["outward"])
        s = np.stack(scores, axis=1)
        e = np.exp(s - s.max(axis=-1, keepdims=True))
        return states, e / e.sum(axis=-1, keepdims=True)

    def loss(self, x: Any, y: Any) -> float:
        p = self.run(x)[1]
        chosen = np.take_along_axis(p, y[..., None], axis=-1)
        penalty = 0.5 * self.DECAY * float((self.w["outward"] ** 2).sum())
        return float(-np.log(chosen).sum() / len(x)) + penalty

    def gradients(self, x: Any, y: Any) -> Arrays:
        w = self.w
        states, p = self.run(x)
        g = {name: np.zeros_like(array) for name, array in w.items()}
        later = np.zeros((len(x), self.UNITS))
        for t in reversed(range(x.shape[1])):
            d = (p[:, t] - np.eye(self.TAGS)[y[:, t]]) / len(x)
            g["outward"] += states[t + 1].T @ d
            z = (d @ w["outward"].T + later) * (1 - states[t + 1] ** 2)
            g["inward"] += w["embedding"][x[:, t]].T @ z
            g["recurrent"] += states[t].T @ z
            g["bias"] += z.sum(axis=0)
            np.add.at(g["embedding"], x[:, t], z @ w["inward"].T)
            later = z @ w["recurrent"].T
        return g


def data(rng: np.random.Generator) -> tuple[Any, Any]:
    return rng.integers(0, Tagger.WORDS, (5, 6)), rng.integers(0, Tagger.TAGS, (5, 6))


def checked(mutate: Mutation | None = None, net: Tagger | None = None, **more: Any) -> CheckReport:
    net = net or Tagger()

    def gradients(x: Any, y: Any) -> Arrays:
        g = net.gradients(x, y)
        return g if mutate is None else mutate(net, g, x, y)

    return parity.check_gradients(net.loss, lambda: net.w, gradients, more.get("data", data))


def of(name: str, change: Callable[[Any], Any]) -> Mutation:
    return lambda net, g, x, y: g | {name: change(g[name])}


def lost_repeats(net: Tagger, g: Arrays, x: Any, y: Any) -> Arrays:
    return g | {
        "embedding": np.where(np.arange(len(g["embedding"]))[:, None] == x[0, 0], 0, 1)
        * g["embedding"]
    }


MUTATIONS: list[tuple[str, str, str, Mutation]] = [
    ("gradient-missing", "bias", "exactly 0", of("bias", lambda g: 0 * g)),
    ("gradient-missing", "inward", "up to rounding", of("inward", lambda g: 1e-12 * g)),
    ("sign", "inward", "", of("inward", lambda g: -g)),
    ("factor", "outward", "", of("outward", lambda g: 5 * g)),
    ("transposed", "recurrent", "", of("recurrent", lambda g: g.T)),
    ("flipped", "bias", "", of("bias", lambda g: g[::-1])),
    ("summed", "bias", "", of("bias", lambda g: 0 * g + g.sum())),
    ("summed", "inward", "", of("inward", lambda g: 0 * g + g.mean(axis=0))),
    ("places-missing", "embedding", "agree", lost_repeats),
    ("anothers-gradient", "inward", "", lambda net, g, x, y: g | {"inward": g["recurrent"].copy()}),
    ("weight-decay-not-in-loss", "outward", "", lambda net, g, x, y: g | {
        "outward": g["outward"] + 0.3 * net.w["outward"]}),
    ("weight-decay-of-too-many", "outward", "", lambda net, g, x, y: g | {
        "outward": g["outward"] + 0.3 * net.w["outward"] * (np.arange(Tagger.TAGS) == 1)}),
    ("factor", "outward", "", of("outward", lambda g: g / np.sqrt(3))),
    ("not-the-derivative", "recurrent", "right are those of", of("recurrent", np.sin)),
    ("not-the-derivative", "recurrent", "", lambda net, g, x, y: g | {
        "recurrent": g["recurrent"] + (np.indices(g["recurrent"].shape).sum(axis=0) == 2) * 1e-3}),
]  # fmt: skip
