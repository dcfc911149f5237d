"""A random right program: layers, a loss, a step, and the conventions that it is written in."""

from collections.abc import Callable
from typing import Any

import numpy as np

import parity
from tests.parity.random_layers import blocks, cells
from tests.parity.random_layers.blocks import Block
from tests.parity.random_layers.losses import LOSSES, targets
from tests.parity.random_layers.rules import RULES, State

Maker = Callable[[np.random.Generator, tuple[int, ...]], Block]
ANYWHERE: list[Maker] = [
    blocks.dense, blocks.residual, blocks.highway, blocks.tied, blocks.dropout,
    cells.normalization,
]  # fmt: skip
# By the axes of one sample: pictures, sequences, vectors.
MAKERS: dict[int, list[Maker]] = {
    3: [blocks.conv, blocks.pooling, blocks.conv, blocks.global_pooling, *ANYWHERE],
    2: [
        blocks.conv, blocks.pooling, blocks.global_pooling, cells.simple_rnn, cells.lstm,
        cells.gru, cells.attention, *ANYWHERE,
    ],
    1: ANYWHERE,
}  # fmt: skip
FOUND_OUT = {"sgd", "momentum", "nesterov", "torch momentum", "adam"}
SHAPES = {"pictures": (5, 6, 2), "sequences": (5, 3), "ids": (5,), "vectors": (4,)}


