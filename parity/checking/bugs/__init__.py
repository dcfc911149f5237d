"""The bugs: for each piece of a network, the wrong ways to compute it, with their texts.

``TABLE`` has them all by their codes, in the order in which a check meets them. A code may have
several forms, which are told apart and mended differently.
"""

from parity.checking.bugs import (
    activating,
    attending,
    cells,
    convolving,
    deltas,
    derivative,
    errors,
    factors,
    forward,
    forward_alone,
    layers,
    measured,
    normalizing,
    optimizers,
    outputs,
    parts,
    reading,
    recurring,
    slips,
    sums,
    table,
    tensors,
    wiring,
)
from parity.checking.bugs.table import Bug

TABLE: dict[str, list[Bug]] = {}
for _module in (
    table, forward, slips, forward_alone, normalizing, recurring, cells, attending, convolving,
    activating, reading, wiring, deltas, outputs, measured, sums, errors, tensors, parts, factors,
    derivative, optimizers, layers,
):  # fmt: skip
    for _bug in vars(_module).values():
        if isinstance(_bug, Bug) and _bug not in TABLE.setdefault(_bug.code, []):
            TABLE[_bug.code].append(_bug)
