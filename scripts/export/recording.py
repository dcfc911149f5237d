"""A formula of this project, worked out as far as a layer's settings allow.

``LSTM.compute`` serves every LSTM: it asks for settings that are known as soon as there is a layer,
and computes with arrays that are not known before the network is used. A :class:`Recorder` runs it
with the settings as they are and with symbols for the arrays. So ``if self.use_bias`` leaves one of
its branches, and what is done to the symbols is written down as statements. What the function calls
is run likewise and written in the same place, but an activation function gets a definition of its
own. What comes out is the very formula that trains and is compared with Keras's, for one layer. (In
the literature: partial evaluation, by tracing.)

Every variable that is written has a name of its own, such as ``z·3``; ``tidying`` gives it back the
name that it has in the source. Arrays are not written to: what NumPy writes into ``out``, or a rule
into its arguments, is the new value of these symbols from there on.
"""

import ast
import inspect
import itertools
import math
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from types import FunctionType, MethodType, ModuleType
from typing import Any, TypeAlias

import numpy as np

from numpy_impl.activations import ActivationFunction
from numpy_impl.fused import Rule
from numpy_impl.layers import Layer

from .calls import written_call
from .rewriting import MARK, is_rewritten, rewritten
from .symbolic import Listed, NotSpecializable, Symbolic, axes_of, call_of, lift

# A variable of a loop, or a tuple of them.
Pattern: TypeAlias = "str | tuple[Pattern, ...]"
# Gives a function, for what is known of its arguments, a definition of its own, under a name like
# the one that it gets, which it returns.
Define = Callable[[FunctionType, str, Mapping[str, Any]], str]


