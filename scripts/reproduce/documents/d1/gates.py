"""D1's proof that perceptrons are enough: one of them is a NAND gate, and NAND gates can add."""

import numpy as np
from numpy.typing import NDArray

from numpy_impl.perceptron import Perceptron

Bits = NDArray[np.int64]

# The document's weights: z = 3 - 2 a - 2 b is above 0 unless both inputs are 1.
NAND = Perceptron(np.array([-2.0, -2.0]), 3.0)

HALF_ADDER_GATES, FULL_ADDER_GATES = 5, 9
# Sums are held in int64.
MOST_BITS = 62


def nand(a: Bits, b: Bits) -> Bits:
    """Return 0 where ``a = b = 1``, else 1, as one perceptron decides it.

    Args:
        a: Zeros and ones, any shape.
        b: The same shape.
    """
    return NAND.predict(np.stack([a, b], axis=-1))


def half_adder(a: Bits, b: Bits) -> tuple[Bits, Bits]:
    """Return the sum bit and the carry of ``a + b``: 5 gates."""
    both = nand(a, b)
    return nand(nand(a, both), nand(b, both)), nand(both, both)


def full_adder(a: Bits, b: Bits, carry: Bits) -> tuple[Bits, Bits]:
    """Return the sum bit and the carry of ``a + b + carry``: 9 gates."""
    both = nand(a, b)
    either = nand(nand(a, both), nand(b, both))
    carried = nand(either, carry)
    return nand(nand(either, carried), nand(carry, carried)), nand(both, carried)


def add(a: NDArray[np.int64] | int, b: NDArray[np.int64] | int, bits: int) -> NDArray[np.int64]:
    """Return ``a + b`` by NAND gates alone, the carry rippling from the lowest bit up.

    Args:
        a: Integers in ``0..2^bits - 1``, any shape.
        b: The same, of the same shape.
        bits: How many bits each has, 1 to 62; the sum has one more.

    Raises:
        ValueError: Numbers that do not fit into so many bits, or too many bits.
    """
    if not 1 <= bits <= MOST_BITS:
        raise ValueError(f"Expected bits in 1..{MOST_BITS}. Received: {bits}")
    a, b = np.asarray(a), np.asarray(b)
    for number in (a, b):
        if number.dtype.kind not in "iu" or np.any(number < 0) or np.any(number >> bits):
            raise ValueError(f"Expected integers in 0..{2**bits - 1}. Received: {number}")
    a, b = a.astype(np.int64), b.astype(np.int64)
    total, carry = half_adder(a & 1, b & 1)
    for place in range(1, bits):
        digit, carry = full_adder(a >> place & 1, b >> place & 1, carry)
        total |= digit << place
    return total | carry << bits


def gates(bits: int) -> int:
    """Return how many NAND gates :func:`add` takes for numbers of so many bits."""
    return HALF_ADDER_GATES + FULL_ADDER_GATES * (bits - 1)
