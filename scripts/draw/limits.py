"""What keeps one client of the page from blocking the others: limits of time, number and size.

A connection that has not sent a whole request head in time is closed, and so is the one that has
waited longest where there are too many. Large files take turns: few are held at a time, and each
has to arrive soon once it is its turn. A drawing never waits for them.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from anyio import CapacityLimiter, to_thread
from starlette.exceptions import HTTPException
from starlette.requests import Request
from uvicorn.protocols.http.h11_impl import H11Protocol

T = TypeVar("T")

# Seconds in which the head of a request has to come, and the file after it.
HEAD_SECONDS = 10.0
BODY_SECONDS = 10.0
# Seconds that a large file may wait for its turn, take to come then, and pause while it comes. On
# one computer, 20 MB take 0.1.
TURN_SECONDS = 30.0
LARGE_SECONDS = 5.0
PAUSE_SECONDS = 1.0
# Connections at a time, and those that wait to be taken up; systems allow some 1000 open files.
MOST_CONNECTIONS = 500
BACKLOG = 200

LARGEST_FILE = 20_000_000
# A client reads the refusal only after it has sent everything, so this much is taken and dropped.
LARGEST_READ = 10 * LARGEST_FILE
# The page's own drawings have less. As many bytes as this, times the connections, may be held.
SMALL_FILE = 500_000
LARGE_AT_A_TIME = 6
# Threads that look at small pictures, and at large ones, which need up to half a gigabyte each.
SMALL_THREADS, LARGE_THREADS = 4, 1


class Impatient(H11Protocol):
    """HTTP on one connection, which is closed if no request comes."""

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._answered: Any = None
        self._timer = self.loop.call_later(HEAD_SECONDS, self._look)
        open_ones = [
            one
            for one in self.connections
            if isinstance(one, Impatient) and not one.transport.is_closing()
        ]
        if len(open_ones) > MOST_CONNECTIONS:
            idle = [one for one in open_ones if not one.in_progress()]
            # The first that is to be looked at has waited longest.
            min(idle or [self], key=lambda one: one._timer.when()).transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._timer.cancel()
        super().connection_lost(exc)

    def in_progress(self) -> bool:
        """Tell whether a request is being answered."""
        return self.cycle is not None and not self.cycle.response_complete

    def _look(self) -> None:
        """Close the connection if there was no request all the time since this was last done."""
        busy = self.in_progress()
        if not busy and self.cycle is self._answered:
            self.transport.abort()
            return
        # A request that is still being answered is none that the next look could know again: from
        # its answer on there is a whole time to wait.
        self._answered = self if busy else self.cycle
        self._timer = self.loop.call_later(HEAD_SECONDS, self._look)


class Turns:
    """Lets small files pass, and large ones one after the other."""

    def __init__(self) -> None:
        self._places = asyncio.Semaphore(LARGE_AT_A_TIME)
        self._small = CapacityLimiter(SMALL_THREADS)
        self._large = CapacityLimiter(LARGE_THREADS)

    @asynccontextmanager
    async def body(self, request: Request) -> AsyncIterator[bytes]:
        """Give a request's body, for as long as it is held.

        Raises:
            HTTPException: Larger than 20 MB, or not there in time.
        """
        stream = request.stream()
        declared = int(request.headers.get("content-length", "0"))  # checked by the server
        kept = _Kept(declared)
        if declared <= LARGEST_READ:
            await _in_time(kept.take(stream, SMALL_FILE, BODY_SECONDS), BODY_SECONDS)
        if not kept.more:
            yield kept.whole()
            return
        try:
            await asyncio.wait_for(self._places.acquire(), TURN_SECONDS)
        except TimeoutError:
            raise HTTPException(503, "busy with other large files; try again") from None
        try:
            await _in_time(kept.take(stream, LARGEST_READ, PAUSE_SECONDS), LARGE_SECONDS)
            yield kept.whole()
        finally:
            kept.drop()
            self._places.release()

    async def run(self, work: Callable[[], T], large: bool) -> T:
        """Run work in a thread, large work after other large work."""

        def named() -> T:
            thread = threading.current_thread()
            before, thread.name = thread.name, "draw-picture"
            try:
                return work()
            finally:
                thread.name = before

        return await to_thread.run_sync(named, limiter=self._large if large else self._small)


class _Kept:
    """The part of a body that has come.

    Attributes:
        more: Whether there is more to come.
    """

    def __init__(self, declared: int) -> None:
        self.more = False
        self._size, self._declared = 0, declared
        self._chunks: list[bytes] = []

    def drop(self) -> None:
        """Hold it no longer."""
        self._chunks.clear()

    async def take(self, stream: AsyncIterator[bytes], limit: int, pause: float) -> None:
        """Take chunks up to a size, or to the end; each within so many seconds of the last."""
        self.more = True
        while self._size <= limit:
            try:
                chunk = await asyncio.wait_for(anext(stream), pause)
            except StopAsyncIteration:
                self.more = False
                return
            self._size += len(chunk)
            if self._size <= LARGEST_FILE:
                self._chunks.append(chunk)
            else:
                self.drop()

    def whole(self) -> bytes:
        """Return the body.

        Raises:
            HTTPException: It is too large.
        """
        size = max(self._size, self._declared)
        if size > LARGEST_FILE:
            raise HTTPException(
                413,
                f"expected a file of at most {LARGEST_FILE:,} bytes. Received: {size:,} or more",
            )
        return b"".join(self._chunks)


async def _in_time(taking: Any, seconds: float) -> None:
    try:
        await asyncio.wait_for(taking, seconds)
    except TimeoutError:
        expected = f"expected the whole file within {seconds:g} seconds and without pauses"
        raise HTTPException(408, expected, {"Connection": "close"}) from None
