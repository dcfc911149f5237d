"""The same networks with the smallest mistakes that have to be seen."""

import numpy as np

from tests.parity.random_correct.network import Network
from tests.parity.random_correct.spec import Spec


class Mistaken(Network):
    """A network with one mistake in its gradients.

    Attributes:
        mistaken: Whether it has made it: a gradient of 0 shows none.
    """

    mistaken = False

    def gradients(self, x, y):
        """Return the gradients, one of them wrong."""
        kernels, biases = super().gradients(x, y)
        before = [g.copy() for g in (*kernels, *biases)]
        self.spoil(kernels, biases)
        after = [*kernels, *biases]
        changed = any(np.any(a != b) for a, b in zip(after, before, strict=True))
        self.mistaken = self.mistaken or changed
        return kernels, biases

    def spoil(self, kernels: list, biases: list) -> None:
        """Make the mistake, in place."""
        raise NotImplementedError


class OneEntry(Mistaken):
    """One entry of one gradient is off by a millionth, and it is not a tiny entry."""

    def __init__(self, spec: Spec) -> None:
        super().__init__(spec)
        self.rng = np.random.default_rng([spec.seed, 2])
        self.tensor = int(self.rng.integers(len(self.kernels) + len(self.biases)))

    def spoil(self, kernels: list, biases: list) -> None:
        """Change the first entry that is at least a third of the largest."""
        gradient = [*kernels, *biases][self.tensor]
        sizes = np.abs(gradient)
        where = np.unravel_index(np.argmax(sizes >= np.max(sizes) / 3), sizes.shape)
        gradient[where] *= 1 + 1e-6


class FirstBias(Mistaken):
    """The gradient of the first layer's biases is a thousandth too large."""

    def spoil(self, kernels: list, biases: list) -> None:
        """Multiply it, also where it is a row or column of the kernel's."""
        if biases:
            biases[0] *= 1.001
            return
        upright = kernels[0].T if self.spec.kernel == "out-in" else kernels[0]
        upright[0 if self.spec.bias == "first" else -1] *= 1.001
