"""Which floating-point type Keras computes in.

Keras keeps two settings: ``floatx`` (losses, learning rates) and the dtype policy (layers). They
must agree, and must be set before a layer, loss or optimizer is made; see
``docs/tolerances.md`` for what happens otherwise. On two of its backends a third thing has to be
right, which no setting reaches: :func:`computes_in`.
"""

from collections.abc import Generator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Literal

import keras

Precision = Literal["float32", "float64"]

# What Keras makes of the 64-bit types that result from an operation, by name. On JAX and PyTorch
# float64 becomes float32 here, and with it every product of matrices on PyTorch, tanh on JAX...
_promotion: Any = import_module("keras.src.backend.common.dtypes")
_RESULTS: dict[str, str] = _promotion.BIT64_TO_BIT32_DTYPE
_KERAS_FLOAT64 = _RESULTS["float64"]


def computes_in(dtype: str) -> bool:
    """Return whether an operation on numbers of ``dtype`` has a result of ``dtype``.

    As Keras 3.15 comes it has not with float64 on JAX and PyTorch, whatever ``floatx`` and the
    policy say (``keras/src/backend/common/dtypes.py``); within :func:`precision` it has.
    """
    return keras.backend.result_type(dtype, dtype) == dtype


def set_precision(dtype: Precision) -> None:
    """Make Keras build and compute everything from here on in "float32" or "float64".

    Raises:
        ValueError: Another dtype, or one that the backend does not really compute in.
    """
    if dtype not in ("float32", "float64"):
        raise ValueError(f"Expected dtype float32 or float64. Received: {dtype!r}")
    before: Any = keras.config.floatx()
    _set(dtype, dtype)
    one: Any = keras.ops.ones((1, 1), dtype=dtype)
    product: Any = keras.ops.matmul(one, one)
    computed = keras.backend.standardize_dtype(product.dtype)
    if computed != dtype:
        _set(before, before)
        raise ValueError(
            f"Expected a Keras backend that multiplies {dtype} matrices in {dtype}. Received: "
            f"{keras.backend.backend()}, which does so in {computed}"
        )


def _set(floatx: str, policy: Any) -> None:
    wide = floatx == "float64"
    if wide and keras.backend.backend() == "jax":
        jax: Any = import_module("jax")
        jax.config.update("jax_enable_x64", True)
    # In float32 as Keras has it: there a stray float64 is to stay what it is to everybody.
    _RESULTS["float64"] = "float64" if wide else _KERAS_FLOAT64
    keras.config.set_floatx(floatx)
    keras.config.set_dtype_policy(policy)


@contextmanager
def precision(dtype: Precision) -> Generator[None, None, None]:
    """Within a ``with`` block, build and compute in ``dtype``; afterwards as before."""
    floatx, policy = keras.config.floatx(), keras.config.dtype_policy()
    results = _RESULTS["float64"]
    set_precision(dtype)
    try:
        yield
    finally:
        keras.config.set_floatx(floatx)
        keras.config.set_dtype_policy(policy)
        _RESULTS["float64"] = results


@contextmanager
def as_keras_has_it() -> Generator[None, None, None]:
    """Within a ``with`` block in :func:`precision`, let Keras fall back as it does by itself."""
    before, _RESULTS["float64"] = _RESULTS["float64"], _KERAS_FLOAT64
    try:
        yield
    finally:
        _RESULTS["float64"] = before
