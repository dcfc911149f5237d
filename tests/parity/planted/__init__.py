"""Bugs planted in ordinary networks, to check the checker: is each found, and named as what it is?

Three people's code (``functions``, ``network_class``, ``layer_objects``) and the folded biases of
one of the documents (``folded``); every bug is a change of a few words in these. How samples,
kernels and biases lie has to be found out; the labels' form as well in ``functions``, where the
loss is the squared error (each further form that is tried takes as long again).
"""

from tests.parity.planted import (
    bugs_deltas,
    bugs_factors,
    bugs_passes,
    bugs_softmax,
    bugs_tensors,
    bugs_training,
)
from tests.parity.planted.bug import cases

BUGS = [
    *bugs_factors.BUGS,
    *bugs_deltas.BUGS,
    *bugs_softmax.BUGS,
    *bugs_tensors.BIASES,
    *bugs_tensors.KERNELS,
    *bugs_passes.PROPAGATION,
    *bugs_passes.DROPOUTS,
    *bugs_passes.FORWARD,
    *bugs_training.SAMPLES,
    *bugs_training.WEIGHT_DECAY,
    *bugs_training.UPDATES,
    *bugs_training.ALIASES,
]
CASES = cases(BUGS)
