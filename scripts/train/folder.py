"""The folder of one training: apart until it is whole, then put in its place by one rename.

A training that shall be ``runs/x`` works in ``runs/x.training``, where its checkpoint lies. When
all its files are there, and on the disk, the folder is renamed. So ``runs/x`` always is one whole
training, and an earlier one there stays until that moment. A lock on the work folder, which ends
with its process, keeps two trainings apart.
"""

import ctypes
import os
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Literal

from terminal_io import CliError, os_reason, printable, sync_folder, writable_directory

from ..run_files import CHECKPOINT, FILES

if sys.platform != "win32":
    import fcntl

WORK = ".training"
Mode = Literal["new", "force", "resume"]
# Names of files that a killed process was writing.
PARTIAL = re.compile(r"\..*\.partial|\.write-test\.")


class RunFolder:
    """Where a training is saved. Used in a ``with`` block, which ends its claim.

    Args:
        place: Where the whole training shall be; its work folder stands for it.
    """

    def __init__(self, place: Path) -> None:
        # The folder itself, as "." has no name and a link cannot be renamed to a folder.
        unnamed = place.name in ("", "..") or place.is_symlink()
        place = place.resolve() if unnamed else place
        self.place = place.with_name(place.name.removesuffix(WORK) or place.name)
        self.work = self.place.with_name(self.place.name + WORK)
        self.checkpoint = self.work / CHECKPOINT
        self._locks: list[int] = []
        self._is_ours = False

    def __enter__(self) -> "RunFolder":
        return self

    def __exit__(self, *exception: object) -> None:
        """Leave the checkpoint, if there is one, and nothing else; give the claim up."""
        if self._is_ours:
            for path in _entries(self.work):
                if path.name in FILES and path.name != CHECKPOINT:
                    path.unlink(missing_ok=True)
            self._sweep()
            if not self.checkpoint.exists():
                with suppress(OSError):  # somebody put something into it
                    self.work.rmdir()
        self._is_ours = False
        while self._locks:
            os.close(self._locks.pop())

    @property
    def latest(self) -> Path:
        """The checkpoint to go on from: of the unfinished training, else of the finished one."""
        return self.checkpoint if self.checkpoint.exists() else self.place / CHECKPOINT

    def claim(self, mode: Mode) -> None:
        """Make the work folder, lock it, and check that the training may be saved.

        Args:
            mode: "new" for a place where no training is, "force" to replace what is there, "resume"
                to go on with it.

        Raises:
            CliError: Another training is at work there, ``mode`` does not allow what is there, or
                nothing can be written.
        """
        place = printable(self.place)
        self._check_place()
        if not self.lock():
            raise CliError(f"--out: expected a folder of its own. Received: {place}, to which "
                           "another training is writing")  # fmt: skip
        if mode == "new" and self.checkpoint.exists():
            raise CliError(
                f"{printable(self.work)} holds a training that was not finished: --resume goes on "
                "with it, --force starts anew"
            )
        if mode == "new" and any(_entries(self.place)):
            raise CliError(
                f"{place} holds a training: --resume goes on with it, --force replaces it once the "
                "new one is whole"
            )
        if mode == "resume" and not self.latest.exists():
            raise CliError(f"--resume: expected a training with a {CHECKPOINT}. Received: {place}")

    def lock(self) -> bool:
        """Make the work folder and lock it; return False if another process has it locked.

        Raises:
            CliError: It cannot be made or written to.
        """
        while True:
            try:
                self.work.mkdir(parents=True, exist_ok=True)
                if sys.platform == "win32":  # which opens no folders
                    break
                descriptor = os.open(self.work, os.O_RDONLY)
            except (OSError, ValueError) as error:  # ValueError: a NUL in the path
                reason = os_reason(error) if isinstance(error, OSError) else error
                raise CliError(
                    f"--out: expected a directory to write to. Received: {reason}"
                ) from error
            free = _locked(descriptor)
            if free and _is_open_as(descriptor, self.work):
                self._locks.append(descriptor)
                break
            os.close(descriptor)
            if not free:
                return False
            # Else the other training came to its end while this process was on its way.
        self._is_ours = True
        writable_directory(self.work, ())
        self._sweep()
        return True

    def finish(self) -> None:
        """Put the work folder, in which all files are, in its place; remove what was there."""
        sync_folder(self.work)
        before = self.place
        if any(_entries(self.place)):
            before = self._exchange()
        else:
            if sys.platform == "win32" and self.place.exists():
                self.place.rmdir()
            os.rename(self.work, self.place)
        self._is_ours = False
        sync_folder(self.place.parent)
        if before != self.place:
            _clear(before, self.place)

    def _exchange(self) -> Path:
        """Put the work folder in the place of a whole one; return where that one is now."""
        if sys.platform != "win32":
            # Whoever claims the work folder from now on must not find the old one there.
            old = os.open(self.place, os.O_RDONLY)
            self._locks.append(old)
            _locked(old)
        if _exchanged(self.work, self.place):
            return self.work
        # Here alone a process that is killed leaves no folder in its place, but both beside it.
        before = self.place.with_name(self.place.name + ".replaced")
        _clear(before, self.place)
        os.rename(self.place, before)
        os.rename(self.work, self.place)
        return before

    def _check_place(self) -> None:
        """Check that what is in the place, if anything, is a training and can be renamed."""
        place = printable(self.place)
        if self.place.exists() and not self.place.is_dir():
            raise CliError(
                f"--out: expected a directory to write to. Received: Not a directory: {place}"
            )
        if not self.place.exists():
            return
        names = {path.name for path in _entries(self.place)}
        if names and not names & set(FILES):
            raise CliError(
                f"--out: expected a folder that is new, empty or a training's. Received: {place} "
                f"with {printable(min(names))}"
            )
        here = Path.cwd().resolve()
        if here.is_relative_to(self.place.resolve()) or self.place.is_mount():
            raise CliError(
                "--out: expected a folder that can be replaced by another. Received: "
                f"{place}, {'a mount point' if self.place.is_mount() else 'the current folder'}; "
                "a folder in it will do"
            )
        if not os.access(self.place, os.W_OK):
            raise CliError(
                f"--out: expected a directory to write to. Received: Permission denied: {place}"
            )

    def _sweep(self) -> None:
        """Remove from the work folder what killed processes left in it."""
        for path in _entries(self.work):
            if PARTIAL.match(path.name):
                path.unlink(missing_ok=True)
        # What is whole here and older than what is in its place has been replaced by that, and the
        # process was killed before it removed the old one.
        whole = all((self.work / name).exists() for name in FILES)
        if whole and _saved_at(self.checkpoint) < _saved_at(self.place / CHECKPOINT):
            _empty(self.work, self.place)


