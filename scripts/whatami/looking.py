"""Pictures turned into what a network is given: one by one, or many in several processes."""

import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from PIL import Image

from digit_data.pictures.examine import Examined, Invert, examine, open_image, to_grey
from numpy_impl.types import Array
from terminal_io import FAILURE, CliError, one_line

from ..model_files import BRIGHTEST
from .pictures import Source

if TYPE_CHECKING:
    from concurrent.futures import Future, ProcessPoolExecutor


WHOLE = (0.0, 0.0, 1.0, 1.0)
# Longest side of an original that is kept to be shown.
KEPT_SIDE = 400

# So many pictures tell how long the others will take; processes take half a second to start, and
# are started where they save more.
TRIAL = 32
WORTH_PROCESSES = 1.5
MOST_PROCESSES = 8
# Pictures that are sent to a process together, and such lots on their way for each process.
LOT = 8
LOTS_AHEAD = 4
# Seconds between looks at whether the user has interrupted.
PAUSE = 0.1


@dataclass(frozen=True)
class View:
    """How pictures are looked at.

    Attributes:
        side: 8 or 28, the network's.
        invert: See ``digit_data.pictures.examine``.
        segment: See there.
        keep: Whether a small copy of the original is kept.
    """

    side: Literal[8, 28]
    invert: Invert = "auto"
    segment: bool = False
    keep: bool = False


@dataclass(frozen=True)
class SeenPicture:
    """What was seen in a picture.

    Attributes:
        name: The picture's.
        found: What the network is given, and more; None if there is an error.
        error: Why nothing was found.
        original: A small copy of the picture, (H, W, 3) uint8, if one was wanted.
    """

    name: str
    found: Examined | None = None
    error: str | None = None
    original: Array | None = None


def look(source: Source, view: View) -> SeenPicture:
    """Read a picture and find the digit, or the digits, in it; whatever goes wrong is an error."""
    if source.error is not None:
        return SeenPicture(source.name, error=source.error)
    try:
        image, found = _examined(source, view)
        return SeenPicture(source.name, found, original=_small(image) if view.keep else None)
    except (ValueError, MemoryError) as error:  # ImageError
        return SeenPicture(source.name, error=_reason(error, source.name))
    except Exception as error:  # a bug, or what OpenCV raises; the other pictures are answered
        reason = one_line(f"{type(error).__name__}: {error}")
        return SeenPicture(
            source.name, error=f"expected a picture that can be used. Received: {reason}"
        )


def _examined(source: Source, view: View) -> tuple[Image.Image, Examined]:
    content = source.content
    if isinstance(content, np.ndarray):
        image = Image.fromarray(content)
        if view.side == 28:  # the network's own data: given as it is
            return image, Examined([content / BRIGHTEST], [WHOLE], 1, [])
        return image, examine(image, view.side, "no", view.segment)
    image = open_image(source.name if content is None else BytesIO(content))
    return image, examine(image, view.side, view.invert, view.segment)


def _small(image: Image.Image) -> Array:
    """Return a small copy, in colour and on white."""
    if image.mode.startswith(("I", "F")):
        image = Image.fromarray(np.uint8(to_grey(image) * BRIGHTEST))
    image.thumbnail((KEPT_SIDE, KEPT_SIDE))
    rgba = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
    white = Image.new("RGBA", rgba.size, "white")
    return np.asarray(Image.alpha_composite(white, rgba).convert("RGB"))


def _reason(error: Exception, name: str) -> str:
    """Return an error's message without the picture's name, which is said anyway."""
    message = str(error) or "not enough memory"
    for prefix in (f"{name}: ", f"{Path(name).expanduser()}: ", "the picture: "):
        message = message.removeprefix(prefix)
    return one_line(message)


def look_at_all(
    sources: Sequence[Source], view: View, check: Callable[[], None] = lambda: None
) -> Generator[SeenPicture]:
    """Look at pictures, in order; at many in as many processes as there are processors.

    Args:
        sources: The pictures.
        view: How.
        check: Called between pictures; what it raises ends the work.
    """
    processes = min(_processors(), MOST_PROCESSES)
    # Asked again after each lot: a folder may begin with small pictures, or with none.
    for start in range(0, len(sources), TRIAL):
        spent = 0.0
        for source in sources[start : start + TRIAL]:
            check()
            started = time.perf_counter()
            seen = look(source, view)
            spent += time.perf_counter() - started
            yield seen
        rest = sources[start + TRIAL :]
        if rest and processes > 1 and spent / TRIAL * len(rest) > WORTH_PROCESSES:
            yield from _in_processes(rest, view, processes, check)
            return


def _processors() -> int:
    """Return how many processors this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _in_processes(
    sources: Sequence[Source], view: View, processes: int, check: Callable[[], None]
) -> Iterator[SeenPicture]:
    from concurrent.futures.process import BrokenProcessPool

    lots = [sources[i : i + LOT] for i in range(0, len(sources), LOT)]
    ahead = processes * LOTS_AHEAD
    pending: deque[Future[list[SeenPicture]]] = deque()
    with _pool(processes) as pool:
        try:
            for lot in lots[:ahead]:
                pending.append(pool.submit(look_at_lot, lot, view))
            for i in range(len(lots)):
                seen = _awaited(pending.popleft(), check)
                if i + ahead < len(lots):
                    pending.append(pool.submit(look_at_lot, lots[i + ahead], view))
                yield from seen
        except BrokenProcessPool as error:
            raise CliError(
                "a process that reads pictures was ended by the system; was there enough memory?",
                FAILURE,
            ) from error


def look_at_lot(sources: Sequence[Source], view: View) -> list[SeenPicture]:
    """Look at some pictures, in a process of their own; at no more once nobody waits for them."""
    return [look(source, view) for source in sources if not (_stop and _stop.value)]


def _awaited(future: "Future[list[SeenPicture]]", check: Callable[[], None]) -> list[SeenPicture]:
    while True:
        check()
        with suppress(TimeoutError):
            return future.result(timeout=PAUSE)


@contextmanager
def _pool(processes: int) -> "Iterator[ProcessPoolExecutor]":
    """Give processes that end with the block, after the picture that they are at."""
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    # Not forked: the threads of NumPy and of the progress bar would be lost in the middle.
    context = multiprocessing.get_context("spawn")
    stop = context.RawValue("b", 0)
    pool = ProcessPoolExecutor(processes, context, _begin, (stop,))
    try:
        with _uninterrupted():
            for _ in range(processes):  # each starts one, or the first starts all
                pool.submit(_processors)
        yield pool
    finally:
        # Told and not terminated: a process that ends while it sends its answer leaves a part of
        # it in the pipe, and the pool would wait for the rest.
        stop.value = 1
        pool.shutdown(cancel_futures=True)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Let processes that are started within ignore Ctrl-C, which is for their parent."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)


# In a process that looks at pictures: whether it shall look at no more of them, if not 0.
_stop: Any = None


def _begin(stop: Any) -> None:
    """Prepare a process that looks at pictures until ``stop`` is set."""
    global _stop
    import cv2

    _stop = stop
    cv2.setNumThreads(1)  # the others keep the other processors busy
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    import multiprocessing

    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
