"""Ways in which the layers of a graph are put together otherwise than in the model.

Each is a few changes at once, in layers that hand their outputs to each other.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np

from numpy_impl.types import Array
from parity.checking.bugs.activating import JOINED_ORDER
from parity.checking.bugs.change import LayerChange, LayerScene, Replacement
from parity.checking.bugs.table import Bug

LAYERS_ORDER = Bug(
    "layers-order",
    "{first} is applied before {second}, and not behind it",
    "h = batch_norm(relu(conv(x)))  # where the model has relu(batch_norm(conv(x)))",
    "apply {second} first",
)
BEFORE_JOIN = Bug(
    "layers-order",
    "{first} is applied to {which} of {join}, and not behind it",
    "y = x + relu(block(x))  # where the model has relu(x + block(x))",
    "join first: relu(x + block(x))",
)
BEHIND_JOIN = Bug(
    "layers-order",
    "{first} is applied behind {join}, and not to its input number {which}",
    "y = relu(x + block(x))  # where the model has x + relu(block(x))",
    "apply it to that input only",
)
MOVED_BEHIND = Bug(
    "layers-order",
    "{first} is applied behind {join}, and not at the beginning of what is joined",
    "y = layer_norm(x + block(x))  # where the model has x + block(layer_norm(x))",
    "apply it where the model does",
)
SKIP_FROM = Bug(
    "skip-from",
    "input number {which} of {join} is taken {source}",
    "y = conv(x); a = relu(y); out = block(a) + y  # and not + a",
    "take what the model takes there",
)
JOIN_KIND = Bug(
    "join-kind",
    "{join} gives {theirs} instead of {meant}",
    "y = x + block(x)  # where the model has Average",
    "join them as the layer does",
)
WEIGHTS_OF_OTHER = Bug(
    "weights-of-other",
    "the weights of {which} have changed places",
    "W1, b1, W2, b2 = model.get_weights()  # of two branches that are built in the other order",
    "give each layer its own: model.summary() shows their order",
)
_JOINS = ("add", "mean", "multiply", "maximum", "minimum")
_WORDS = {"add": "the sum", "mean": "the mean", "multiply": "the product",
          "maximum": "the maximum", "minimum": "the minimum"}  # fmt: skip
# So many places are tried from which an input may come.
_MOST_SOURCES = 12
# So many layers that are alike are looked back for.
_MOST_ALIKE = 6


@dataclass
class _KeptCalls:
    """What a layer took and gave in the run that is going on."""

    taken: Any = None
    given: Any = None


@dataclass(frozen=True)
class CallGraph:
    """The calls of a model's own layers that do something, in their order, in one of several runs.

    Arrays that are equal in every run are one: so it is seen who hands what to whom.

    Attributes:
        runs: The calls' scenes in each run.
        number: Which of the runs it is.
    """

    runs: Sequence[Sequence[LayerScene]]
    number: int = 0

    @property
    def scenes(self) -> Sequence[LayerScene]:
        """The calls in its own run."""
        return self.runs[self.number]

    def same(
        self,
        one: Callable[[Sequence[LayerScene]], Array],
        other: Callable[[Sequence[LayerScene]], Array],
    ) -> bool:
        """Return whether two arrays of a run are equal in all runs."""
        pairs = ((one(run), other(run)) for run in self.runs)
        return all(a.shape == b.shape and np.array_equal(a, b) for a, b in pairs)

    def source(self, n: int, k: int) -> int | None:
        """Return which call gave what another one takes as its input number k; None if none did."""
        gave = (m for m in reversed(range(n)) if self.same(_given(m), _taken(n, k)))
        return next(gave, None)

    def users(self, n: int) -> list[int]:
        """Return which calls take what a call gave."""
        return [
            m
            for m in range(n + 1, len(self.scenes))
            if any(self.same(_given(n), _taken(m, k)) for k in range(len(self.scenes[m].inputs)))
        ]

    def user(self, n: int) -> int | None:
        """Return the only call that takes what a call gave."""
        found = self.users(n)
        return found[0] if len(found) == 1 else None

    def does(self, n: int) -> bool:
        """Return whether a call does something to one array."""
        return len(self.scenes[n].inputs) == 1

    def joins(self, n: int) -> bool:
        """Return whether a call joins several arrays, without weights."""
        scene = self.scenes[n]
        return len(scene.inputs) > 1 and not scene.weights and not scene.masked


def _given(n: int) -> Callable[[Sequence[LayerScene]], Array]:
    return lambda run: run[n].output


def _taken(n: int, k: int) -> Callable[[Sequence[LayerScene]], Array]:
    return lambda run: run[n].inputs[k]


def acts(scene: LayerScene) -> bool:
    """Return whether a call gives something else than it takes; dropout does not, in inference."""
    x = scene.inputs[0]
    return x.shape != scene.output.shape or not np.array_equal(x, scene.output)


def changes(graph: CallGraph, n: int) -> Iterator[list[LayerChange]]:
    """Yield the ways in which a call and its neighbours may be put together otherwise."""
    yield from _exchanged(graph, n)
    if graph.joins(n):
        yield from _before_join(graph, n)
        yield from _behind_join(graph, n)
        yield from _joined(graph, n)
        yield from _sources(graph, n)
        yield from _moved(graph, n)
    yield from _weights(graph, n)


def _kind(layer: Any) -> str:
    return type(layer).__name__


def _same(own: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return args[0]


def _applied(layer: Any, x: Any) -> Any:
    """Return what a layer gives, without its being written down as a call."""
    return layer.__class__.call(layer, x)


def _behind(function: Callable[[Any], Any]) -> Replacement:
    return lambda own, args, kwargs: function(own(*args, **kwargs))


def _inner(scene: LayerScene) -> tuple[Any, str] | None:
    """Return the activation inside a layer, and its name; None if there is none."""
    function: Any = scene.layer.__dict__.get("activation")
    name: str = getattr(function, "__name__", "another")
    has = function is not None and name != "linear" and scene.attribute("cell") is None
    return (function, name) if has and scene.weights else None


def _linear(scene: LayerScene) -> list[tuple[Any, str, Any]]:
    return [(scene.layer, "activation", _unchanged)]


def _unchanged(z: Any) -> Any:
    return z


def _exchanged(graph: CallGraph, n: int) -> Iterator[list[LayerChange]]:
    """Yield that a call and the one behind it are applied in the other order."""
    m = graph.user(n)
    if m is None or not graph.does(m):
        return
    scene, after = graph.scenes[n], graph.scenes[m]
    first, second = scene.layer, after.layer
    if scene.output.shape[-1:] != after.output.shape[-1:] and scene.weights:
        return
    inner = _inner(scene)
    if inner is not None:
        values = {"first": _kind(second), "second": f"the activation {inner[1]}"}
        yield [
            LayerChange(LAYERS_ORDER, second, values, call=_behind(inner[0])),
            LayerChange(LAYERS_ORDER, first, values, _linear(scene)),
        ]
    if graph.does(n) and first is not second:
        values = {"first": _kind(second), "second": _kind(first)}
        yield [
            LayerChange(LAYERS_ORDER, second, values, call=_behind(lambda y: _applied(first, y))),
            LayerChange(LAYERS_ORDER, first, values, call=_same),
        ]


def _before_join(graph: CallGraph, n: int) -> Iterator[list[LayerChange]]:
    """Yield that what is behind a join is applied to one of its inputs, or to each."""
    m, count = graph.user(n), len(graph.scenes[n].inputs)
    if m is None or not graph.does(m):
        return
    join, behind = graph.scenes[n].layer, graph.scenes[m].layer
    some: list[list[int]] = [*([k] for k in reversed(range(count))), list(range(count))]
    for chosen in some:

        def call(own: Any, args: Any, kwargs: Any, chosen: Any = chosen) -> Any:
            parts = [_applied(behind, x) if k in chosen else x for k, x in enumerate(args[0])]
            return own(parts, **kwargs)

        which = "each input" if len(chosen) > 1 else f"input number {chosen[0] + 1}"
        values = {"first": _kind(behind), "which": which, "join": _kind(join)}
        yield [
            LayerChange(BEFORE_JOIN, join, values, call=call),
            LayerChange(BEFORE_JOIN, behind, values, call=_same),
        ]


def _behind_join(graph: CallGraph, n: int) -> Iterator[list[LayerChange]]:
    """Yield that what is done to one of a join's inputs is done behind it."""
    scene = graph.scenes[n]
    for k, array in enumerate(scene.inputs):
        m = graph.source(n, k)
        if m is None or graph.user(m) != n:
            continue
        before = graph.scenes[m]
        values = {"which": k + 1, "join": _kind(scene.layer)}
        inner = _inner(before)
        if inner is not None:
            named = values | {"first": f"the activation {inner[1]}"}
            yield [
                LayerChange(BEHIND_JOIN, scene.layer, named, call=_behind(inner[0])),
                LayerChange(BEHIND_JOIN, before.layer, named, _linear(before)),
            ]
        if graph.does(m) and before.inputs[0].shape == array.shape:
            named = values | {"first": _kind(before.layer)}
            applied = _behind(lambda y, layer=before.layer: _applied(layer, y))
            yield [
                LayerChange(BEHIND_JOIN, scene.layer, named, call=applied),
                LayerChange(BEHIND_JOIN, before.layer, named, call=_same),
            ]


