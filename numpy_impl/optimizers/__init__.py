"""Optimizers: one class for each rule, by name in ``OPTIMIZERS``."""

# The table of names says which there are, and nothing says it again.
from numpy_impl.optimizers.names import *  # noqa: F403 (all that names has is of the package)
