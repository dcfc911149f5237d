"""Which floating-point type Keras computes in.

Keras keeps two settings: ``floatx`` (losses, learning rates) and the dtype policy (layers). They
must agree, and must be set before a layer, loss or optimizer is made; see
``docs/tolerances.md`` for what happens otherwise.
"""

from collections.abc import Generator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Literal

import keras

Precision = Literal["float32", "float64"]


def set_precision(dtype: Precision) -> None:
    """Make Keras build and compute everything from here on in "float32" or "float64".

    Raises:
        ValueError: Another dtype, or one that the backend does not really compute in: Keras 3.15
            on PyTorch multiplies float64 matrices in float32.
    """
    if dtype not in ("float32", "float64"):
        raise ValueError(f"Expected dtype float32 or float64. Received: {dtype!r}")
    if keras.backend.backend() == "jax" and dtype == "float64":
        jax: Any = import_module("jax")
        jax.config.update("jax_enable_x64", True)
    before: Any = keras.config.floatx()
    keras.config.set_floatx(dtype)
    keras.config.set_dtype_policy(dtype)
    one: Any = keras.ops.ones((1, 1), dtype=dtype)
    product: Any = keras.ops.matmul(one, one)
    computed = keras.backend.standardize_dtype(product.dtype)
    if computed != dtype:
        set_precision(before)
        raise ValueError(
            f"Expected a Keras backend that multiplies {dtype} matrices in {dtype}. Received: "
            f"{keras.backend.backend()}, which does so in {computed}"
        )


@contextmanager
def precision(dtype: Precision) -> Generator[None, None, None]:
    """Within a ``with`` block, build and compute in ``dtype``; afterwards as before."""
    floatx, policy = keras.config.floatx(), keras.config.dtype_policy()
    set_precision(dtype)
    try:
        yield
    finally:
        keras.config.set_floatx(floatx)
        keras.config.set_dtype_policy(policy)
