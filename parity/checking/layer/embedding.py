"""Embedding: row ``indices[b, t]`` of a table."""

from collections.abc import Iterator, Mapping

import numpy as np

from numpy_impl.types import Array
from parity.bounds.dual import Dual
from parity.checking.bugs.layers import EMBEDDING_REPEATS
from parity.checking.layer.kind import Arrays, FormulaSlip, Kind, Options, Role, Slips


def _embedding(arrays: Arrays, options: Options, slips: Slips) -> list[Dual]:
    indices: Array = options["indices"]
    rows = arrays["embeddings"].moved(lambda places: places[indices])
    last = np.ones(indices.size, bool)
    flat = indices.reshape(-1).tolist()
    for place, index in enumerate(flat):
        last[place] = index not in flat[place + 1 :]
    return [
        slips.bent(
            EMBEDDING_REPEATS, rows, lambda: rows.where(last.reshape(indices.shape)[..., None])
        )
    ]


def _slips(sizes: Mapping[str, int], options: Options) -> Iterator[FormulaSlip]:
    yield FormulaSlip(EMBEDDING_REPEATS)


EMBEDDING = Kind(
    inputs=(),
    weights=(Role("embeddings", ("v d", "d v")),),
    outputs=(("b t d", "b d", "t b d", "d b", "t d"),),
    formula=_embedding,
    slips=_slips,
    options=lambda config: {},
)