class Recorder:
    """Runs functions with some values known, and writes down the rest.

    Args:
        define: Defines the functions that are not written in place.

    Attributes:
        statements: What was written down.
        bases: For each variable, its name in the source.
        names: For some, a better one, by which whoever called for it goes on.
        temporary: Variables that the source has no name for.
        inner: What a layer inside another gives for its inputs; None if there is none.
    """

    def __init__(self, define: Define) -> None:
        self._define = define
        self.statements: list[ast.stmt] = []
        self.bases: dict[str, str] = {}
        self.names: dict[str, str] = {}
        self.temporary: set[str] = set()
        self.inner: Callable[[Layer, Any], Any] | None = None
        self._returned: set[str] = set()
        self._block = self.statements

    # Statements and variables

    def write(self, statement: ast.stmt) -> None:
        """Add a statement to the block that is being written."""
        self._block.append(statement)

    @contextmanager
    def _inside(self, outer: ast.stmt, block: list[ast.stmt]) -> Generator[None]:
        """Write an outer statement, and what follows into a block of it."""
        self.write(outer)
        above, self._block = self._block, block
        try:
            yield
        finally:
            self._block = above

    def _variable(self, base: str, temporary: bool = False) -> Symbolic:
        """Return a new variable."""
        name = f"{base}{MARK}{len(self.bases)}"
        self.bases[name] = base
        if temporary:
            self.temporary.add(name)
        return Symbolic(self, ast.Name(name))

    def _assigned(self, value: Any, base: str, temporary: bool = False) -> Symbolic:
        """Return a new variable to which a value is assigned."""
        new = self._variable(base, temporary)
        new.axes = axes_of(value)
        self.write(ast.Assign([new.node], lift(value)))
        return new

    def name(self, value: Any, base: str, temporary: bool = False) -> None:
        """Let the symbols in a value be variables from here on.

        Args:
            value: A symbol, or values that may have some among them.
            base: What the source calls it.
            temporary: Whether it has no name there that says what it is.
        """
        if isinstance(value, tuple | list):
            for item in value:
                self.name(item, base, temporary=True)
        if not isinstance(value, Symbolic) or isinstance(value.node, ast.Starred):
            return
        if not isinstance(value.node, ast.Name):
            value.node = self._assigned(value, base, temporary).node
        elif not temporary and value.node.id in self.temporary | self._returned:
            self.names.setdefault(value.node.id, base)

    # Calls

    def call(self, function: Any, /, *given: Any, **named: Any) -> Any:
        """Call anything; write down what is left of it.

        Raises:
            NotSpecializable: It does something that is not understood.
        """
        if isinstance(function, Symbolic):
            return function(*given, **named)
        if isinstance(function, Rule):
            return self._rule(function, given)
        if isinstance(function, ActivationFunction):
            return self._activation(function, given[0])
        owner = getattr(function, "__self__", None)
        if self.inner is not None and isinstance(owner, Layer) and function.__name__ == "forward":
            return self.inner(owner, given[0])
        own = inspect.unwrap(function)
        if not isinstance(own, FunctionType | MethodType) or not _is_ours(own):
            return self._result(function, given, named)
        formula = own.__module__ == ActivationFunction.__module__
        if isinstance(own, FunctionType) and formula and own.__qualname__.isidentifier():
            return self._own_function(own, own.__name__.strip("_"), *given, **named)
        return self.run(own, *given, **named)

    def run(self, function: Callable[..., Any], /, *given: Any, **named: Any) -> Any:
        """Run a function or method of the project, in place; raises as for :meth:`call`."""
        function = inspect.unwrap(function)
        if isinstance(function, MethodType):
            function, given = function.__func__, (function.__self__, *given)
        bound = inspect.signature(function).bind(*given, **named)
        bound.apply_defaults()
        count = len(self.bases)
        for name, value in bound.arguments.items():
            self.name(value, name, temporary=True)
        result = rewritten(function, self)(*bound.args, **bound.kwargs)
        # Whoever called it may have a better name for what it returns; what is behind an output is
        # for the way back.
        first = result[0] if isinstance(result, tuple | list) and result else result
        nodes = [leaf.node for leaf in leaves(first) if isinstance(leaf, Symbolic)]
        names = {node.id for node in nodes if isinstance(node, ast.Name)}
        self._returned |= names & {*list(self.bases)[count:]}
        return result

    def _result(self, function: Any, given: Sequence[Any], named: Mapping[str, Any]) -> Any:
        """Return what a function of NumPy's or Python's returns, or write down its call."""
        first = given[0] if given else None
        if function is len and isinstance(first, Symbolic) and first.axes is not None:
            return first.length(0)
        if function is itertools.product:
            return Listed(list(function(*given)), call_of(ast.Name("product"), given, {}))
        if _is_of_numpy(function):
            kept = {name: value for name, value in named.items() if name != "out"}
            result = written_call(self, function, given, kept)
            if isinstance(named.get("out"), Symbolic):
                self._become(named["out"], result)
            return result
        # tuple and zip take what has symbols in it, but math.prod does not.
        owner = getattr(function, "__self__", None)
        parts = leaves(given) if owner is math else given
        method = owner is not None and not isinstance(owner, ModuleType)
        if not method and any(isinstance(part, Symbolic) for part in parts):
            return written_call(self, function, given, named)
        return function(*given, **named)

    def _rule(self, rule: Rule, given: Sequence[Any]) -> None:
        result = self.run(rule.formula, *given[: len(rule.kinds)])
        results = [result] if len(rule.places) == 1 else result
        for place, new in zip(rule.places, results, strict=True):
            self._become(given[place], new)

    def _become(self, array: Symbolic, new: Symbolic) -> None:
        """Let an array that was written into be what it was given."""
        self.name(new, self.bases[array.node.id] if isinstance(array.node, ast.Name) else "out")
        array.node, array.axes = new.node, new.axes

    def _activation(self, function: ActivationFunction, z: Any) -> Any:
        if function.name == "linear":
            return z
        formula: Any = function.value
        if not isinstance(formula, FunctionType):
            return written_call(self, formula, [z], {})
        # "leaky_relu(0.01)" has its constant in it.
        return self._own_function(formula, function.name.partition("(")[0], z)

    def _own_function(
        self, function: FunctionType, name: str, /, *given: Any, **named: Any
    ) -> Symbolic:
        """Call a function that gets a definition of its own."""
        arguments = inspect.signature(function).bind(*given, **named).arguments
        name = self._define(function, name, arguments)
        taken = [value for value in arguments.values() if isinstance(value, Symbolic)]
        return taken[0].but(call_of(ast.Name(name), taken, {}), taken[0].axes)

    # What a rewritten function asks

    @contextmanager
    def within(self, context: Symbolic) -> Generator[None]:
        """Write down a ``with`` and what is done in it."""
        outer = ast.With([ast.withitem(lift(context))], [])
        with self._inside(outer, outer.body):
            yield

    @contextmanager
    def branch(self, test: Any) -> Generator[bool]:
        """Say whether a branch without ``else`` is taken; write it down if that is not known.

        It has to end with an error then: all that follows is computed where it was not taken.
        """
        if not isinstance(test, Symbolic):
            yield bool(test)
            return
        written = ast.If(test.node, [], [])
        try:
            with self._inside(written, written.body):
                yield True
        except NotSpecializable:
            raise
        except ValueError as error:
            written.body.append(ast.Raise(call_of(ast.Name("ValueError"), error.args, {})))
        else:
            test = ast.unparse(written.test)
            raise NotSpecializable(f"Expected an error at the end. Received: if {test}")

    @contextmanager
    def loop(
        self, over: Any, pattern: Pattern, variables: Mapping[str, Any],
        assigned: Sequence[str], added: Sequence[str],
    ) -> "Generator[Loop]":  # fmt: skip
        """Give the rounds of a loop; one over a range or a symbol is written down in one.

        Args:
            over: What it goes over.
            pattern: Its variables.
            variables: Those of the function before it.
            assigned: Which are assigned in it.
            added: Which lists are added to in it.
        """
        if not isinstance(over, range | Symbolic):
            yield Loop(self.items(over, pattern))
            return
        loop = Loop([self._new(pattern)])
        for name in added:
            if isinstance(variables.get(name), tuple | list):
                loop.carried[name] = self._assigned(variables[name], name)
        # What the loop assigns has a place that each round reads and writes again.
        state = [name for name in assigned if name in variables]
        for name in state:
            start = loop.carried.get(name, variables[name])
            place = partial(self._assigned, base=name, temporary=True)
            loop.carried[name] = mapped(start, place)
        written = ast.For(lift(loop.rounds[0]), lift(over), [], [])
        with self._inside(written, written.body):
            yield loop
            if loop.after is None:
                raise NotSpecializable("Expected no return in a loop. Received: one")
            places = [*leaves([loop.carried[name] for name in state])]
            values = [*leaves([loop.after[name] for name in state])]
            if len(places) != len(values):
                raise NotSpecializable("Expected a state of the same parts. Received: another")
            if places:
                self.write(ast.Assign([lift(one_or_tuple(places))], lift(one_or_tuple(values))))
        rest = iter(places)
        for name in state:
            loop.carried[name] = mapped(
                loop.after[name], lambda part: Symbolic(self, next(rest).node, axes_of(part))
            )

    def items(self, over: Any, pattern: Pattern) -> list[Any]:
        """Return what is gone over in rounds one by one."""
        if isinstance(over, Symbolic):
            raise NotSpecializable(f"Expected a known length. Received: {ast.unparse(over.node)}")
        found = list(over)
        for item in found:
            self._name_parts(item, pattern)
        return found

    def comprehension(
        self, over: Any, pattern: Pattern, rounds: Callable[[Any], list[Any]], lazy: bool
    ) -> Any:
        """Return the list of a comprehension, or write it down.

        Args:
            over: What it goes over.
            pattern: Its variables.
            rounds: What makes the list, given what it goes over.
            lazy: Whether it is a generator expression, which becomes a tuple.
        """
        if not isinstance(over, Symbolic):
            found = rounds(self.items(over, pattern))
            return tuple(found) if lazy else found
        count, item = len(self._block), self._new(pattern)
        (element,) = rounds([item])
        if len(self._block) != count:
            first = ast.unparse(ast.fix_missing_locations(self._block[count]))
            raise NotSpecializable(f"Expected one expression for each item. Received: {first}")
        kind = ast.GeneratorExp if lazy else ast.ListComp
        return over.but(kind(lift(element), [ast.comprehension(lift(item), over.node, [], 0)]))

    def _new(self, pattern: Pattern) -> Any:
        """Return new variables in the form of a pattern."""
        return mapped(pattern, self._variable)

    def _name_parts(self, item: Any, pattern: Pattern) -> None:
        if isinstance(pattern, str):
            self.name(item, pattern, temporary=True)
        else:
            for part, place in zip(item, pattern, strict=True):
                self._name_parts(part, place)


