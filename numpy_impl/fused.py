"""Element-wise formulas, written once as functions of numbers and run over whole arrays.

A *rule* is a function of a few lines in NumPy's own functions::

    @rule("w", "m")
    def momentum(w: Each, g: Each, m: Each, lr: Same, mu: Same) -> Any:
        m = m * mu - g * lr
        return w + m, m

The names in ``rule`` say where what it returns goes: into the arguments of these names, in place,
or into arrays that are handed over behind the arguments. ``Each`` is an element of an array,
``Same`` a number for all, and ``Row`` an element of a vector that is the same for every row: of
biases, one for each unit.

NumPy evaluates a rule line by line, with an array for each operation. Once that has taken half a
second in a program, the rules that are met from there on are compiled by Numba, if it is installed,
to one loop over the elements (``numpy_impl.compiling``). A thread does that, and its results are
taken when they are there: nothing waits for a compiler, and a program that is done in a moment
never loads it.

Both ways give the same bits, so that it does not matter when. That is so because both round after
every operation, in the arrays' precision, and because a rule has nothing in it but arithmetic,
comparisons and a few functions (``compiling.SAFE``): libraries agree on these, and on no ``exp`` or
``tanh``, which are therefore calls of NumPy's own, outside of rules.
"""

import time
from collections.abc import Callable, Sequence
from typing import Annotated, Any, ClassVar

import numpy as np

# What an argument of a rule is.
Each = Annotated[Any, "each"]
Row = Annotated[Any, "row"]
Same = Annotated[Any, "same"]

# Elements of long vectors that NumPy evaluates a rule for at a time: what it makes meanwhile then
# stays in the cache. Measured: half or twice as many are slower.
BLOCK = 65_536
# Seconds that NumPy spends on rules before they are compiled, which takes about as long.
PATIENCE = 0.5


class Rule:
    """A formula that can be run over arrays.

    Attributes:
        formula: The function of numbers itself.
        kinds: For each of its arguments, ``Each``, ``Row`` or ``Same``.
        rows: Those that are ``Row``.
        numbers: Those that are ``Same``.
        names: The arguments of a call: those of the formula, and the arrays it writes to as well.
        places: Which of these arguments are written.
        kernels: What was compiled, by axes and dtype; None while it is not ready.
        seconds: How long NumPy has evaluated rules so far, all together.
    """

    seconds: ClassVar[float] = 0.0

    def __init__(self, formula: Callable[..., Any], writes: tuple[str, ...]) -> None:
        self.formula = self.__wrapped__ = formula
        self.kinds: dict[str, Any] = dict(formula.__annotations__)
        self.kinds.pop("return", None)
        self.rows = [name for name, kind in self.kinds.items() if kind is Row]
        self.numbers = [name for name, kind in self.kinds.items() if kind is Same]
        self.names = list(dict.fromkeys([*self.kinds, *writes]))
        self.places = [self.names.index(name) for name in writes]
        self.kernels: dict[tuple[int, str], Callable[..., None] | None] = {}

    def __call__(self, *arguments: Any) -> None:
        """Run the rule over arrays of one shape and dtype, and numbers, and write what it returns.

        Args:
            arguments: Those of the formula, an array first, and then the arrays that it writes to
                beside them.

        Raises:
            ValueError: Arrays of different shapes.
        """
        first = arguments[0]
        key = first.ndim, first.dtype.char
        kernel = self.kernels.get(key)
        if kernel is not None:
            try:
                kernel(*arguments)
            except Exception:  # Numba has errors of its own for arrays of other axes
                self._checked(arguments)
                raise
            return
        if Rule.seconds > PATIENCE and first.ndim and key not in self.kernels:
            from numpy_impl import compiling  # late, as a program may end without

            self.kernels[key] = None
            compiling.begin(self, *arguments)
        start = time.perf_counter()
        self.evaluate(*arguments)
        Rule.seconds += time.perf_counter() - start

    def evaluate(self, *arguments: Any) -> None:
        """Run the rule by NumPy alone; arguments as in a call."""
        given = self._checked(arguments)
        shape = given[0].shape
        if len(shape) != 1 or shape[0] <= BLOCK:
            self._evaluate(given)
            return
        for start in range(0, shape[0], BLOCK):
            part = slice(start, start + BLOCK)
            self._evaluate([v[part] if isinstance(v, np.ndarray) else v for v in given])

    def _checked(self, arguments: Sequence[Any]) -> list[Any]:
        """Return the arguments with numbers as floats; refuse arrays of different shapes."""
        given = list(arguments)
        for i, name in enumerate(self.names):
            if name in self.numbers:
                given[i] = float(given[i])
                continue
            shape = given[0].shape[-1:] if name in self.rows else given[0].shape
            if given[i].shape != shape:
                raise ValueError(f"Expected arrays of one shape. Received: another one as {name}")
        return given

    def _evaluate(self, given: list[Any]) -> None:
        results = self.formula(*given[: len(self.kinds)])
        if len(self.places) == 1:
            results = (results,)
        for place, result in zip(self.places, results, strict=True):
            given[place][...] = result


# All there are, for those who try each.
RULES: list[Rule] = []


def rule(*writes: str) -> Callable[[Callable[..., Any]], Rule]:
    """Make a rule of a function; ``writes`` says where what it returns goes."""

    def make(formula: Callable[..., Any]) -> Rule:
        RULES.append(Rule(formula, writes))
        return RULES[-1]

    return make
