"""Large matrix products on two threads of our own, with the BLAS library at one.

A BLAS library with two threads lets each spin until the other is done. On a machine that does other
work as well they wait most of the time: an epoch took 6 to 10 times as long. Here a product is cut
into two parts by rows, and whoever is free takes the next: where the other thread gets no
processor, this one computes both parts. The cut does not depend on that, and so neither do the
bits.

This holds inside of :func:`own_threads`, which needs threadpoolctl and gives BLAS its threads back
at the end. Who has set BLAS to one thread (``OPENBLAS_NUM_THREADS=1``) gets one here too.
"""

import importlib
import threading
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from numpy_impl.types import Array

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

# Multiplications of a product that is worth the 20 microseconds of asking another thread.
LARGE_PRODUCT = 4_000_000
# Rows that a BLAS kernel takes at a time, or a multiple of that.
ROWS = 4


class _State:
    """Who is inside of ``own_threads``, in which of the program's threads whatever."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.users = 0
        self.limited: Any = None
        self.helper: ThreadPoolExecutor | None = None


_state = _State()


@cache
def _blas() -> Any:
    """Return what sets the number of BLAS threads, or None where there is no such library."""
    try:
        threadpoolctl: Any = importlib.import_module("threadpoolctl")
    except ImportError:
        return None
    controller = threadpoolctl.ThreadpoolController().select(user_api="blas")
    return controller if controller.info() else None


@cache
def _helper() -> "ThreadPoolExecutor":
    from concurrent.futures import ThreadPoolExecutor  # late, as most programs end without

    return ThreadPoolExecutor(1, "product")


@contextmanager
def own_threads() -> Generator[None, None, None]:
    """Have large products computed by two threads of our own while this lasts."""
    if (blas := _blas()) is None:
        yield
        return
    with _state.lock:
        _state.users += 1
        if _state.users == 1:
            if max(library["num_threads"] for library in blas.info()) > 1:
                _state.helper = _helper()
            _state.limited = blas.limit(limits=1)
    try:
        yield
    finally:
        with _state.lock:
            _state.users -= 1
            if _state.users == 0:
                _state.limited.restore_original_limits()
                _state.limited = _state.helper = None


def product(a: Array, b: Array, out: Array) -> Array:
    """Return ``a @ b``, shapes (n, k) and (k, m), written into ``out`` of shape (n, m)."""
    if _state.limited is None or a.size * b.shape[1] < LARGE_PRODUCT:
        return np.matmul(a, b, out)
    middle = -(-len(a) // (2 * ROWS)) * ROWS
    parts = iter((slice(0, middle), slice(middle, len(a))))

    def compute() -> None:
        for rows in parts:
            np.matmul(a[rows], b, out[rows])

    helper = _state.helper
    if helper is None:
        compute()
        return out
    helping = helper.submit(compute)
    try:
        compute()
    finally:
        # Cancelled where it has not begun; what it has begun has to be waited for.
        if not helping.cancel():
            helping.result()
    return out