def _moved(graph: CallGraph, n: int) -> Iterator[list[LayerChange]]:
    """Yield that what stands farther before a join is done behind it."""
    join = graph.scenes[n]
    for m in reversed(range(max(0, n - _MOST_SOURCES), n)):
        before, user = graph.scenes[m], graph.user(m)
        shapes = {a.shape for a in (*before.inputs, before.output, join.output)}
        if graph.does(m) and user not in (None, n) and len(shapes) == 1:
            values = {"first": _kind(before.layer), "join": _kind(join.layer)}
            applied = _behind(lambda y, layer=before.layer: _applied(layer, y))
            yield [
                LayerChange(MOVED_BEHIND, join.layer, values, call=applied),
                LayerChange(MOVED_BEHIND, before.layer, values, call=_same),
            ]


def _joined(graph: CallGraph, n: int) -> Iterator[list[LayerChange]]:
    """Yield a join of another kind, or of its inputs in another order."""
    scene = graph.scenes[n]
    ops, arrays = scene.keras.ops, scene.inputs
    numpy_of: dict[str, Any] = {
        "add": np.sum, "mean": np.mean, "multiply": np.prod, "maximum": np.max, "minimum": np.min,
    }  # fmt: skip
    if len({a.shape for a in arrays}) == 1 and arrays[0].shape == scene.output.shape:
        meant = next((w for w in _JOINS if _is_join(graph, n, numpy_of[w])), None)
        of_stack = {"add": ops.sum, "mean": ops.mean, "multiply": ops.prod, "maximum": ops.max,
                    "minimum": ops.min}  # fmt: skip
        for theirs in _JOINS:
            if meant is not None and theirs != meant:

                def call(own: Any, args: Any, kwargs: Any, f: Any = of_stack[theirs]) -> Any:
                    return f(ops.stack(list(args[0])), axis=0)

                values = {"theirs": _WORDS[theirs], "meant": _WORDS[meant]}
                values["join"] = _kind(scene.layer)
                yield [LayerChange(JOIN_KIND, scene.layer, values, call=call)]
    if 2 < len(arrays) <= 4:
        for order in permutations(range(len(arrays))):

            def turned(own: Any, args: Any, kwargs: Any, order: Any = order) -> Any:
                return own([args[0][k] for k in order], **kwargs)

            if list(order) != sorted(order):
                yield [LayerChange(JOINED_ORDER, scene.layer, call=turned)]


