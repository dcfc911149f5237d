"""Which floating-point type Keras computes in.

Keras keeps two settings: ``floatx`` (losses, learning rates) and the dtype policy (layers). They
must agree, and must be set before a layer, loss or optimizer is made; see
``docs/tolerances.md`` for what happens otherwise.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import keras


def set_precision(dtype: str) -> None:
    """Make Keras build and compute everything from here on in "float32" or "float64".

    Raises:
        ValueError: Another dtype.
    """
    if dtype not in ("float32", "float64"):
        raise ValueError(f"Expected dtype float32 or float64. Received: {dtype!r}")
    if keras.backend.backend() == "jax" and dtype == "float64":
        import jax

        jax.config.update("jax_enable_x64", True)
    keras.config.set_floatx(dtype)
    keras.config.set_dtype_policy(dtype)


@contextmanager
def precision(dtype: str) -> Iterator[None]:
    """Within a ``with`` block, build and compute in ``dtype``; afterwards as before."""
    before = keras.config.floatx()
    set_precision(dtype)
    try:
        yield
    finally:
        set_precision(before)
