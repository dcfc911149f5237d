"""The user's callables, run with care: what they hold is put back, and their errors stay theirs."""

import io
import sys
import traceback
import warnings
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from copy import copy
from dataclasses import dataclass
from typing import Any, TypeGuard, cast

import numpy as np

from numpy_impl.types import Array, Shape
from parity.candidate import Candidate
from parity.checking.asking import current, nested
from parity.checking.bugs.findings import Finding, Unreadable
from parity.checking.bugs.table import ALIASING, EXCEPTION, UNUSABLE_ANSWER
from terminal_io import Interrupted

# What is called with samples of our shapes may be right, and want them in others.
_WITH_SAMPLES = ("forward", "gradients", "step", "loss")
_OR_SAY = (
    "; if your code wants its samples in another shape, say so: samples=..., labels=... or "
    "batch_size=..."
)


_OTHER_ARRAY = "the caller's array is another one after the call"


class TheirError(Unreadable):
    """An exception that the user's own code raised, or an answer of theirs that is unusable.

    Attributes:
        callable_name: Which callable.
        reason: One line.
        trace: Their part of the traceback; empty where the answer itself is at fault.
    """

    def __init__(self, callable_name: str, reason: str, trace: str = "") -> None:
        bug = EXCEPTION if trace else UNUSABLE_ANSWER
        values = {
            "callable": callable_name,
            "or_say": _OR_SAY if callable_name in _WITH_SAMPLES else "",
        }
        super().__init__(Finding(bug, callable_name, values, reason, trace))
        self.callable_name = callable_name
        self.reason = reason
        self.trace = trace

    @property
    def words(self) -> str:
        """The exception in its own words, without how the callable was called."""
        return self.reason.partition(" (called as ")[0]


def lowest(*dtypes: np.dtype) -> np.dtype:
    """Return the least precise of some dtypes; float64 at most, in which bounds are computed."""
    return min((np.dtype(np.float64), *dtypes), key=lambda dtype: -np.finfo(dtype).eps)


@dataclass
class Placing:
    """How weights are handed over, which is one for a candidate and those that are made like it.

    Attributes:
        in_place: Whether they are written into the user's arrays; else set_weights is called.
        restarts: Whether set_weights is known to start anew what a step keeps.
    """

    in_place: bool
    restarts: bool = False

    @property
    def interrupts(self) -> bool:
        """Whether no weights can be handed over without a start anew of what a step keeps."""
        return self.restarts and not self.in_place


