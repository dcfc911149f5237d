"""The bugs: for each piece of a network, the wrong ways to compute it, with their texts.

``TABLE`` has them all by their codes.
"""

# All modules are imported, so that the table is whole.
from parity.checking.bugs import factors, forward, hidden, optimizers, output, tensors
from parity.checking.bugs.table import TABLE, Bug, Severity, Values

__all__ = [
    "TABLE",
    "Bug",
    "Severity",
    "Values",
    "factors",
    "forward",
    "hidden",
    "optimizers",
    "output",
    "tensors",
]
