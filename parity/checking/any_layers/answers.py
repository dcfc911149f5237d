"""What the user's forward answers, each array beside the Keras layer that it stands for."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np

from numpy_impl.types import Array, Shape
from parity.checking.any_layers.opened import Opened, Run
from parity.checking.asking import nested
from parity.checking.asking.subject import Subject, TheirError
from parity.checking.bugs.findings import Finding, Unreadable
from parity.checking.bugs.forward_alone import LAYER_NOT_FOUND
from parity.checking.bugs.table import OUTPUTS_SHAPE

Answer = list[nested.Leaf]
# How forward is called: (subject, inputs) -> what it answers.
Way = Callable[[Subject, Sequence[Array]], Answer]


@dataclass(frozen=True)
class ObservedArray:
    """One array of the user's, and what it stands for.

    Attributes:
        name: How the user would write it: "forward(x)['h1']".
        call: The place of the layer's call in a run.
        output: Which of its outputs it is.
        axes: How the layer's axes lie in it; None: as they are, or not at all.
        place: Which array of the answer it is.
    """

    name: str
    call: int
    output: int
    place: int
    axes: tuple[int, ...] | None = None

    def array(self, answer: Answer, shape: Shape) -> Array:
        """Return the array as Keras would have it; as it is where it has another size."""
        array = np.asarray(answer[self.place].value)
        if self.axes is not None:
            array = np.transpose(array, np.argsort(self.axes))
        return array.reshape(shape) if array.size == int(np.prod(shape)) else array


def whole(subject: Subject, inputs: Sequence[Array]) -> Answer:
    """Ask for all samples, with one argument for all inputs."""
    return subject.activations(inputs[0] if len(inputs) == 1 else list(inputs))


def apart(subject: Subject, inputs: Sequence[Array]) -> Answer:
    """Ask for all samples, with an argument for each input."""
    return subject.activations(*inputs)


def single(subject: Subject, inputs: Sequence[Array]) -> Answer:
    """Ask for one sample after the other."""
    asked = apart if len(inputs) > 1 else whole
    answers = [asked(subject, [a[n] for a in inputs]) for n in range(len(inputs[0]))]
    return _stacked(answers, 0)


def columns(subject: Subject, inputs: Sequence[Array]) -> Answer:
    """Ask with the samples along the last axis."""
    turned = [np.ascontiguousarray(np.moveaxis(a, 0, -1)) for a in inputs]
    answer = (apart if len(inputs) > 1 else whole)(subject, turned)
    return [nested.Leaf(leaf.path, np.moveaxis(leaf.value, -1, 0)) for leaf in answer]


def _stacked(answers: Sequence[Answer], axis: int) -> Answer:
    first = answers[0]
    return [
        nested.Leaf(leaf.path, np.stack([np.asarray(answer[n].value) for answer in answers], axis))
        for n, leaf in enumerate(first)
    ]


WAYS: dict[str, tuple[Way, ...]] = {
    "rows": (whole, apart), "single": (single,), "columns": (columns,),
}  # fmt: skip
_WORDS: dict[Way, str] = {
    whole: "in rows (batch, ...)", apart: "in rows, an argument for each input",
    single: "one a call", columns: "in columns (..., batch)",
}  # fmt: skip


@dataclass(frozen=True)
class ForwardReading:
    """How the user's forward is called and read.

    Attributes:
        way: How it is called.
        observed: The arrays that stand for something.
        remarks: What else there is.
    """

    way: Way
    observed: list[ObservedArray]
    remarks: list[str]

    @property
    def words(self) -> str:
        """How samples lie."""
        return _WORDS[self.way]


def reading(subject: Subject, opened: Opened, inputs: Sequence[Array], run: Run) -> ForwardReading:
    """Return how the user's forward is called and read.

    Raises:
        Unreadable: No way to call it gives arrays of a size that fits.
    """
    given = subject.candidate.samples
    ways = [way for name, each in WAYS.items() if given in (None, name) for way in each]
    refused: dict[str, str] = {}
    first: TheirError | None = None
    for way in ways:
        if way is apart and len(inputs) == 1:
            continue
        try:
            answer = way(subject, inputs)
            found = _read(subject, opened, answer, run)
        except TheirError as error:
            first = first or error
            refused.setdefault(_WORDS[way], error.words)
        except (ValueError, IndexError) as error:  # answers of unequal shape, or numbers
            refused.setdefault(_WORDS[way], str(error))
        else:
            if found is not None:
                return ForwardReading(way, *found)
            shapes = ", ".join(str(np.shape(leaf.value)) for leaf in answer)
            refused.setdefault(_WORDS[way], f"returns {shapes}")
    if first is not None and len(set(refused)) == len(ways) - (len(inputs) == 1) * (whole in ways):
        raise first
    wanted = ", ".join(str(a.shape) for a in run.outputs)
    tried = "; ".join(f"samples {words}: it {why}" for words, why in refused.items())
    evidence = f"expected outputs of shape {wanted}. Received: {tried}"
    raise Unreadable(Finding(OUTPUTS_SHAPE, "forward", evidence=evidence))


def _read(
    subject: Subject, opened: Opened, answer: Answer, run: Run
) -> tuple[list[ObservedArray], list[str]] | None:
    """Return what the arrays of an answer stand for, and what has to be said; None for nothing."""
    names = subject.candidate.layer_map or {}
    last = len(run.calls) - 1
    found: list[ObservedArray] = []
    left = list(range(len(answer)))
    for theirs, layer in _named(names, answer, run).items():
        place = next(n for n in left if answer[n].path == theirs)
        left.remove(place)
        found.append(ObservedArray(f"forward(x){theirs}", layer, 0, place))
    count = len(run.outputs)
    rest = [n for n in left if np.size(answer[n].value)]
    remarks: list[str] = []
    outputs = rest[-count:]
    if len(rest) > count and len(found) == 0:
        aligned = _aligned([answer[n] for n in rest], run)
        if aligned is None:
            remarks.append(
                "Layers: the activations that forward returns are not as many as the layers, or "
                "of other sizes, so only the last was compared; layer_map={yours: Keras's} says "
                "which are which."
            )
        else:
            found += [
                ObservedArray(f"forward(x){answer[n].path}", call, 0, n)
                for n, call in zip(rest, aligned, strict=True)
            ]
            outputs = []
    if len(outputs) == count:
        found += [
            ObservedArray(f"forward(x){answer[n].path}", last, k, n) for k, n in enumerate(outputs)
        ]
    if not found:
        return None
    with_axes = [turned(each, answer, run) for each in found]
    ends = [e for e in with_axes if e.call == last or np.size(answer[e.place].value) > 1]
    fits = any(
        np.size(answer[e.place].value) == run.calls[e.call].outputs[e.output].size for e in ends
    )
    batch = len(run.outputs[0])
    plausible = any(len(run.outputs[0]) in np.shape(answer[e.place].value)[:1] for e in ends)
    if not fits and not (plausible and batch > 1):
        return None
    return sorted(with_axes, key=lambda each: each.call), remarks


def _named(names: Mapping[Any, str], answer: Answer, run: Run) -> dict[str, int]:
    """Return for each of the user's arrays that has a layer's name the place of its call.

    Raises:
        Unreadable: A name that layer_map gives is nowhere.
    """
    calls: dict[str, int] = {}
    for place, call in enumerate(run.calls):
        calls.setdefault(call.name, place)
    paths = {leaf.path for leaf in answer}
    for theirs, layer in names.items():
        path = f"[{theirs!r}]"
        known = ", ".join(c.name for c in run.layers())
        if layer not in calls:
            evidence = f"expected one of the layers {known}. Received: {layer!r}"
            raise Unreadable(Finding(LAYER_NOT_FOUND, "layer_map", evidence=evidence))
        if path not in paths:
            keys = ", ".join(sorted(paths))
            evidence = f"expected a key of what forward returns ({keys}). Received: {theirs!r}"
            raise Unreadable(Finding(LAYER_NOT_FOUND, "layer_map", evidence=evidence))
    mapped = {f"[{theirs!r}]": calls[layer] for theirs, layer in names.items()}
    return mapped or {path: calls[path[2:-2]] for path in sorted(paths) if path[2:-2] in calls}


def _aligned(leaves: Sequence[nested.Leaf], run: Run) -> list[int] | None:
    """Return the calls that a list of activations stands for, one each; None if it is not clear."""
    place = {id(call): n for n, call in enumerate(run.calls)}
    every = run.layers()
    changing = [
        c for c in every if [a.tobytes() for a in c.inputs] != [a.tobytes() for a in c.outputs]
    ]
    with_weights = [c for c in changing if c.layer.weights]
    for sequence in (every, changing, with_weights):
        sizes = [c.outputs[0].size for c in sequence]
        if sizes == [np.size(leaf.value) for leaf in leaves]:
            return [place[id(c)] for c in sequence]
    # One that has another size may just be wrong.
    counts = [s for s in (every, changing, with_weights) if len(s) == len(leaves)]
    return [place[id(c)] for c in counts[0]] if counts else None


def turned(each: ObservedArray, answer: Answer, run: Run) -> ObservedArray:
    """Return it with the order of its axes, where its shape shows that it is another one."""
    meant = run.calls[each.call].outputs[each.output]
    shape = np.shape(answer[each.place].value)
    if shape == meant.shape or len(shape) != meant.ndim:
        return each
    for axes in permutations(range(meant.ndim)):
        if tuple(meant.shape[a] for a in axes) == shape:
            return ObservedArray(each.name, each.call, each.output, each.place, axes)
    return each
