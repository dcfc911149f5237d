"""What a random network is like: everything that people may do in one way or in another."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.parity.random_correct.functions import FUNCTIONS
from tests.parity.random_correct.losses import LOSSES, NAMED, UNNAMED

LARGE = ((64, 40, 10), (784, 30, 10))
STATEFUL = ("rmsprop", "adam", "adam of the paper", "adagrad", "adagrad of keras")


@dataclass(frozen=True)
class Spec:
    """One network; all of it is right.

    Attributes:
        seed: From which it was drawn.
        sizes: Inputs and the units of each layer.
        hidden, output: Activations; ``written`` chooses among the ways to write each.
        shifted: Whether softmax subtracts the maximum.
        jacobian: Which way a gradient goes back through softmax.
        samples: "rows", "columns", or one a call: "(n,)", "(n, 1)" or "(1, n)".
        kernel: "in-out" or "out-in".
        bias: "(n,)", "(1, n)", "(n, 1)", "first" or "last" (folded), or "none".
        container: How the weights are kept, and
        gradient_container: how the gradients are given: "same", "list" or "dict".
        prefix: Of the keys of a dict of gradients.
        getting: "live", "copies" or "read-only".
        setting: "none", "rebind", "in place" or "cast".
        fortran: Whether kernels are in Fortran's order.
        dtype: "float64", "float32", or "mixed": float32 weights, inputs as they come.
        gives: "gradients", "step" or "both".
        optimizer: Of the step.
        rebinds: Whether a step makes new arrays.
        says: Whether the optimizer is declared.
        answers: What ``forward`` returns: "outputs", "all" or "all with inputs".
        loss: One of LOSSES; averaged over the batch and over the outputs, or not.
        fused: Whether ``dC/dz`` is computed as ``a - y``.
        labels: "one-hot", "flat", "integer" or "integer, 2-d".
        declared: The loss as a callable ("own"), by its name, or "".
        decay: Of L2; ``decay_over_batch``: divided by the batch's size; ``decays_biases``: of
            biases too.
        says_decay: Whether the decay is declared.
        zero_biases: At first.
        conventions: Whether the conventions are declared.
        crossed: What lies the other way than samples: "", "outputs", "outputs and labels".
        online: Whether a step updates after each sample of its batch.
    """

    seed: int
    sizes: tuple[int, ...]
    hidden: tuple[str, ...]
    output: str
    written: tuple[int, ...]
    shifted: bool
    jacobian: int
    samples: str
    kernel: str
    bias: str
    container: str
    gradient_container: str
    prefix: str
    getting: str
    setting: str
    fortran: bool
    dtype: str
    gives: str
    optimizer: str
    rebinds: bool
    says: bool
    answers: str
    loss: str
    over_batch: bool
    over_outputs: bool
    fused: bool
    labels: str
    declared: str
    decay: float
    decay_over_batch: bool
    decays_biases: bool
    says_decay: bool
    zero_biases: bool
    conventions: bool
    crossed: str
    online: bool

    @property
    def folded(self) -> bool:
        """Whether biases are a row or column of the kernels."""
        return self.bias in ("first", "last")

    @property
    def single(self) -> bool:
        """Whether samples go one a call."""
        return self.samples.startswith("(")


class Drawer:
    """Draws one network from a seed."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.rng = np.random.default_rng(seed)

    def one(self, *options, p=None):
        """Return one of the options, the first with probability ``p`` if that is given."""
        if p is not None and self.rng.random() < p:
            return options[0]
        rest = options if p is None else options[1:]
        return rest[self.rng.integers(len(rest))]

    def often(self, p: float) -> bool:
        return bool(self.rng.random() < p)

    def spec(self) -> Spec:
        sizes = self.sizes()
        loss = self.one(*(k for k, v in LOSSES.items() if v.single or sizes[-1] > 1))
        kind = LOSSES[loss]
        output = self.one(*(o for o in kind.outputs if o != "softmax" or sizes[-1] > 1))
        hidden = self.hidden(len(sizes) - 2)
        fields: dict[str, Any] = {"sizes": sizes, "loss": loss, "output": output, "hidden": hidden}
        fields["written"] = tuple(
            int(self.rng.integers(len(FUNCTIONS.get(f, [0])))) for f in (*hidden, output)
        )
        fields["fused"] = output in kind.fused and self.often(0.6)
        over = fields["over_outputs"] = self.often(0.25)
        name = NAMED.get((loss, over), "own")
        fields["declared"] = self.one("", "own", "own", name, p=0.4)
        fields |= self.passed(sizes[-1]) | self.stored() | self.updated() | self.regularised(fields)
        self.within_the_limits(fields)
        return Spec(seed=self.seed, **fields)

    def within_the_limits(self, fields: dict[str, Any]) -> None:
        """Change what the check says that it cannot tell."""
        if fields["samples"].startswith("(") and fields["labels"] == "integer, 2-d":
            fields["labels"] = "integer"  # takes batches, and is right for one sample alone
        if fields["samples"].startswith("("):
            fields |= {"crossed": "", "online": False}
        if fields["gives"] != "step" or fields["optimizer"] != "sgd":
            fields["online"] = False
        if fields["loss"] in UNNAMED:
            # Without the loss itself, or at float32's precision, nobody can tell.
            fields |= {"declared": "own", "dtype": "float64", "says_decay": False}
            if fields["gives"] == "step":
                fields["optimizer"] = "sgd"
        if fields["gives"] == "step" and fields["optimizer"] in STATEFUL:
            fields |= {"decay": 0.0, "decays_biases": False, "says_decay": False}
        if fields["dtype"] == "mixed" and fields["decay"] and min(fields["sizes"]) < 3:
            # A float32 product of a few numbers in a float64 network looks like a bug in them.
            fields["dtype"] = "float64"
        if fields["gives"] != "gradients" and fields["optimizer"] != "sgd":
            # A state half in float32 follows no rule up to float64's rounding.
            fields["dtype"] = self.one("float64", "float32", p=0.7)

    def sizes(self) -> tuple[int, ...]:
        if self.often(0.015):
            return self.one(*LARGE)
        depth = int(self.rng.integers(1, 5))
        sizes = [int(n) for n in self.rng.integers(1, 13, depth)] + [int(self.rng.integers(1, 7))]
        if self.often(0.25):  # squares
            n = int(self.rng.integers(1, 7))
            sizes = [n if self.often(0.6) else size for size in sizes]
        return tuple(sizes)

    def hidden(self, count: int) -> tuple[str, ...]:
        names = list(FUNCTIONS)
        if self.often(0.5):
            return (self.one(*names),) * count
        return tuple(self.one(*names) for _ in range(count))

    def passed(self, outputs: int) -> dict:
        labels = ["one-hot", "one-hot", "integer", "integer, 2-d"]
        return {
            "shifted": self.often(0.5),
            "jacobian": int(self.rng.integers(2)),
            "samples": self.one("rows", "columns", "(n,)", "(n, 1)", "(1, n)", p=0.45),
            "answers": self.one("outputs", "all", "all with inputs", p=0.6),
            "over_batch": self.often(0.6),
            "labels": self.one(*labels, *(["flat"] * 3 if outputs == 1 else [])),
            "conventions": self.often(0.1),
            "crossed": self.one("", "outputs", "outputs and labels", p=0.75),
        }

    def stored(self) -> dict:
        container = self.one("interleaved", "kernels first", "biases first", "dict", "pairs",
                             "two lists", "object array", "two object arrays", "namedtuple",
                             "tuple", "list of dicts")  # fmt: skip
        setting = self.one("none", "rebind", "in place", "cast", p=0.4)
        getting = self.one("live", "copies", "read-only", p=0.6)
        return {
            "kernel": self.one("in-out", "out-in"),
            "bias": self.one("(n,)", "(1, n)", "(n, 1)", "first", "last", "none", p=0.3),
            "container": container,
            "gradient_container": self.one("same", "list", "dict"),
            "prefix": self.one("d", "d", "grad_", "g", "d_"),
            "setting": setting,
            "getting": "live" if setting == "none" else getting,
            "fortran": self.often(0.15),
            "dtype": self.one("float64", "float32", "mixed", p=0.7),
            "zero_biases": self.often(0.5),
        }

    def updated(self) -> dict:
        optimizer = self.one("sgd", "classical", "pytorch", "nesterov", *STATEFUL, p=0.5)
        return {
            "gives": self.one("gradients", "step", "both", p=0.55),
            "optimizer": optimizer,
            "rebinds": self.often(0.5),
            "says": self.often(0.25),
            "online": self.often(0.15),
        }

    def regularised(self, fields: dict) -> dict:
        own = fields["declared"] == "own"
        decayed = self.often(0.2)
        over = self.often(0.3)
        return {
            "decay": self.one(0.1, 0.01, 0.5, 1e-3) if decayed else 0.0,
            "decay_over_batch": over,
            "decays_biases": decayed and own and self.often(0.2),
            "says_decay": decayed and not own and not over and self.often(0.5),
        }


def draw(seed: int) -> Spec:
    """Return the random network of a seed."""
    return Drawer(seed).spec()
