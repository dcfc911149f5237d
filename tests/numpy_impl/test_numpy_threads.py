"""Large products on two threads: the same bits whoever computes which part, and BLAS as it was."""

import sys
from collections.abc import Callable
from concurrent.futures import Future

import numpy as np
import pytest

from numpy_impl import threads

threadpoolctl = pytest.importorskip("threadpoolctl")


class Helper:
    """Stands in for the second thread: it never begins, or has done all before it is asked."""

    def __init__(self, at_once: bool) -> None:
        self.at_once, self.asked = at_once, 0

    def submit(self, compute: Callable[[], None]) -> Future[None]:
        self.asked += 1
        future: Future[None] = Future()
        if self.at_once:
            future.set_running_or_notify_cancel()
            compute()
            future.set_result(None)
        return future


@pytest.mark.parametrize("n", [2, 10, 100, 333])
@pytest.mark.parametrize("transposed", [False, True])
def test_the_bits_do_not_depend_on_who_computes(
    n: int, transposed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threads, "LARGE_PRODUCT", 1)
    rng = np.random.default_rng(0)
    a = rng.normal(size=(500, n)).T if transposed else rng.normal(size=(n, 500))
    b, found = rng.normal(size=(500, 60)), []
    with threads.own_threads():
        for helper in (None, Helper(False), Helper(True), threads._state.helper):  # pyright: ignore[reportPrivateUsage]
            monkeypatch.setattr(threads._state, "helper", helper)  # pyright: ignore[reportPrivateUsage]
            out = np.full((n, 60), np.nan)
            assert threads.product(a, b, out) is out
            found.append(out)
            assert not isinstance(helper, Helper) or helper.asked == 1
    np.testing.assert_allclose(found[0], a @ b, rtol=0, atol=1e-10)
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])


def test_blas_gets_its_threads_back() -> None:
    def given() -> list[int]:
        blas = threadpoolctl.ThreadpoolController().select(user_api="blas")
        return [library["num_threads"] for library in blas.info()]

    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        before = given()
        with threads.own_threads():
            with pytest.raises(KeyError), threads.own_threads():
                raise KeyError
            assert set(given()) == {1}
        assert given() == before


def test_an_error_waits_for_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "LARGE_PRODUCT", 1)
    with threads.own_threads(), pytest.raises(ValueError, match="matmul"):
        threads.product(np.ones((8, 3)), np.ones((2, 3)), np.empty((8, 3)))


def test_without_threadpoolctl_blas_does_as_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "threadpoolctl", None)
    monkeypatch.setattr(threads, "LARGE_PRODUCT", 1)
    threads._blas.cache_clear()  # pyright: ignore[reportPrivateUsage]
    try:
        with threads.own_threads():
            out = threads.product(np.ones((8, 3)), np.ones((3, 2)), np.empty((8, 2)))
    finally:
        threads._blas.cache_clear()  # pyright: ignore[reportPrivateUsage]
    np.testing.assert_array_equal(out, np.full((8, 2), 3.0))
