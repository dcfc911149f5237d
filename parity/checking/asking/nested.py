"""Arrays in whatever a user keeps them in: lists, dicts, nested lists, lists of Python numbers."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeGuard

import numpy as np

from numpy_impl.types import Array

Convert = Callable[[Any, Any], Any]
# What people write before or behind a weight's name for its gradient.
AFFIXES = (
    *[(before, "") for before in ("", "d", "d_", "grad_", "g", "grad", "g_", "delta_", "nabla_")],
    *[("", behind) for behind in ("_grad", "_gradient", "grad", "_g")],
)


# Nobody nests arrays deeper; a list that contains itself has no end.
_DEEPEST = 50


class Leaf(NamedTuple):
    """One array: how the user would write it ("['W1']"), and the thing itself."""

    path: str
    value: Any


def is_ndarray(value: Any) -> TypeGuard[Array]:
    """Return whether this is an array of NumPy's."""
    return isinstance(value, np.ndarray)


def is_list(value: Any) -> TypeGuard[list[Any] | tuple[Any, ...]]:
    """Return whether this is a list or a tuple."""
    return isinstance(value, list | tuple)


def _is_dict(value: Any) -> TypeGuard[dict[Any, Any]]:
    return isinstance(value, dict)


def leaves(container: Any, split: bool = True) -> list[Leaf]:
    """Return the arrays in a container, in order.

    Args:
        container: Arrays in lists, tuples, dicts, nested as they may be; or one array.
        split: Whether a list of Python numbers (of lists of them) is a list of arrays, as weights
            are; else it is an array itself, if it is rectangular.

    Raises:
        ValueError: Something in it contains itself.
    """
    items = _parts(container) if split else _items(container)
    if items is None:
        return [Leaf("", container)]
    return [leaf for key, value in items for leaf in _walk(value, f"[{key!r}]", 1)]


def like(container: Any, template: Any) -> list[Leaf] | None:
    """Return the arrays of a container that is built as ``template`` is; None if it is not.

    Where the template has an array, the container may have whatever stands for one: a number, too.
    Entries that have names are matched by these ("dW" is that of "W"), whatever their order, and
    what else there is beside them is left out; where no name matches, by their order.
    """
    found: list[Leaf] = []
    items, own = _parts(template), _parts(container)
    if items is None or own is None:
        return None
    names, given = _names(template), _names(container)
    if names is not None and given is not None:
        named = dict(zip(given, (part for _, part in own), strict=True))
        matched = by_name(names, given)
        if matched:
            if len(matched) < len(names):
                return None
            own = [(name, named[matched[name]]) for name in names]
    if len(items) != len(own):
        return None
    for (key, value), (_, part) in zip(items, own, strict=True):
        if _items(value) is None:
            found.append(Leaf(f"[{key!r}]", part))
            continue
        below = like(part, value)
        if below is None:
            return None
        found += [Leaf(f"[{key!r}]{leaf.path}", leaf.value) for leaf in below]
    return found


def by_name(wanted: Sequence[Any], given: Sequence[Any]) -> dict[Any, Any]:
    """Return for each wanted name the given one that stands for it, for as many as there are.

    One way to write all of them ("dW" for "W", say) is chosen, the one that most are written in;
    a layer's dict that holds both "W" and "dW" is asked for the latter.
    """
    best: dict[Any, Any] = {}
    for before, behind in AFFIXES:
        names = {
            name.removeprefix(before).removesuffix(behind) if before or behind else name: name
            for name in given
            if not (before or behind) or _has(name, before, behind)
        }
        found = {name: names[name] for name in wanted if name in names}
        if found and len(found) >= len(best):
            best = found
    return best


def _has(name: Any, before: str, behind: str) -> bool:
    return isinstance(name, str) and name.startswith(before) and name.endswith(behind)


def _names(node: Any) -> list[Any] | None:
    """Return the names of the entries of a dict or a named tuple; None for what has none."""
    if _is_dict(node):
        return list(node)
    fields: tuple[str, ...] = getattr(node, "_fields", ())
    return list(fields) if is_list(node) and len(fields) == len(node) > 0 else None


def _parts(node: Any) -> list[tuple[Any, Any]] | None:
    """Return the entries of the topmost container, a list of numbers taken as one as well."""
    items = _items(node)
    return list(enumerate(node)) if items is None and is_list(node) else items


