"""The rounding bound of every tensor of one forward pass, backward pass and optimizer step.

This repeats the mathematics of a network in :class:`parity.bounds.rounding.Approx` arithmetic,
apart from both engines: weights and inputs enter as exact (both engines start from the same
numbers), and what comes out is each tensor's value in float64 with a bound on the error of any
correct computation in the engines' precision. Two correct engines differ by at most twice that
bound.
"""

from parity.bounds import array_functions as array_functions
from parity.bounds.analysis import Analysis, analyse, analyse_outputs
from parity.bounds.optimizers import analyse_step

__all__ = ["Analysis", "analyse", "analyse_outputs", "analyse_step"]