@dataclass
class Loop:
    """The rounds of a loop, as a rewritten function asks for them.

    Attributes:
        rounds: What its variables are in each.
        carried: What some variables of the function are from here on.
        after: The function's variables at the end of the last round.
    """

    rounds: list[Any]
    carried: dict[str, Any] = field(default_factory=dict[str, Any])
    after: Mapping[str, Any] | None = None


def mapped(value: Any, function: Callable[[Any], Any]) -> Any:
    """Return a value of the same form, each of whose parts is what a function makes of it."""
    if isinstance(value, tuple | list):
        return type(value)(mapped(item, function) for item in value)
    return function(value)


def leaves(value: Any) -> Iterator[Any]:
    """Yield the parts of a value that have no parts."""
    if isinstance(value, tuple | list):
        for item in value:
            yield from leaves(item)
    else:
        yield value


def one_or_tuple(values: list[Any]) -> Any:
    return values[0] if len(values) == 1 else tuple(values)


def _is_ours(function: FunctionType | MethodType) -> bool:
    package = function.__module__.partition(".")[0]
    return package in ("numpy_impl", "parity") or is_rewritten(function)


def _is_of_numpy(function: Any) -> bool:
    owner = getattr(function, "__self__", None)
    module = getattr(function, "__module__", None) or ""
    return isinstance(owner, np.ufunc) or module.partition(".")[0] == "numpy"