def put(container: Any, values: list[Any]) -> None:
    """Put the very objects ``values`` into a container, as far as it can be changed."""
    _put(container, iter(values))


def _put(node: Any, values: Iterator[Any]) -> None:
    for key, value in _parts(node) or []:
        if _items(value) is not None:
            _put(value, values)
            continue
        new = next(values, value)  # the container may have grown
        if isinstance(node, dict | list | np.ndarray):
            node[key] = new


def _walk(node: Any, path: str, depth: int) -> Iterator[Leaf]:
    items = _items(node)
    if items is None:
        yield Leaf(path, node)
        return
    if depth > _DEEPEST:
        raise ValueError(
            "expected arrays in lists or dicts. Received: a list or dict that contains itself"
        )
    for key, value in items:
        yield from _walk(value, f"{path}[{key!r}]", depth + 1)


def _items(node: Any) -> list[tuple[Any, Any]] | None:
    """Return the entries of a container; None for what is an array itself."""
    if _is_dict(node):
        return list(node.items())
    if is_ndarray(node):
        return list(enumerate(node)) if node.dtype == object and node.ndim == 1 else None
    if is_list(node) and not _is_numeric(node):
        return list(enumerate(node))
    return None


def _is_numeric(node: list[Any] | tuple[Any, ...]) -> bool:
    """Return whether a list is a vector or a matrix of Python numbers."""
    if all(map(_is_number, node)):
        return bool(node)
    rows = [item for item in node if is_list(item)]
    same_length = len(rows) == len(node) and len({len(row) for row in rows}) == 1
    return same_length and all(_is_number(item) for row in rows for item in row)


def _is_endless(node: Any, depth: int = 0) -> bool:
    """Return whether lists lie in one another deeper than in any array of numbers."""
    if not is_list(node) or not node or _is_number(node[0]):
        return False
    return depth > _DEEPEST or any(_is_endless(inner, depth + 1) for inner in node)


def _is_number(item: Any) -> bool:
    return isinstance(item, int | float | complex | np.generic)


def is_tensor(value: Any) -> bool:
    """Return whether this is an array of another library: PyTorch's, TensorFlow's, JAX's."""
    return not isinstance(value, np.ndarray | np.generic) and hasattr(value, "__array__")


def is_array(value: Any) -> bool:
    """Return whether this is an array of NumPy's or of another library."""
    return is_ndarray(value) or is_tensor(value)


def as_tensor(values: Array, like: Any) -> Any:
    """Return numbers as an array of the library, type and device of ``like``, where it says how.

    Whole numbers stay whole.
    """
    if not hasattr(like, "new_tensor"):
        return values
    made = like.new_tensor(values)
    return made.long() if values.dtype.kind in "iu" else made