def _is_join(graph: CallGraph, n: int, function: Any) -> bool:
    """Return whether a join computes a function of its inputs, in every run."""
    return all(
        np.allclose(function(run[n].inputs, axis=0), run[n].output, rtol=1e-9, atol=1e-12)
        for run in graph.runs
    )


def _sources(graph: CallGraph, n: int) -> Iterator[list[LayerChange]]:
    """Yield a join one of whose inputs is taken from elsewhere."""
    scene = graph.scenes[n]
    for k, array in enumerate(scene.inputs):
        m = graph.source(n, k)
        near: list[tuple[int, str, str]] = []
        for u in graph.users(m) if m is not None else []:
            if u < n and graph.does(u):
                near.append((u, "given", f"behind {_kind(graph.scenes[u].layer)}"))
        if m is not None and graph.does(m):
            near.insert(0, (m, "taken", f"before {_kind(graph.scenes[m].layer)}"))
        others = [u for u in reversed(range(n)) if u != m and not graph.joins(u)]
        near += [(u, "given", f"from layer {graph.scenes[u].layer.name}") for u in others]
        inner = None if m is None else _inner(graph.scenes[m])
        if m is not None and inner is not None:
            yield _pre_activation(graph, n, k, m, *inner)
        count = 0
        for u, what, words in near:
            other = graph.scenes[u]
            found = other.output if what == "given" else other.inputs[0]
            if found.shape != array.shape:
                continue
            count += 1
            if count > _MOST_SOURCES:
                break
            kept = _KeptCalls()
            values = {"which": k + 1, "join": _kind(scene.layer), "source": words}
            yield [
                LayerChange(SKIP_FROM, scene.layer, values, call=_with(k, kept, what)),
                LayerChange(SKIP_FROM, other.layer, values, call=_keeping(kept)),
            ]


