"""What a user's own network must offer to be checked: a few callables, in its own conventions."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from inspect import signature
from numbers import Real
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

if TYPE_CHECKING:
    from numpy.random import Generator

Samples = Literal["rows", "columns", "single"]
Kernel = Literal["in-out", "out-in"]
Bias = Literal["separate", "folded-first", "folded-last", "none"]
Labels = Literal["one-hot", "integer"]
WeightDecay = float | Sequence[float | Sequence[float]]


class CandidateError(ValueError):
    """What was given to :class:`Candidate` is no network that could be checked."""


# What the callables are called with; forward takes any number of inputs.
_ARGUMENTS = {
    "get_weights": (),
    "set_weights": ("arrays",),
    "gradients": ("x", "y"),
    "step": ("x", "y", "learning_rate"),
    "loss": ("x", "y"),
}


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A from-scratch network, seen through its callables, for :func:`parity.check`.

    Arrays stay in the user's own shapes, order and dtype; nothing has to be transposed for us. They
    may be PyTorch's tensors or TensorFlow's variables: what takes no NumPy arrays gets these. The
    conventions below the callables are found out by probing; give one only to fix it.

    Args:
        get_weights: ``() -> arrays``: a list, tuple, dict or nested list of arrays (nested lists
            of Python numbers also), or one array that holds all weights. Called again each time,
            so that rebinding is seen. None for ``forward`` alone, where it holds the weights of a
            Keras reference itself.
        set_weights: ``(arrays) -> None``: takes over new values in the structure that
            ``get_weights`` returns. None: they are written into the arrays of ``get_weights``.
        forward: ``(x) -> outputs``, or a list of every layer's activations with the output last.
            Beside a Keras reference of any layers also a dict of them; several inputs are
            arguments, or one list. Dropout is inactive here. Needed unless ``loss`` is a callable.
        gradients: ``(x, y) -> arrays`` in the order and shapes of the weights; None for one that
            is not written yet.
        step: ``(x, y, learning_rate) -> None``: one update of the weights, in place or by
            rebinding; or ``(x, y) -> None`` with the rate inside, which ``learning_rate`` or
            ``optimizer`` then says. Without it and ``gradients``, ``forward`` alone is compared,
            with a reference.
        loss: ``(x, y) -> number``, the user's own; or the name of the loss whose gradient this is
            meant to be: one of ``numpy_impl.losses.LOSSES``, averaged over the batch as Keras
            does, or with "/sum" behind it summed.
        optimizer: What ``step`` is meant to be: a Keras or ``numpy_impl`` optimizer, or its text,
            "SGD(momentum=0.9)", what is not said having Keras's default; the name of one ("sgd",
            "adamw"...), its settings open; or one of PyTorch's with its options,
            "torch.SGD(momentum=0.9)", what is not said having PyTorch's; None: found out.
        learning_rate: By which ``step(x, y)`` goes, where it takes none and no ``optimizer`` says
            it.
        samples: How ``x`` and ``y`` lie: in "rows", in "columns", or one a call ("single").
        kernel: Shape of a kernel: "in-out" (inputs, units) or "out-in".
        bias: "separate" arrays, "folded-first" or "folded-last" (the first or last row or column
            of the kernel, the input being extended by a 1), or "none".
        labels: ``y`` as "one-hot" vectors or as "integer" class numbers.
        weight_decay: The multiple of the kernel itself (L2) that its gradient contains: one number
            for all kernels, or one a layer, ``(0.1, 0.0)``; a pair in that place is (kernel, bias),
            ``((0.1, 0.1), 0.0)``. It is the number before ``W`` in the gradient: λ for a penalty of
            λ/2 ``sum(W**2)``, 2λ for one of λ ``sum(W**2)``. λ is also right where the code divides
            it by the batch size (λ/m ``W``), which the report then says.
        batch_size: Samples a call, for code that fixes it.
        data: ``(x, y)``, or ``(rng) -> (x, y)`` for others each time: samples of the user's own
            kind, for networks that are no chain of dense layers (pictures, sequences, class
            numbers). Such networks are checked against the derivative of ``loss``, a callable.
        layer_map: For ``forward`` alone beside a Keras reference: which of its layers each of the
            activations is that ``forward`` returns, ``{your key: Keras's name}``.
        name: What to call it in the report.

    Raises:
        CandidateError: A convention that is none of the above, too few callables, or a weight
            decay that is no number. It is a ValueError.
    """

    get_weights: Callable[[], Any] | None = None
    forward: Callable[[Any], Any] | None = None
    set_weights: Callable[[Any], Any] | None = None
    gradients: Callable[[Any, Any], Any] | None = None
    step: Callable[..., Any] | None = None
    loss: Callable[[Any, Any], Any] | str | None = None
    optimizer: Any = None
    learning_rate: float | None = None
    samples: Samples | None = None
    kernel: Kernel | None = None
    bias: Bias | None = None
    labels: Labels | None = None
    weight_decay: WeightDecay | None = None
    batch_size: int | None = None
    data: tuple[Any, Any] | Callable[["Generator"], tuple[Any, Any]] | None = None
    layer_map: Mapping[Any, str] | None = None
    name: str = "your network"

    def __post_init__(self) -> None:
        allowed = {"samples": Samples, "kernel": Kernel, "bias": Bias, "labels": Labels}
        for field, kind in allowed.items():
            value, values = getattr(self, field), get_args(kind)
            if value is not None and value not in values:
                raise CandidateError(
                    f"Candidate: expected {field} to be one of {', '.join(values)}. "
                    f"Received: {value!r}"
                )
        for field in ("get_weights", "set_weights", "forward", "gradients", "step"):
            value = getattr(self, field)
            needed = field == "forward" and not callable(self.loss)
            needed = needed or (field == "get_weights" and not self.forward_alone)
            if not callable(value) and (needed or value is not None):
                raise CandidateError(f"Candidate: expected a callable {field}. Received: {value!r}")
        for field, arguments in _ARGUMENTS.items():
            value = getattr(self, field)
            given = _other_arguments(value, arguments) if callable(value) else None
            if given is not None and not (field == "step" and self.keeps_its_rate):
                raise CandidateError(
                    f"Candidate: expected {field}({', '.join(arguments)}). Received: {field}{given}"
                )
        rate = self.learning_rate
        if rate is not None and not (_is_number(rate) and rate > 0):
            raise CandidateError(
                f"Candidate: expected learning_rate to be a positive number. Received: {rate!r}"
            )
        if rate is not None and not self.keeps_its_rate:
            raise CandidateError(
                "Candidate: expected learning_rate beside step(x, y), which has it inside. "
                + ("Received: no step" if self.step is None else "Received: a step that takes it")
            )
        if not (self.data is None or callable(self.data) or _is_pair(self.data)):
            raise CandidateError(
                "Candidate: expected data to be a pair (x, y), or a function of a random generator "
                f"that returns one. Received: {type(self.data).__name__}"
            )
        if self.loss is not None and not isinstance(self.loss, str) and not callable(self.loss):
            raise CandidateError(
                f"Candidate: expected loss to be a callable or a name. Received: {self.loss!r}"
            )
        if not _is_decay(self.weight_decay):
            raise CandidateError(
                "Candidate: expected weight_decay to be a finite number, or a sequence of one "
                "number or (kernel, bias) pair a layer. "
                f"Received: {self.weight_decay!r}"
            )

    @property
    def keeps_its_rate(self) -> bool:
        """Whether ``step`` takes no learning rate, but has its own."""
        if self.step is None or _other_arguments(self.step, _ARGUMENTS["step"]) is None:
            return False
        return _other_arguments(self.step, ("x", "y")) is None

    @property
    def forward_alone(self) -> bool:
        """Whether there is nothing but ``forward`` to compare."""
        return self.gradients is None and self.step is None and not callable(self.loss)


def _other_arguments(function: Callable[..., Any], arguments: tuple[str, ...]) -> str | None:
    """Return a function's own parameters where it cannot be called with so many arguments."""
    try:
        own = signature(function)
    except Exception:  # a built-in function that does not say, or theirs that says nonsense
        return None
    try:
        own.bind(*arguments)
    except TypeError:
        return f"({', '.join(str(p) for p in own.parameters.values())})"
    return None


def _is_pair(given: Any) -> bool:
    return isinstance(given, tuple) and len(cast(tuple[Any, ...], given)) == 2


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and math.isfinite(value)


def _is_decay(given: WeightDecay | None) -> bool:
    """Return whether this can be declared as weight decay."""

    if given is None or _is_number(given):
        return True
    return isinstance(given, list | tuple) and all(
        _is_number(entry)
        or (isinstance(entry, list | tuple) and len(entry) == 2 and all(map(_is_number, entry)))
        for entry in given
    )