def to_array(value: Any) -> Array:
    """Return a leaf as a new array of floating-point (or complex) numbers.

    Raises:
        ValueError: It is None, ragged, or holds something else than numbers, such as itself.
    """
    if value is None:
        raise ValueError("expected an array. Received: None")
    if _is_endless(value):  # NumPy would follow every way through it
        raise ValueError("expected an array. Received: a list that contains itself")
    if hasattr(value, "detach"):  # PyTorch gives no numbers of what it differentiates, or a GPU has
        value = value.detach().cpu()
    try:
        array = np.array(value)
    except ValueError as error:
        raise ValueError("expected a rectangular array. Received: a ragged list") from error
    if array.dtype == object:
        try:
            array = np.array(value, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(f"expected numbers. Received: {type(value).__name__}") from error
    if array.dtype.kind in "biu":
        array = array.astype(np.float64)
    if array.dtype.kind not in "fc":
        raise ValueError(f"expected numbers. Received: dtype {array.dtype}")
    return array


def rebuilt(container: Any, values: list[Any], convert: Convert | None = None) -> Any:
    """Return a container of the same structure with new leaves.

    Args:
        container: What the user keeps.
        values: The new leaves, in order.
        convert: ``(old leaf, new value) -> new leaf``; None: a new leaf of the old one's kind.
    """
    return _rebuild(container, iter(values), convert or _like, top=True)


def _rebuild(node: Any, values: Iterator[Any], convert: Convert, top: bool = False) -> Any:
    items = _parts(node) if top else _items(node)
    if items is None:
        return convert(node, next(values))
    new = [_rebuild(value, values, convert) for _, value in items]
    if _is_dict(node):
        return dict(zip(node, new, strict=True))
    if isinstance(node, np.ndarray):
        objects = np.empty(len(new), dtype=object)
        objects[:] = new
        return objects
    return tuple(new) if isinstance(node, tuple) else new


def _like(old: Any, new: Array) -> Any:
    """Return ``new`` as the kind of thing that ``old`` is."""
    if isinstance(old, list):
        return new.tolist()
    if isinstance(old, tuple):
        return tuple(new.tolist())
    if isinstance(old, int | float):
        return new.item()
    if is_tensor(old):
        return as_tensor(new, old)
    if isinstance(old, np.ndarray) and old.flags.f_contiguous and not old.flags.c_contiguous:
        return np.asfortranarray(new)
    return new


def write_in_place(container: Any, arrays: list[Array]) -> None:
    """Write new values into the arrays of a container.

    Raises:
        ValueError: One of them is read-only, or sits in a tuple and is no array.
    """
    if _parts(container) is None and arrays:  # one array alone, all weights in it
        if not overwrite(container, arrays[0]):
            raise ValueError("it cannot be written to: give set_weights as well")
        return
    _fill(container, iter(arrays), "")


def _fill(node: Any, arrays: Iterator[Array], path: str) -> None:
    for key, value in _parts(node) or []:
        where = f"{path}[{key!r}]"
        if _items(value) is not None:
            _fill(value, arrays, where)
            continue
        new = next(arrays, None)
        if new is None:
            raise ValueError(f"{where} was not there before: expected as many arrays as at first")
        if overwrite(value, new):
            continue
        if _takes(value, new):
            raise ValueError(f"{where} is read-only: give set_weights as well")
        if is_ndarray(value) and new.dtype.kind == "c" != value.dtype.kind:
            raise ValueError(f"{where} is an array of real numbers")
        if isinstance(node, tuple):
            raise ValueError(f"{where} cannot be set in a tuple: give set_weights as well")
        node[key] = _like(value, new)


def overwrite(value: Any, new: Array) -> bool:
    """Write numbers into an array, or lists of numbers, that are there; return whether it can be.

    A list around them may be made anew at every call, so it does not do to put others into it.
    """
    if _takes(value, new) and value.flags.writeable:
        value[...] = new
        return True
    rows = _rows(value, new)
    if rows is not None:
        for row, numbers in rows:
            row[:] = numbers.tolist()
        return True
    if not is_tensor(value) or np.shape(value) != new.shape:
        return False
    if hasattr(value, "detach"):  # PyTorch: behind the back of its automatic differentiation
        value.detach().copy_(as_tensor(new, value.detach()))
        return True
    if hasattr(value, "assign"):  # a Variable of TensorFlow or Keras
        value.assign(new)
        return True
    return False  # what cannot be changed, as JAX's


def _rows(value: Any, new: Array) -> list[tuple[list[Any], Array]] | None:
    """Return the innermost lists of numbers of a vector or matrix, each with its new numbers.

    None where there are others than lists, or one list stands for several rows.
    """
    if not _is_row(value) or not _is_numeric(value) or np.shape(value) != new.shape:
        return None
    if new.ndim == 1:
        return [(value, new)]
    rows = [row for row in value if _is_row(row)]
    if len({id(row) for row in rows}) < len(value):
        return None
    return list(zip(rows, new, strict=True))


def _is_row(value: Any) -> TypeGuard[list[Any]]:
    return isinstance(value, list)


def _takes(value: Any, new: Array) -> bool:
    """Return whether new numbers can be written into an array that is there."""
    return is_ndarray(value) and value.shape == new.shape and value.dtype.kind == new.dtype.kind


def same(one: list[Array], other: list[Array]) -> bool:
    """Return whether two lists of arrays are equal bit for bit (a NaN equals itself)."""
    return len(one) == len(other) and all(
        a.shape == b.shape and np.array_equal(a, b, equal_nan=True)
        for a, b in zip(one, other, strict=True)
    )