def _keeping(kept: _KeptCalls) -> Replacement:
    def call(own: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        kept.taken, kept.given = args[0], own(*args, **kwargs)
        return kept.given

    return call


def _with(k: int, kept: _KeptCalls, what: str) -> Replacement:
    def call(own: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        parts = list(args[0])
        parts[k] = getattr(kept, what)
        return own(parts, **kwargs)

    return call


def _pre_activation(
    graph: CallGraph, n: int, k: int, m: int, function: Any, name: str
) -> list[LayerChange]:
    """Return a join one of whose inputs is taken before the activation inside of a layer."""
    scene, before, kept = graph.scenes[n], graph.scenes[m], _KeptCalls()

    def call(own: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        kept.given = own(*args, **kwargs)
        return function(kept.given)

    source = f"before the activation {name}"
    values = {"which": k + 1, "join": _kind(scene.layer), "source": source}
    return [
        LayerChange(SKIP_FROM, scene.layer, values, call=_with(k, kept, "given")),
        LayerChange(SKIP_FROM, before.layer, values, _linear(before), call=call),
    ]


def _weights(graph: CallGraph, n: int) -> Iterator[list[LayerChange]]:
    """Yield that a layer and an earlier one have each other's weights."""
    own, count = graph.scenes[n], 0
    for other in reversed(graph.scenes[:n]):
        pairs = list(zip(own.weights, other.weights, strict=False))
        alike = len(own.weights) == len(other.weights) and own.layer is not other.layer
        if not pairs or not alike or any(a.shape != b.shape for (_, a), (_, b) in pairs):
            continue
        count += 1
        if count > _MOST_ALIKE:
            return
        values = {"which": f"{other.layer.name} and {own.layer.name}"}
        ours = {id(v): value for (v, _), (_, value) in pairs}
        theirs = {id(v): value for (_, value), (v, _) in pairs}
        yield [
            LayerChange(WEIGHTS_OF_OTHER, own.layer, values, weights=ours),
            LayerChange(WEIGHTS_OF_OTHER, other.layer, values, weights=theirs),
        ]
