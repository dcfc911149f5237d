"""A derivative from values at steps that halve, extrapolated to step 0.

Ridders (1982), "Accurate computation of F'(x) and F'(x)F''(x)": the tableau also gives an estimate
of the error, the difference of the best entry from its neighbours.
"""

import numpy as np


class Tableau:
    """Estimates of a derivative at steps that halve, extrapolated to 0.

    Args:
        order: With which power of the step the error of an estimate goes, and each further term:
            1 for differences to one side, 2 for central ones.

    Attributes:
        best: The entry with the smallest error estimate;
        error: that estimate, rounding included.
    """

    def __init__(self, order: int) -> None:
        self.order = order
        self.best, self.error = 0.0, np.inf
        self._previous: list[float] = []

    def add(self, estimate: float, rounding: float) -> None:
        """Add a row: the estimate at half the step before, and what rounding does to it."""
        current = [estimate]
        for k, before in enumerate(self._previous):
            factor = 2.0 ** (self.order * (k + 1))
            current.append((factor * current[k] - before) / (factor - 1))
            error = max(abs(current[-1] - current[k]), abs(current[-1] - before)) + rounding
            if error < self.error:
                self.best, self.error = current[-1], error
        self._previous = current
