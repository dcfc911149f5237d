"""Keras in few digits beside a NumPy network: each layer judged by the numbers that it was given.

In bfloat16 the errors of a few layers are as large as what they compute, so a bound from the inputs
to the outputs promises nothing. So, as with the steps of a training, Keras's own tensors K_i are
taken between: layer i computed from them in exact arithmetic is E_i, and right are

    |K_i - E_i| <= bound of Keras's rounding in this one layer,
    |N_i - X_i| <= bound of NumPy's own rounding,

where N_i is NumPy's tensor and X_i the network in exact arithmetic from the inputs. Both are asked
at once, by comparing K_i with E_i + (N_i - X_i). Backward likewise, from the gradients of the loss
by Keras's tensors, which are rows too ("delta of ..."): each is compared with what the layers above
make of theirs.
"""

from collections.abc import Sequence

import numpy as np

from numpy_impl.functional import one_or_list
from numpy_impl.types import Array
from parity.bounds import analyse, analyse_outputs
from parity.bounds.analysis import Seen
from parity.bounds.rounding import Approx
from parity.comparing.pair import Pair
from parity.comparing.rows import Row, Section, compare_tensors


def compare_outputs(pair: Pair, x: list[Array]) -> list[Row]:
    """Compare every layer's output with dropout inactive; weights and inputs as Keras's cast."""
    network, low = pair.network, pair.low
    titles, order = pair.order()
    found = dict(zip(pair.tensors, pair.keras.layer_outputs(x), strict=True))
    theirs = [found[name] for name in order]
    seen = Seen(dict(zip(network.tensor_names, theirs, strict=True)), {})
    with low.weights(network):
        ours = network.layer_outputs(one_or_list(x))
        bounded = analyse_outputs(network, x, low.precisions, seen)
        exact = analyse_outputs(network, x)
    rows = zip(titles, theirs, ours, bounded, exact, strict=True)
    return [_row(pair, "forward", *row) for row in rows]


def compare_gradients(
    pair: Pair,
    x: list[Array],
    y: list[Array],
    masks: Sequence[Array],
    sample_weight: list[Array] | None = None,
) -> list[Row]:
    """Compare the loss and the gradient of every weight, in training mode, likewise."""
    network, low, format = pair.network, pair.low, pair.low.format
    keras = pair.keras.observe(x, y, masks, sample_weight)
    titles, order = pair.order()
    places = zip(network.tensor_names, titles, order, strict=True)
    seen, called = Seen({}, {}), dict[str, str]()
    for own, title, name in places:
        called[own], seen.tensors[own] = title, keras.tensors[name]
        if name in keras.deltas:
            seen.deltas[own] = keras.deltas[name]
    before = network.get_weights()
    counts = None if sample_weight is None else one_or_list(sample_weight)
    with low.weights(network):
        given = network, x, y, pair.reference_loss, masks, sample_weight
        bounded, exact = analyse(*given, low.precisions, seen), analyse(*given)
        cost, gradients = network.loss_and_gradients(
            one_or_list(x), one_or_list(y), pair.loss, masks, counts
        )
    network.set_weights(before)  # a pass in training moves the moving statistics
    theirs, ours = (np.asarray([value], network.dtype) for value in (keras.loss, cost))
    losses = [one.loss.reshape(1) for one in (bounded, exact)]
    rows = [_row(pair, "loss", "loss", theirs, ours, losses[0], losses[1])]
    for own, delta in bounded.deltas.items():
        if own in seen.deltas:
            title = f"delta of {called[own]}"
            known, nothing = delta.value, delta.rounding.exact(delta.value)
            rows.append(
                compare_tensors(
                    "gradients", title, seen.deltas[own], known, delta, own=nothing, low=format
                )
            )
    scales = pair.least_scales(keras.gradients)
    both = zip(bounded.gradients, exact.gradients, strict=True)
    each = zip(pair.names, keras.gradients, gradients, both, scales, strict=True)
    for name, theirs, ours, bounds, scale in each:
        rows.append(_row(pair, "gradients", name, theirs, ours, *bounds, least_scale=scale))
    return rows


def _row(
    pair: Pair,
    section: Section,
    title: str,
    theirs: Array,
    ours: Array,
    bounded: Approx,
    exact: Approx,
    least_scale: float = 0.0,
) -> Row:
    """Compare a tensor of Keras with what its layer is to give, but for NumPy's own rounding."""
    moved = bounded.value + (ours - exact.value)
    return compare_tensors(
        section, title, theirs, moved.reshape(theirs.shape), bounded, least_scale, exact,
        pair.low.format,
    )  # fmt: skip
