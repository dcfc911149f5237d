"""Which change of Keras's layer a user's forward computes, where it is not that layer.

The changes are those that are tried in the layers of a whole network.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from parity.checking.any_layers.answers import ObservedArray, turned
from parity.checking.any_layers.causes import Cause, Causes
from parity.checking.any_layers.noise import bounds
from parity.checking.any_layers.probes import ForwardProbe
from parity.checking.asking.nested import Leaf
from parity.checking.bugs.change import LayerChange
from parity.checking.layer.any_kind import Asked
from parity.checking.layer.fit import LayerDraw
from parity.checking.layer.reading import LayerReading, flat


def cause_of(keras: Asked, reading: LayerReading, draws: Sequence[LayerDraw]) -> Cause | None:
    """Return the change with which Keras's layer gives what the user's forward gives.

    Args:
        keras: The layer.
        reading: How the user's arrays lie.
        draws: What the user's layer said; it has to be so in all of them.

    Returns:
        The cause; None where no change explains all outputs up to rounding.
    """
    probes = [_probe(keras, reading, draw) for draw in draws]
    opened, run = keras.opened, probes[0].run
    last = len(run.calls) - 1
    usual = _order(keras, reading)
    observed = [
        ObservedArray("forward", last, k, k, usual)
        if len(usual) == out.ndim and np.shape(leaf.value) == tuple(out.shape[a] for a in usual)
        else turned(ObservedArray("forward", last, k, k), probes[0].answer, run)
        for k, (out, leaf) in enumerate(zip(run.outputs, probes[0].answer, strict=False))
    ]
    unit = max(keras.precision, *(draw.unit for draw in draws))
    rooms = [
        [[2 * room for room in each] for each in bounds(opened, p.inputs, p.values, p.run, unit)]
        for p in probes
    ]
    by_layer = {id(run.calls[place].layer): place for place in range(last)}
    suspects = [*reversed(by_layer.values()), last]
    unchanged = [list[LayerChange]() for _ in probes]
    found = Causes(opened, probes, observed, unit, rooms).find(suspects, last, unchanged)
    is_one = sum(bool(call.depth and call.inputs) for call in run.calls) == 1
    return replace(found, where="forward") if found and is_one else found


def _order(keras: Asked, reading: LayerReading) -> tuple[int, ...]:
    """Return how the axes of the first input lie in the user's: outputs mostly lie alike."""
    if not keras.kind.inputs:  # indices alone, whose axes lie as they do
        return ()
    role = keras.kind.inputs[0]
    own = role.axes[0].split()
    return tuple(own.index(letter) for letter in reading.axes[role.name].split())


def _probe(keras: Asked, reading: LayerReading, draw: LayerDraw) -> ForwardProbe:
    """Return a draw as Keras's layer is asked with it, and the answers."""
    vector = flat(draw.arrays)
    own, values = keras.parts({role: vector[places] for role, places in reading.places.items()})
    inputs = keras.with_rest(own)
    answer = [Leaf(f"[{k}]", out.astype(np.float64)) for k, out in enumerate(draw.outputs)]
    return ForwardProbe(inputs, values, keras.opened.run(inputs, values), answer)