class Program:
    """The program of a seed; every choice is an attribute.

    Args:
        seed: All follows from it.
        exact: In float64, with the gradients as they are.
        declared: With a step whose optimizer is declared.
    """

    def __init__(self, seed: int, exact: bool = False, declared: bool = False) -> None:
        rng = self.rng = np.random.default_rng([17, seed])
        self.seed, self.kind = seed, str(rng.choice(list(SHAPES)))
        self.loss_name = str(rng.choice(list(LOSSES)))
        self.value, self.wants = LOSSES[self.loss_name]
        self.outputs = 1 if self.wants == "bits" else int(rng.integers(2, 5))
        if self.loss_name == "ranking":
            self.outputs = 1
        self.samples = int(rng.integers(6, 10))
        self.blocks = self._layers()
        self.scale = str(rng.choice(["batch", "sum", "all"]))
        self.dtype = "float32" if rng.random() < 0.08 and not exact else "float64"
        # The conventions of data and arrays.
        self.columns = bool(rng.random() < 0.3)
        self.fixed_data, self.has_forward = bool(rng.random() < 0.4), bool(rng.random() < 0.2)
        drawn = [w.astype(self.dtype) for block in self.blocks for w in block.weights]
        self.order = [int(k) for k in rng.permutation(len(drawn))]
        if rng.random() < 0.5:
            self.order.sort()
        turned = rng.random(len(drawn)) < rng.choice([0.0, 0.5])
        self.axes = [
            tuple(map(int, rng.permutation(w.ndim))) if turn else tuple(range(w.ndim))
            for w, turn in zip(drawn, turned, strict=True)
        ]
        self.keeps = str(rng.choice(["list", "dict", "nested", "packed"]))
        self.gives = self.keeps
        if self.keeps != "packed" and rng.random() < 0.5:
            self.gives = str(rng.choice(["tuple", "list"])) if self.keeps == "list" else self.keeps
        self.rebinds, self.sets = bool(rng.integers(2)), bool(rng.integers(2))
        # The step.
        self.steps = declared or bool(rng.random() < 0.5)
        self.rule_name = str(rng.choice(list(RULES)))
        self.rule, self.words = RULES[self.rule_name]
        if self.rule_name in ("sgd", "adam") and not declared:
            self.words = self.rule_name  # the name alone, which leaves the settings open
        # That a step clips, or divides, takes the check long to find out: it is always declared.
        self.declares = declared or self.rule_name not in FOUND_OUT or bool(rng.random() < 0.5)
        # What a wrong program spoils; see wrong.py.
        self.spoil_flow: Callable[[int, Any], Any] = lambda k, d: d
        self.spoil: Callable[[list[Any]], None] = lambda found: None

        self.arrays = [np.transpose(drawn[k], self.axes[k]).copy() for k in self.order]
        if self.keeps == "packed":
            self.arrays = [np.concatenate([a.ravel() for a in self.arrays])]
        self.shapes = [np.transpose(drawn[k], self.axes[k]).shape for k in self.order]
        self.states = [State(np.zeros_like(a), np.zeros_like(a)) for a in self.arrays]

    def __str__(self) -> str:
        layers = ", ".join(block.name for block in self.blocks)
        names = (
            "seed kind loss_name scale dtype columns fixed_data has_forward keeps gives order axes "
            "rebinds sets samples outputs"
        )
        step = (
            f"{self.rule_name} {'declared' if self.declares else 'found out'}"
            if self.steps
            else "no step"
        )
        return f"{layers}; {step}; " + ", ".join(f"{n}={getattr(self, n)}" for n in names.split())

    def _layers(self) -> list[Block]:
        rng, made = self.rng, list[Block]()
        x = self._inputs(np.random.default_rng(0))

        def add(block: Block) -> Any:
            made.append(block)
            return block.forward(x, block.weights)[0]

        if self.kind == "ids":
            x = add(cells.embedding(rng, x.shape[1:]))
        for _ in range(int(rng.integers(1, 5))):
            makers = MAKERS[x.ndim - 1]
            if x.ndim > 2 and min(x.shape[1:-1]) < 3:
                makers = [m for m in makers if m not in (blocks.conv, blocks.pooling)]
            x = add(makers[int(rng.integers(len(makers)))](rng, x.shape[1:]))
        if x.ndim > 2:
            x = add((blocks.flatten, blocks.global_pooling)[int(rng.integers(2))](rng, x.shape[1:]))
        add(blocks.dense(rng, x.shape[1:], self.outputs, linear=True))
        return made

    def _inputs(self, rng: np.random.Generator) -> Any:
        if self.kind == "ids":
            return rng.integers(cells.WORDS, size=(self.samples, *SHAPES["ids"]))
        return rng.normal(size=(self.samples, *SHAPES[self.kind]))

    def data(self, rng: np.random.Generator) -> tuple[Any, Any]:
        x, y = self._inputs(rng), targets(rng, self.wants, self.samples, self.outputs)
        pair = [a.astype(self.dtype) if a.dtype.kind == "f" else a for a in (x, y)]
        if self.columns:
            pair = [np.moveaxis(a, 0, -1).copy() for a in pair]
        return pair[0], pair[1]

    def weights(self) -> list[Any]:
        """Return the layers' weights as they compute with them."""
        stored = self.arrays
        if self.keeps == "packed":
            ends = np.cumsum([int(np.prod(shape)) for shape in self.shapes])[:-1]
            parts = np.split(self.arrays[0], ends)
            stored = [a.reshape(s) for a, s in zip(parts, self.shapes, strict=True)]
        found: list[Any] = [None] * len(stored)
        for place, k in enumerate(self.order):
            found[k] = np.transpose(stored[place], np.argsort(self.axes[k]))
        return found

    def _run(self, x: Any) -> tuple[Any, list[tuple[Block, Any, list[Any]]]]:
        x = np.moveaxis(x, -1, 0) if self.columns else x
        w, kept = self.weights(), list[tuple[Block, Any, list[Any]]]()
        for block in self.blocks:
            own, w = w[: len(block.weights)], w[len(block.weights) :]
            x, cache = block.forward(x, own)
            kept.append((block, cache, own))
        return x, kept

    def _share(self, a: Any) -> float:
        return {"sum": 1.0, "batch": 1 / len(a), "all": 1 / a.size}[self.scale]

    def _targets(self, y: Any) -> Any:
        return np.moveaxis(y, -1, 0) if self.columns else y

    def forward(self, x: Any) -> Any:
        a = self._run(x)[0]
        return a.T if self.columns else a

    def loss(self, x: Any, y: Any) -> Any:
        a = self._run(x)[0]
        return self._share(a) * self.value(a, self._targets(y))[0]

    def stored_gradients(self, x: Any, y: Any) -> list[Any]:
        """Return the gradients beside ``arrays``."""
        a, kept = self._run(x)
        d = self._share(a) * self.value(a, self._targets(y))[1]
        found = list[Any]()
        for k, (block, cache, own) in reversed(list(enumerate(kept))):
            d, gradients = block.backward(d, cache, own)
            found = [*gradients, *found]
            d = d if d is None else self.spoil_flow(k, d)
        self.spoil(found)
        found = [np.transpose(found[k], self.axes[k]) for k in self.order]
        if self.keeps == "packed":
            found = [np.concatenate([g.ravel() for g in found])]
        return found

    def structured(self, arrays: list[Any], keeps: str) -> Any:
        """Return arrays in the program's structure."""
        if keeps == "dict":
            return {f"p{k}": a for k, a in enumerate(arrays)}
        if keeps == "nested":
            return [arrays[:1], *([arrays[1:]] if arrays[1:] else [])]
        if keeps == "packed":
            return arrays[0] if self.sets else arrays  # what is written into lies in a list
        return tuple(arrays) if keeps == "tuple" else list(arrays)

    def set_weights(self, given: Any) -> None:
        if self.keeps == "dict":
            given = list(given.values())
        elif self.keeps == "nested":
            given = [a for part in given for a in part]
        elif self.keeps == "packed":
            given = [given]
        self.arrays = [np.array(a) for a in given]

    def step(self, x: Any, y: Any, learning_rate: float) -> None:
        found = self.stored_gradients(x, y)
        for k, (g, state) in enumerate(zip(found, self.states, strict=True)):
            state.t += 1
            taken = self.rule(state, g, self.arrays[k], learning_rate)
            if self.rebinds:
                self.arrays[k] = self.arrays[k] - taken
            else:
                self.arrays[k] -= taken

    def candidate(self) -> parity.Candidate:
        """Return what the check is given."""
        return parity.Candidate(
            get_weights=lambda: self.structured(self.arrays, self.keeps),
            set_weights=self.set_weights if self.sets else None,
            gradients=lambda x, y: self.structured(self.stored_gradients(x, y), self.gives),
            loss=self.loss,
            forward=self.forward if self.has_forward else None,
            step=self.step if self.steps else None,
            optimizer=self.words if self.steps and self.declares else None,
            data=self.data(np.random.default_rng(self.seed)) if self.fixed_data else self.data,
        )
