"""The arrays in Keras's HDF5 files, read so that a hostile file can do no harm.

h5py is imported when a file is opened, as nothing else in ``numpy_impl`` needs it.
"""

import io
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import IO, TYPE_CHECKING, Any

from numpy_impl.files.bounded import Refusal
from numpy_impl.types import Array, Shape

if TYPE_CHECKING:
    import h5py

_FLOATS = ("float32", "float64")
_MOST_NAMES, _MOST_OBJECTS = 1000, 10_000
# Beside weights, Keras saves counters and the states of random generators.
_NUMBERS = (*_FLOATS, "float16", "int8", "int32", "int64", "uint8", "uint32", "uint64", "bool")


class WeightsFile(AbstractContextManager["WeightsFile"]):
    """An open HDF5 file.

    Only links to objects in the file itself are followed (not soft or external ones), only arrays
    of floating-point numbers stored in one piece are read (no references, no external or virtual
    data, no filters, nothing that is not in the file), and no more of them than the file is long.

    Args:
        file: The content, open for reading.
    """

    def __init__(self, file: IO[bytes]) -> None:
        import h5py

        self._length = self._left = file.seek(0, io.SEEK_END)
        self._file = h5py.File(file, "r")

    def __exit__(self, *exception: object) -> None:
        self._file.close()

    def attributes(self) -> list[str]:
        """Return the names of the attributes of the whole file."""
        return list(self._file.attrs)

    def names(self, path: str = "") -> list[str]:
        """Return the names in the group at ``path``, in no particular order; [] if it is absent."""
        try:
            return _names(self._group(path))
        except _Absent:
            return []

    def variables(self, path: str) -> list[Array]:
        """Return the arrays that Keras saved for the layer at ``path``: "vars/0", "vars/1"...

        Raises:
            Refusal: No such group, other names in it, or something else than plain arrays.
        """
        group = self._group(f"{path}/vars")
        names = _names(group)
        numbers = [str(i) for i in range(len(names))]
        if set(names) != set(numbers):
            raise Refusal(f"arrays named 0, 1... in {path}/vars", ", ".join(sorted(names)[:9]))
        return [self._array(group, number) for number in numbers]

    def check(self) -> int:
        """Check that there is nothing else in the file than groups and plain arrays of numbers.

        Returns:
            How many numbers there are.

        Raises:
            Refusal: A link, an object that is in two groups, or another kind of object or array.
        """
        return sum(array.size for _, array in self._arrays(self._file["/"], _NUMBERS))

    def shapes(self, path: str) -> dict[str, Shape]:
        """Return the shapes of all arrays of floating-point numbers below ``path``, by their place.

        Raises:
            Refusal: As :meth:`check`.
        """
        return {
            place: array.shape
            for place, array in self._arrays(self._group(path), _NUMBERS)
            if array.dtype.name in _FLOATS
        }

    def label(self, path: str) -> str:
        """Return what the layer at ``path`` was called; "" if that is not said."""
        return str(self._group(f"{path}/vars").attrs.get("name", ""))

    def _arrays(
        self, start: "h5py.Group", dtypes: Sequence[str]
    ) -> Iterator[tuple[str, "h5py.Dataset"]]:
        import h5py

        seen: set[int] = set()
        groups, left = [start], self._length
        while groups:
            group = groups.pop()
            for name in _names(group):
                found = _follow(group, name)
                address: int = h5py.h5o.get_info(found.id).addr
                if address in seen:
                    raise Refusal(f"{name} in one group", "the same in two")
                seen.add(address)
                if len(seen) > _MOST_OBJECTS:
                    raise Refusal(f"at most {_MOST_OBJECTS} groups and arrays", "more")
                if isinstance(found, h5py.Group):
                    groups.append(found)
                else:
                    place = f"{group.name}/{name}".lstrip("/")
                    left -= _checked(found, place, dtypes, left).nbytes
                    yield place, found

    def _group(self, path: str) -> "h5py.Group":
        import h5py

        group: Any = self._file
        for name in filter(None, path.split("/")):
            group = _follow(group, name)
            if not isinstance(group, h5py.Group):
                raise Refusal(f"a group {path}", f"{type(group).__name__} {name}")
        return group

    def _array(self, group: "h5py.Group", name: str) -> Array:
        place = f"{group.name}/{name}"
        array = _checked(_follow(group, name), place, _FLOATS, self._left)
        self._left -= array.nbytes
        return array[()]


class _Absent(Refusal):
    """There is nothing under that name."""


def _names(group: "h5py.Group") -> list[str]:
    """Return the names in a group, of a number that a model has: each takes some time to open."""
    if len(group) > _MOST_NAMES:
        raise Refusal(f"at most {_MOST_NAMES} names in {group.name}", f"{len(group)}")
    return list(group)


def _checked(array: Any, place: str, dtypes: Sequence[str], left: int) -> "h5py.Dataset":
    """Return an object of the file, which must be an array of numbers that are in the file.

    Args:
        array: The object.
        place: Where it is, for errors.
        dtypes: Names of those that it may have.
        left: How many bytes it may take.
    """
    import h5py

    if not isinstance(array, h5py.Dataset) or array.shape is None:
        raise Refusal(f"an array {place}", f"{type(array).__name__} without numbers")
    if array.dtype.name not in dtypes:
        raise Refusal(f"{' or '.join(dtypes)} in {place}", f"{array.dtype}")
    if array.external or array.is_virtual or array.chunks is not None:
        raise Refusal(f"{place} stored in one piece", "external, virtual or chunked storage")
    if array.nbytes != array.id.get_storage_size() or array.nbytes > left:
        raise Refusal(
            f"{place} of shape {array.shape} in the file",
            f"{array.id.get_storage_size()} bytes for it, {left} for it and what follows",
        )
    return array


def _follow(group: "h5py.Group", name: str) -> Any:
    from h5py import h5l  # pyright: ignore[reportAttributeAccessIssue]

    place, key = f"{str(group.name).rstrip('/')}/{name}", name.encode()
    if not group.id.links.exists(key):
        raise _Absent(place, f"no {name} in {group.name}")
    if group.id.links.get_info(key).type != h5l.TYPE_HARD:
        raise Refusal(f"{place} in the file itself", "a soft or external link")
    return group[name]