class Subject:
    """A candidate, called with copies and answered in arrays.

    Args:
        candidate: The user's callables.
        renew: Makes them anew, so that a step's state is as at the beginning; None if nothing does.
        avoid: Batch sizes that are not to be tried.
    """

    def __init__(
        self,
        candidate: Candidate,
        renew: Callable[[], Candidate] | None = None,
        avoid: Iterable[int] = (),
    ) -> None:
        self.candidate = candidate
        self.renew = renew
        self.avoid = frozenset(avoid)
        self._keeps_its_rate = candidate.keeps_its_rate
        self.keeps_state = False
        self.placing = Placing(candidate.set_weights is None)
        container = self._container()
        found = self._leaves("get_weights", container)
        if not found and candidate.get_weights is not None:
            raise TheirError("get_weights", "expected arrays. Received: none")
        self.names = [f"weights{leaf.path}" for leaf in found]
        self.tensor = next((leaf.value for leaf in found if nested.is_tensor(leaf.value)), None)
        self.wants_tensors = False
        arrays = self._arrays("get_weights", container)
        self.shapes = [array.shape for array in arrays]
        # Code that follows the weights' precision is checked in float64, where bounds are tight.
        self.dtype = np.result_type(np.float64, *arrays)
        self.own_dtype = np.result_type(*arrays) if arrays else self.dtype
        self.modified: list[str] = []
        self.shared: tuple[str, str, bool] | None = None
        self.history: list[Any] = []
        # Who has set the weights last and knows how they are.
        self.placed: object = None
        self.loss_shape: Shape | None = None
        self.loss_repeats = True
        # Called before every call of gradients.
        self.before_gradients: Callable[[], None] | None = None

    def _container(self) -> Any:
        """Return what get_weights returns; nothing where forward holds the weights itself."""
        get_weights = self.candidate.get_weights
        return [] if get_weights is None else self._call("get_weights", get_weights)

    def fresh(self) -> "Subject":
        """Return one without a history where that can be made, else this one."""
        if self.renew is None:
            return self
        new = Subject(self.renew(), self.renew, self.avoid)
        new.dtype, new.placing = self.dtype, self.placing
        return new

    def weights(self) -> list[Array]:
        """Return copies of the weights as they are now."""
        return self._arrays("get_weights", self._as_before())

    def _as_before(self) -> Any:
        """Return what get_weights returns, which holds as many arrays as at the beginning."""
        container = self._container()
        count = len(self._leaves("get_weights", container))
        if count != len(self.names):
            reason = f"expected {len(self.names)} arrays, as before. Received: {count}"
            raise TheirError("get_weights", reason)
        return container

    def set_weights(self, arrays: Sequence[Array]) -> None:
        """Hand over copies of ``arrays``, in the structure that get_weights returns."""
        self.placed = None
        container = self._as_before()
        copies = [self._cast(array) for array in arrays]
        if self.placing.in_place or self.candidate.set_weights is None:
            try:
                nested.write_in_place(container, copies)
            except ValueError as error:
                raise TheirError("get_weights", str(error)) from error
        else:
            new = nested.rebuilt(container, copies)
            self._call("set_weights", self.candidate.set_weights, new)
        for name, new, now in zip(self.names, arrays, self.weights(), strict=True):
            # A step may leave float64 where set_weights goes on rounding to float32.
            kept = now.dtype if now.dtype.kind == "c" else lowest(now.dtype, self.own_dtype)
            types = dict.fromkeys((now.dtype, kept))
            if not any(np.array_equal(now, np.asarray(new).astype(each)) for each in types):
                raise TheirError(
                    "get_weights" if self.placing.in_place else "set_weights",
                    f"expected get_weights to return what was just set. Received: other values, or "
                    f"another shape, in {name}",
                )

    def start_anew(self, arrays: Sequence[Array]) -> None:
        """Let ``set_weights``, which restarts what a step keeps, do so; forget the steps so far."""
        in_place, self.placing.in_place = self.placing.in_place, False
        try:
            self.set_weights(arrays)
        finally:
            self.placing.in_place = in_place
        self.history.clear()

    def own_arrays(self) -> list[Array] | None:
        """Return the user's very arrays, if all can be written to where they are."""
        if self.candidate.set_weights is not None:
            return None
        found = [leaf.value for leaf in self._leaves("get_weights", self._container())]
        written = [isinstance(a, np.ndarray) and a.flags.writeable for a in found]
        return found if all(written) and all(a.dtype.kind == "f" for a in found) else None

    def _cast(self, array: Array) -> Array:
        return array.copy() if array.dtype.kind == "c" else array.astype(self.dtype)

    def forward(self, x: Array) -> list[Array]:
        """Return the answer of ``forward`` as a list of arrays; the outputs are the last."""
        if self.candidate.forward is None:
            raise TheirError("forward", "expected outputs. Received: no forward is given")
        answer = self._with_inputs("forward", self.candidate.forward, x)
        if _is_tuple(answer) and len(answer) == 2 and nested.is_array(answer[0]):
            # (outputs, cache), as many write it.
            answer = answer if nested.is_array(answer[1]) else answer[0]
        return self._arrays("forward", answer)

    def activations(self, *inputs: Any) -> list[nested.Leaf]:
        """Return the arrays that ``forward`` answers, with the names that they have in it.

        Args:
            inputs: Its arguments: arrays, or a list of them.
        """
        if self.candidate.forward is None:
            raise TheirError("forward", "expected outputs. Received: no forward is given")
        answer = self._with_inputs("forward", self.candidate.forward, *inputs)
        if _is_tuple(answer) and len(answer) == 2 and nested.is_array(answer[0]):
            answer = answer if nested.is_array(answer[1]) else answer[0]  # (outputs, cache)
        found = self._leaves("forward", answer, split=False)
        return [nested.Leaf(path, self._array("forward", path, value)) for path, value in found]

    def gradients(self, x: Array, y: Any) -> list[Array | None]:
        """Return the gradients in the order of the weights; None where one was None."""
        assert self.candidate.gradients is not None
        if self.before_gradients is not None:
            self.before_gradients()
        answer = self._with_inputs("gradients", self.candidate.gradients, x, y)
        if answer is None:
            raise TheirError("gradients", "expected arrays. Received: None")
        container = self._container()
        found = nested.like(answer, container)
        if found is None:
            found = self._matched(self._leaves("gradients", answer))
        self.shared = self.shared or _sharing(found)
        return [None if v is None else self._array("gradients", p, v) for p, v in found]

    def step(self, x: Array, y: Any, learning_rate: float) -> None:
        """Let ``step`` update the weights, at that rate or at its own."""
        assert self.candidate.step is not None
        rates = () if self._keeps_its_rate else (learning_rate,)
        self._with_inputs("step", self.candidate.step, x, y, *rates)

    def rate(self, asked: float) -> float:
        """Return at which learning rate a step goes that is asked for at one."""
        return self.candidate.learning_rate or asked

    def loss(self, x: Array, y: Any) -> Any:
        """Return the user's own loss, a number (complex for complex weights).

        Where it is one number a sample (and output), their sum; ``loss_shape`` is then its shape.
        """
        assert callable(self.candidate.loss)
        answer = self._with_inputs("loss", self.candidate.loss, x, y)
        value = self._array("loss", "", answer)
        if not value.size:
            raise TheirError("loss", f"expected one number. Received: shape {value.shape}")
        self.loss_shape = value.shape if value.size > 1 else None
        return np.sum(value)

    @contextmanager
    def preserved(self) -> Generator[None]:
        """Put the user's weights back at the end, also after an exception."""
        container = self._container()
        before = [leaf.value for leaf in self._leaves("get_weights", container)]
        copies = [nested.to_array(value) for value in before]
        try:
            yield
        finally:
            self._put_back(before, copies)

    def _put_back(self, before: list[Any], copies: list[Array]) -> None:
        # First the very objects that were there, as others may hold them too; then, if the user
        # keeps copies or has rebound, the values.
        for old, saved in zip(before, copies, strict=True):
            if isinstance(old, np.ndarray) and old.flags.writeable:
                old[...] = saved
            else:
                nested.overwrite(old, saved)
        container = self._container()
        if self.candidate.set_weights is not None:
            new = nested.rebuilt(container, before, lambda old, new: new)
            self._call("set_weights", self.candidate.set_weights, new)
        else:
            nested.put(container, before)
            with suppress(TheirError):  # what they have made unreadable cannot be put back
                if not nested.same(self.weights(), copies):
                    nested.write_in_place(container, copies)

    def _matched(self, found: list[nested.Leaf]) -> list[nested.Leaf]:
        """Return a gradient dict's entries in the order of the weights' dict, by their names."""
        names = [name.removeprefix("weights") for name in self.names]
        best: dict[str, nested.Leaf] = {}
        for affixes in nested.AFFIXES:
            renamed = {_renamed(leaf.path, *affixes): leaf for leaf in found}
            if len(set(names) & set(renamed)) > len(set(names) & set(best)):
                best = renamed
        if not any("['" in name for name in set(names) & set(best)):
            return found
        more = [leaf for name, leaf in best.items() if name not in names]
        return [best[name] for name in names if name in best] + more

    def _with_inputs(self, name: str, function: Callable[..., Any], *inputs: Any) -> Any:
        if name != "loss":
            self.placed = None
        given = [self._copied(v) for v in inputs]
        answer = self._in_their_arrays(name, function, given)
        for label, before, after in zip(("x", "y"), inputs, given, strict=False):
            if not _unchanged(before, after) and f"{name} changes {label}" not in self.modified:
                self.modified.append(f"{name} changes {label}")
        return answer

    def _copied(self, value: Any) -> Any:
        """Return a copy of an array, in the precision that is asked in, or of a tuple's arrays."""
        if nested.is_ndarray(value):
            return self._cast(value) if value.dtype.kind == "f" else value.copy()
        if type(value) in (tuple, list):
            return type(value)(self._copied(part) for part in value)
        return copy(value)

    def aliasing(self) -> list[Finding]:
        """Return the arrays that the user's code should have left alone, and has changed."""
        return [
            Finding(ALIASING, change.split()[0], {"change": change}, _OTHER_ARRAY)
            for change in reversed(self.modified)
        ]

    def _in_their_arrays(self, name: str, function: Callable[..., Any], given: list[Any]) -> Any:
        """Call with NumPy's arrays, or with those of the weights' library where it takes no other.

        The error told is that of the first call.
        """
        if not self.wants_tensors:
            try:
                return self._call(name, function, *given)
            except TheirError:
                if self.tensor is None:
                    raise
                with suppress(TheirError):
                    answer = self._call(name, function, *self._tensors(given))
                    self.wants_tensors = True
                    return answer
                raise
        return self._call(name, function, *self._tensors(given))

    def _tensors(self, given: list[Any]) -> list[Any]:
        return [nested.as_tensor(v, self.tensor) if nested.is_ndarray(v) else v for v in given]

    def _call(self, name: str, function: Callable[..., Any], *arguments: Any) -> Any:
        return called(name, function, *arguments)

    def _leaves(self, name: str, container: Any, split: bool = True) -> list[nested.Leaf]:
        try:
            return nested.leaves(container, split)
        except (ValueError, RecursionError) as error:
            raise TheirError(name, str(error)) from error

    def _arrays(self, name: str, container: Any) -> list[Array]:
        found = self._leaves(name, container, split=name != "forward")
        return [self._array(name, path, value) for path, value in found]

    def _array(self, name: str, path: str, value: Any) -> Array:
        try:
            return nested.to_array(value)
        except ValueError as error:
            raise TheirError(name, f"{path} {error}".strip()) from error