def new(base: Path) -> RunFolder:
    """Return the claimed folder ``base``, or the first of ``base-run2``, ... that is free.

    Raises:
        CliError: Nothing can be written there.
    """
    for number in count(1):
        place = base if number == 1 else base.with_name(f"{base.name}-run{number}")
        folder = RunFolder(place)
        if os.path.lexists(place):
            continue
        if folder.lock():
            if not folder.checkpoint.exists() and not os.path.lexists(place):
                return folder
            folder.__exit__()
    raise AssertionError


def newest(base: Path) -> Path:
    """Return the place of the training, among those that ``new`` makes, that was saved last.

    Raises:
        CliError: There is none.
    """
    name = re.compile(rf"({re.escape(base.name)}(-run\d+)?)({re.escape(WORK)})?")
    found = {
        path / CHECKPOINT: base.with_name(match[1])
        for path in _entries(base.parent)
        if (match := name.fullmatch(path.name)) and (path / CHECKPOINT).exists()
    }
    if not found:
        raise CliError(
            f"--resume: expected an earlier training. Received: none in {printable(base)}"
        )
    return found[max(found, key=_saved_at)]


def _saved_at(path: Path) -> int:
    """Return when a file was written; 0 if there is none."""
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def _entries(folder: Path) -> Iterator[Path]:
    """Yield what is in a folder; nothing if there is no such folder."""
    try:
        yield from sorted(folder.iterdir())
    except FileNotFoundError:
        return


def _clear(folder: Path, place: Path) -> None:
    """Remove a training's folder; what else is in it moves to ``place``."""
    _empty(folder, place)
    if folder.exists():
        folder.rmdir()


def _empty(folder: Path, place: Path) -> None:
    # First what is the user's, then the checkpoint, without which nobody takes it for a training.
    for path in sorted(_entries(folder), key=lambda path: path.name in FILES):
        if path.name in FILES or PARTIAL.match(path.name):
            path.unlink(missing_ok=True)
        else:
            os.rename(path, place / path.name)


def _locked(descriptor: int) -> bool:
    """Lock what is open, for as long as it is; return False if another process has it locked."""
    if sys.platform != "win32":
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            pass  # a file system that has no locks
    return True


def _is_open_as(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _exchanged(one: Path, other: Path) -> bool:
    """Exchange two folders in one step; return False where the system or its disk cannot."""
    try:
        library = ctypes.CDLL(None, use_errno=True)
        first, second = os.fsencode(one), os.fsencode(other)
        if sys.platform == "linux":
            here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
            return library.renameat2(here, first, here, second, exchange) == 0
        return library.renamex_np(first, second, 2) == 0  # macOS: RENAME_SWAP
    except (OSError, TypeError, AttributeError):
        return False
