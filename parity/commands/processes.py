"""A process and all that it has started, and their memory, as Linux tells it in /proc.

These are its descendants, what is in its session, and what has its mark in the environment. What
several of them share, as after a fork, counts once. Not counted is what is in no process's memory:
files on a RAM disk that nobody maps, pipes and sockets, the memory of a graphics card; nor a
process that has left the session and lost both its parent and its environment.
"""

import contextlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_LINE = re.compile(rb"^(\w+):\s+(-?\d+)", re.MULTILINE)
_KILO = 1024


@dataclass(frozen=True)
class Usage:
    """What a family of processes takes.

    Attributes:
        size: Bytes, those that are swapped out too; 0 where that cannot be told.
        processes: How many they are.
    """

    size: int
    processes: int


def taken(pid: int, mark: bytes, most: float) -> Usage:
    """Return what a process and all that it has started take.

    Args:
        pid: Of the process, which leads a session.
        mark: An entry of the environment of all that it has started: b"NAME=value".
        most: Bytes. Where the sum of all processes' memory is no more, it is returned as it is;
            only beyond is it asked what they share, which takes long.
    """
    found = family(pid, mark)
    resident = sum(numbers[b"VmRSS"] + numbers.get(b"VmSwap", 0) for numbers in found.values())
    if resident * _KILO <= most:
        return Usage(resident * _KILO, len(found))
    return Usage(sum(map(_proportional, found)), len(found))


def family(pid: int, mark: bytes) -> dict[int, dict[bytes, int]]:
    """Return the numbers in the status of a process and of all that it has started.

    What has ended, and nobody has waited for, is left out; all is, where that cannot be told.
    """
    facts = dict(_facts())
    found = _descendants(pid, facts)
    found |= set(_marked(mark, facts.keys() - found))
    return {one: facts[one] for one in found if b"VmRSS" in facts[one]}


def _marked(mark: bytes, pids: Iterable[int]) -> Iterator[int]:
    for pid in pids:
        with contextlib.suppress(OSError):  # another user's, or it has ended
            if mark in (_PROC / str(pid) / "environ").read_bytes().split(b"\0"):
                yield pid


def _facts() -> Iterator[tuple[int, dict[bytes, int]]]:
    """Yield the numbers in each process's status: its parent, its session, its kilobytes."""
    for pid in (int(path.name) for path in _PROC.glob("[0-9]*")):
        with contextlib.suppress(OSError):
            yield pid, _numbers(_PROC / str(pid) / "status")


def _numbers(path: Path) -> dict[bytes, int]:
    return {name: int(value) for name, value in _LINE.findall(path.read_bytes())}


def _descendants(pid: int, facts: dict[int, dict[bytes, int]]) -> set[int]:
    """Return a process, its descendants, those of its session, and their descendants."""
    children: dict[int, list[int]] = {}
    for one, numbers in facts.items():
        children.setdefault(numbers.get(b"PPid", 0), []).append(one)
    found: set[int] = set()
    new = [one for one, numbers in facts.items() if pid in (one, numbers.get(b"NSsid"))]
    while new:
        one = new.pop()
        if one not in found:
            found.add(one)
            new += children.get(one, [])
    return found


def _proportional(pid: int) -> int:
    """Return a process's memory in bytes, of what it shares with n others an n-th."""
    with contextlib.suppress(OSError):
        numbers = _numbers(_PROC / str(pid) / "smaps_rollup")
        return (numbers.get(b"Pss", 0) + numbers.get(b"SwapPss", 0)) * _KILO
    return 0