def _unchanged(before: Any, after: Any) -> bool:
    """Return whether arrays are as they were, also those in tuples and lists."""
    if nested.is_ndarray(before):
        own = before.astype(after.dtype, copy=False)
        if np.array_equal(own, after):
            return True
        return own.dtype.kind == "f" and np.array_equal(own, after, equal_nan=True)
    if type(before) in (tuple, list) and type(after) is type(before):
        some, others = cast(Sequence[Any], before), cast(Sequence[Any], after)
        return len(some) == len(others) and all(map(_unchanged, some, others))
    return True


def called(name: str, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """Call the user's code: what it prints is dropped, and its exception is one of theirs.

    Args:
        name: What to call it in a report.
        function: The user's.
        arguments: Handed over as they are.
        named: Handed over by their names.

    Raises:
        TheirError: It raised something.
    """
    limit = sys.getrecursionlimit()
    with (
        current.awaiting(f"{name} to return"),
        warnings.catch_warnings(),
        np.errstate(all="ignore"),
        # It has a buffer as the real one has.
        redirect_stdout(io.TextIOWrapper(io.BytesIO(), "utf-8", "backslashreplace")),
    ):
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", np.exceptions.ComplexWarning)
        try:
            try:
                return function(*arguments, **named)
            finally:  # before anything of ours is called, which may need more
                sys.setrecursionlimit(max(limit, sys.getrecursionlimit()))
        except (KeyboardInterrupt, Interrupted, TheirError):  # the last: a call within this one
            raise
        except BaseException as error:  # also SystemExit, GeneratorExit, pytest.skip: all theirs
            given = [*map(_short, arguments), *(f"{k}={_short(v)}" for k, v in named.items())]
            reason = f"{_said(error)} (called as {name}({', '.join(given)}))"
            raise TheirError(name, reason, _their_part(error)) from error


def _sharing(found: list[nested.Leaf]) -> tuple[str, str, bool] | None:
    """Return two arrays that are the same memory, or copies of it made in the end; and which."""
    arrays = [leaf for leaf in found if nested.is_ndarray(leaf.value) and leaf.value.size]
    for i, one in enumerate(arrays):
        for other in arrays[:i]:
            if one.value.shape != other.value.shape:
                continue
            together = np.may_share_memory(one.value, other.value)
            copied = one.value.size > 1 and np.any(one.value) and np.all(one.value == other.value)
            if copied or together:
                return other.path, one.path, together
    return None


def _renamed(path: str, before: str, behind: str) -> str:
    """Return the path of "dW1" as that of "W1"."""
    head, start, rest = path.rpartition("['")
    key, end, tail = rest.partition("']")
    if not (start and key.startswith(before) and key.endswith(behind)):
        return path
    return f"{head}{start}{key.removeprefix(before).removesuffix(behind)}{end}{tail}"


def _is_tuple(value: Any) -> TypeGuard[tuple[Any, ...]]:
    return isinstance(value, tuple)


def _short(argument: object) -> str:
    shape = getattr(argument, "shape", None)
    if nested.is_ndarray(argument):
        return f"{argument.dtype} array of shape {shape}"
    kind = type(argument)
    return (
        kind.__name__ if shape is None and issubclass(kind, list | tuple) else repr(argument)[:60]
    )


def _said(error: BaseException) -> str:
    kind = type(error).__name__
    try:
        return f"{kind}: {error}"
    except KeyboardInterrupt:
        raise
    except BaseException:  # its own __str__ fails, or ends Python
        return kind


def _their_part(error: BaseException) -> str:
    """Return the traceback from the first frame that is not ours."""
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [f for f in frames if not f.filename.endswith("parity/checking/asking/subject.py")]
    lines = traceback.format_list(theirs) + traceback.format_exception_only(error)
    return "".join(lines).rstrip()
