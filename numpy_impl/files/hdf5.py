"""The arrays in Keras's HDF5 files, read so that a hostile file can do no harm.

h5py is imported when a file is opened, as nothing else in ``numpy_impl`` needs it.
"""

import io
from contextlib import AbstractContextManager
from typing import IO, TYPE_CHECKING, Any

from numpy_impl.files.keras_config import Refusal
from numpy_impl.types import Array

if TYPE_CHECKING:
    import h5py


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

        self._left = file.seek(0, io.SEEK_END)
        self._file = h5py.File(file, "r")

    def __exit__(self, *exception: object) -> None:
        self._file.close()

    def attributes(self) -> list[str]:
        """Return the names of the attributes of the whole file."""
        return list(self._file.attrs)

    def names(self, path: str = "") -> list[str]:
        """Return the names in the group at ``path``, in no particular order; [] if it is absent."""
        try:
            return list(self._group(path))
        except _Absent:
            return []

    def variables(self, path: str) -> list[Array]:
        """Return the arrays that Keras saved for the layer at ``path``: "vars/0", "vars/1"...

        Raises:
            Refusal: No such group, other names in it, or something else than plain arrays.
        """
        group = self._group(f"{path}/vars")
        names = list(group)
        numbers = [str(i) for i in range(len(names))]
        if set(names) != set(numbers):
            raise Refusal(f"arrays named 0, 1... in {path}/vars", ", ".join(sorted(names)[:9]))
        return [self._array(group, number) for number in numbers]

    def _group(self, path: str) -> "h5py.Group":
        import h5py

        group: Any = self._file
        for name in filter(None, path.split("/")):
            group = _follow(group, name)
            if not isinstance(group, h5py.Group):
                raise Refusal(f"a group {path}", f"{type(group).__name__} {name}")
        return group

    def _array(self, group: "h5py.Group", name: str) -> Array:
        import h5py

        array = _follow(group, name)
        place = f"{group.name}/{name}"
        if not isinstance(array, h5py.Dataset) or array.shape is None:
            raise Refusal(f"an array {place}", f"{type(array).__name__} without numbers")
        if array.dtype.name not in ("float32", "float64"):
            raise Refusal(f"float32 or float64 in {place}", f"{array.dtype}")
        if array.external or array.is_virtual or array.chunks is not None:
            raise Refusal(f"{place} stored in one piece", "external, virtual or chunked storage")
        if array.nbytes != array.id.get_storage_size() or array.nbytes > self._left:
            raise Refusal(
                f"{place} of shape {array.shape} in the file",
                f"{array.id.get_storage_size()} bytes for it, {self._left} for it and what follows",
            )
        self._left -= array.nbytes
        return array[()]


class _Absent(Refusal):
    """There is nothing under that name."""


def _follow(group: "h5py.Group", name: str) -> Any:
    from h5py import h5l  # pyright: ignore[reportAttributeAccessIssue]

    place, key = f"{str(group.name).rstrip('/')}/{name}", name.encode()
    if not group.id.links.exists(key):
        raise _Absent(place, f"no {name} in {group.name}")
    if group.id.links.get_info(key).type != h5l.TYPE_HARD:
        raise Refusal(f"{place} in the file itself", "a soft or external link")
    return group[name]
