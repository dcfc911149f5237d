"""The search for one change with which gradients are right."""

import ast
import gc
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from itertools import chain
from typing import Any

import numpy as np

from numpy_impl.types import Array
from parity.checking.asking.held import Held
from parity.checking.bugs.findings import Unreadable
from parity.checking.repairing import adjoints, expressions, masks, numbers, twice, updates, whole
from parity.checking.repairing.functions import (
    FIRST_VISITS,
    VISITS_OF_STEPS,
    Editable,
    Effects,
    OutOfTime,
    editable,
    seen,
    within,
)
from parity.checking.repairing.glance import Glance
from parity.checking.repairing.scope import Scope, known_of
from parity.checking.repairing.slots import Change, Statement, statements
from parity.checking.repairing.terms import Terms
from parity.checking.repairing.trial import Trial
from parity.checking.repairing.wording import place, texts

# What the search may cost.
SECONDS, CHANGES = 8.0, 40_000
# Of a machine that others share a search takes no more than so many times its own time.
_SHARED = 2
# A changed function may take so many times as long as the user's own, and so long at least.
_SLOWER, _LEAST_SECONDS = 20, 0.2
# Where a change of the loss mends all, only likelier ones than this may mend all, too.
_LIKELY = 4.0
# What is computed and never read is likely what is missing: so much a change with it goes before.
_UNREAD = 5.0
# Numbers that differ by less are the same: rounding, in whatever order.
_SAME = 1e-9
# What changes the loss itself.
_OfForward = Callable[[Sequence[Statement]], Iterable[tuple[Statement, Change]]]


@dataclass(frozen=True)
class Repair:
    """One change that mends gradients.

    Attributes:
        place: Where, in words.
        old: The statement there.
        new: What it becomes.
        mended: The numbers of the gradients that are right with it, and not without.
        rest: Those that are wrong with it, too.
        of_forward: Whether the loss is another with it.
        moved: Where the statement then stands, in words; "" where it stays.
        of_passes: Whether it is right only if each pass begins with zeros there.
        or_else: By which names a number in it goes as well, in words.
        of_size: Whether it is right on batches of this size alone, as far as is known.
    """

    place: str
    old: str
    new: str
    mended: list[int]
    rest: list[int]
    of_forward: bool = False
    moved: str = ""
    of_passes: bool = False
    or_else: str = ""
    of_size: bool = False


@dataclass
class _Candidate:
    function: Editable
    statement: Statement
    change: Change
    likely: float = 0.0


@dataclass
class Search:
    """A search.

    Args:
        trial: Asks for the gradients.
        seconds: How long it may take.
        only: The places of the statements that are changed; None: all that are reached.

    Attributes:
        tried: How many changes were tried.
        ended: Whether it ended before all were.
        sums: What adds up within a pass of the user's code; told when one begins.
    """

    trial: Trial
    seconds: float = field(default_factory=lambda: SECONDS)
    only: set[tuple[str, int]] | None = None
    tried: int = 0
    ended: bool = False
    sums: twice.Sums = field(default_factory=twice.Sums, init=False)
    _limit: float = field(default=1.0, init=False)
    _own: Sequence[Array] = field(default=(), init=False)
    _right: Sequence[bool] = field(default=(), init=False)
    _scopes: dict[int, Scope] = field(default_factory=dict[int, Scope], init=False)

    def run(self) -> Repair | None:
        """Return the likeliest change with which all gradients are right, or more of them.

        The user's functions have their own code afterwards, and what they hold is as before.
        """
        until = time.thread_time() + self.seconds
        latest = time.monotonic() + _SHARED * self.seconds
        what, of_loss, functions = self._watched()
        own, right = self._own, self._right
        counted = None if self.trial.of_steps else self._in_forward(until, whole.of_loss)
        partly: tuple[_Candidate, list[bool]] | None = None
        of_size: Repair | None = None
        self._glance = glance = Glance(what.moments)
        # What right gradients come of is not where a step is wrong.
        lines = what.lines - of_loss.lines if self.trial.of_steps else what.lines
        lines = lines if self.only is None else lines & self.only
        every = self._candidates(functions, lines, set(of_loss.codes), own, right)
        gc.freeze()  # to walk through all these again and again takes longer than a trial may
        for candidate in every:
            late = time.thread_time() > until or time.monotonic() > latest
            if counted is not None and candidate.likely > _LIKELY:
                break
            if late or self.tried >= CHANGES:
                self.ended = True
                break
            self.tried += 1
            if glance.in_vain(candidate.function, candidate.statement, candidate.change):
                continue
            found = self._tried(candidate)
            if found is None or not _better(found, right):
                continue
            if self.trial.bug_in_part is None and not all(found):
                continue
            if partly is not None and sum(found) <= sum(partly[1]):
                continue
            found = self._tried(candidate, confirm=True)
            if found is None or not _better(found, right):
                continue
            if all(found):
                repair = self._written(candidate, found)
                if not repair.of_size:
                    return repair
                of_size = of_size or repair
                glance.forget(candidate.function, candidate.statement, candidate.change)
                continue
            if partly is None or sum(found) > sum(partly[1]):
                partly = candidate, found
        if of_size is not None:
            return of_size
        if partly is None:
            return counted or self._in_forward(until, whole.axes)
        return self._written(*partly)

    def _written(self, candidate: _Candidate, found: Sequence[bool]) -> Repair:
        """Return a change as it is told: with the name, or the number, that is likelier meant."""
        function, statement, change = candidate.function, candidate.statement, candidate.change
        scope = self._scopes[id(function)]
        value_of = partial(self._glance.number, function, statement)
        every = numbers.options(statement, change, scope, value_of)
        changes = [one.change for one in every] or [change]
        other = [self._elsewhere(replace(candidate, change=one), found) for one in changes]
        or_else = ""
        if len(every) > 1:
            change, or_else = numbers.choice(every, other)
        told = _said(replace(candidate, change=change), found, self._right)
        return replace(told, or_else=or_else, of_size=False in other and True not in other)

    def _elsewhere(self, candidate: _Candidate, found: Sequence[bool]) -> bool | None:
        """Return whether what is right with a change is so on a batch of another size, too."""
        if not self._is_known_elsewhere:
            return None
        with self._changed(candidate) as possible:
            try:
                other = self.trial.elsewhere(self._right) if possible else None
            except _FAILED:
                return False
        return None if other is None else all(o or not f for o, f in zip(other, found, strict=True))

    @cached_property
    def _is_known_elsewhere(self) -> bool:
        """Whether the user's code takes another size, and what is right without a change is there.

        If it does not, that a change is not right there does not come of the change.
        """
        try:
            other = self.trial.elsewhere(self._right)
        except _FAILED:
            return False
        finally:
            self._held.put_back()
        pairs = zip(self._right, other or (), strict=False)
        return other is not None and all(yes for right, yes in pairs if right)

    def lines_of(self, factor: float) -> set[tuple[str, int]]:
        """Return the lines of each statement whose result, times a factor, makes all right."""
        until, found = time.thread_time() + self.seconds, set[tuple[str, int]]()
        what, of_loss, functions = self._watched()
        for function in functions:
            for statement in (
                statements(function.node) if function.code not in of_loss.codes else ()
            ):
                lines = {(function.filename, n) for n in statement.lines}
                blind = statement.compound or isinstance(statement.node, ast.Expr)
                if blind or not lines & what.lines:
                    continue
                if time.thread_time() > until:
                    return set()
                scaled = _scaled(function, statement, factor)
                fits = self._tried(scaled)
                if fits is not None and all(fits):
                    fits = self._tried(scaled, confirm=True)
                if fits is not None and all(fits):
                    found.add((function.filename, statement.node.lineno))
        return found

    def wrong_values(self, seconds: float) -> list[adjoints.Wrong]:
        """Return the values with which, as they should be, all gradients are right."""
        _, _, functions = self._watched()
        put_back = self._held.put_back
        return adjoints.wrong_values(
            self.trial, functions, self._of_loss, put_back, self._right, seconds
        )

    @contextmanager
    def unguarded(self) -> Generator[tuple[list[str], bool]]:
        """Let the loss be without what is added inside of its logarithms.

        Yields what that is, and whether it stands in what computes gradients as well.
        """
        _, of_loss, functions = self._watched()
        left: list[str] = []
        with ExitStack() as stack:
            for function in self._of_loss:
                first, found = next(statements(function.node), None), [*whole.guards(function.node)]
                if first is None or not found:
                    continue
                change = Change(0, tuple((slot, without) for slot, without, _ in found))
                changed = _Candidate(function, first, change)
                if stack.enter_context(self._changed(changed)):
                    left += [ast.unparse(guard) for _, _, guard in found]
            of_gradients = [ast.unparse(f.node) for f in functions if f.code not in of_loss.codes]
            read = any(guard in text for guard in left for text in of_gradients)
            yield list(dict.fromkeys(left)), read

    def _watched(self) -> tuple[Effects, Effects, list[Editable]]:
        """Return what gradients run, and the loss; from here on both can be run with changes."""
        own: list[Array] = []
        visits = VISITS_OF_STEPS if self.trial.of_steps else FIRST_VISITS
        what = seen(lambda: own.extend(self.trial.values()), visits)
        losses: list[Any] = []
        of_loss = seen(lambda: losses.append(self.trial.loss()))
        self._loss = losses[0]
        self._of_loss, functions = editable(of_loss), editable(what)
        self._own, self._right = own, self.trial.fits(own)
        self._limit = max(_LEAST_SECONDS, _SLOWER * what.seconds)
        holders = [f.module for f in functions] + [vars(o) for o in what.objects.values()]
        self._held = Held(holders)
        self.trial.settle(self._held.put_back)
        return what, of_loss, functions

    def _in_forward(self, until: float, kind: _OfForward) -> Repair | None:
        """Return a change of what the loss is made of, with which all gradients are right.

        They may be those of a loss that is meant, as where softmax adds up along the wrong axis.
        """
        for function in self._of_loss:
            for statement, change in kind([*statements(function.node)]):
                if time.thread_time() > until:
                    self.ended = True
                    return None
                self.tried += 1
                candidate = _Candidate(function, statement, change)
                with self._changed(candidate) as possible:
                    try:
                        found = self.trial.fits_its_own_loss() if possible else [False]
                    except _FAILED:
                        continue
                if all(found):
                    return replace(_said(candidate, found, self._right), of_forward=True)
        return None

    def _tried(self, candidate: _Candidate, confirm: bool = False) -> list[bool] | None:
        """Return which gradients are right with a change; None where it cannot be run."""
        with self._changed(candidate) as possible:
            if not possible:
                return None
            values = self._values()
            if values is None:
                return None
            found = self.trial.fits(values)
            if confirm:
                try:
                    found = [a and b for a, b in zip(found, self.trial.confirmed(), strict=True)]
                except _FAILED:
                    return None
            if all(found):
                return found
            # A gradient that has to be zero, and is with a change, may be zero by that alone.
            some = [_is_something(value, own) for value, own in zip(values, self._own, strict=True)]
            return [f and (r or s) for f, r, s in zip(found, self._right, some, strict=True)]

    def _values(self) -> list[Array] | None:
        try:
            with within(self._limit):
                return self.trial.values()
        except _FAILED:
            return None

    @contextmanager
    def _changed(self, candidate: _Candidate) -> Generator[bool]:
        before = candidate.change.apply(to_run=True)
        try:
            code = candidate.function.compiled()
        finally:
            for slot, node in before:
                slot.put(node)
        if code is None:
            yield False
            return
        module = candidate.function.module
        if candidate.change.runs:
            module[twice.NAME] = self.sums
        try:
            with candidate.function.running(code):
                yield True
        finally:
            self._held.put_back()
            module.pop(twice.NAME, None)

    def _candidates(
        self, functions: Sequence[Editable], lines: set[tuple[str, int]], of_loss: set[Any],
        own: Sequence[Array], right: Sequence[bool],
    ) -> list[_Candidate]:  # fmt: skip
        """Return the changes to be tried, the likeliest first."""
        found: list[_Candidate] = []
        known = known_of(functions, self._of_loss)
        each = [*functions, *self._of_loss]
        named = list(dict.fromkeys(name for one in each for name in one.code.co_names))
        for function in functions:
            scope = self._scopes[id(function)] = Scope(function, known)
            forward = function.code in of_loss
            reached: list[tuple[Statement, float]] = []
            terms = Terms(function, scope, partial(self._glance.shape, function), named)
            for statement in statements(function.node):
                if not any((function.filename, n) in lines for n in statement.lines):
                    continue
                away = self._away(function, statement, own, right)
                if away is None:
                    continue
                every = chain(
                    expressions.changes(statement, scope), whole.changes(statement, scope)
                )
                if self.trial.of_steps:
                    every = chain(updates.changes(statement, scope, self.trial.numbers), every)
                else:
                    added = terms.changes(statement) if away in _WRONG_ALONE else ()
                    every = chain(every, masks.changes(statement, scope, terms.shape_of), added)
                if forward and self._makes_the_loss(function, statement):
                    # The loss is to stay: only the order may be another.
                    every = (change for change in every if change.moves(statement))
                else:
                    reached.append((statement, away))
                found += [
                    _Candidate(
                        function, statement, change,
                        change.rank + away + forward - _UNREAD * change.names(scope.unread),
                    )
                    for change in every
                ]  # fmt: skip
            least = min((away for _, away in reached), default=0.0)
            several = [one for one, _ in reached]
            exactly = [one for one, away in reached if away == _EXACTLY]
            more = (
                updates.moves(several)
                if self.trial.of_steps
                else chain(twice.changes(several), terms.behind(exactly))
            )
            found += [
                _Candidate(function, statement, change, change.rank + least + forward)
                for statement, change in chain(whole.everywhere(several, scope), more)
            ]
        found.sort(key=lambda one: one.likely)
        return found

    def _away(
        self, function: Editable, statement: Statement, own: Sequence[Array], right: Sequence[bool]
    ) -> float | None:
        """Return how unlikely a statement is by the gradients that it reaches; None: it cannot be.

        A scaled result shows which these are. In a step not always: of a sign or a limit it is the
        same.
        """
        if statement.compound or isinstance(statement.node, ast.Expr):
            return 1.0
        with self._changed(_scaled(function, statement)) as possible:
            values = self._values() if possible else None
        if values is None:
            return 1.0
        reached = [not _alike(a, b) for a, b in zip(values, own, strict=True)]
        wrong = [not yes for yes in right]
        if reached == wrong:
            return _EXACTLY
        if not any(r and w for r, w in zip(reached, wrong, strict=True)):
            return 6.0 if any(reached) or self.trial.of_steps else None
        return 4.0 if any(r and not w for r, w in zip(reached, wrong, strict=True)) else _IN_PART

    def _makes_the_loss(self, function: Editable, statement: Statement) -> bool:
        """Whether the loss is another with a scaled result of a statement."""
        if statement.compound or isinstance(statement.node, ast.Expr):
            return False
        with self._changed(_scaled(function, statement)) as possible:
            try:
                with within(self._limit):
                    return possible and not np.allclose(
                        self.trial.loss(), self._loss, equal_nan=True
                    )
            except _FAILED:
                return False


def _scaled(function: Editable, statement: Statement, factor: float = 1.375) -> _Candidate:
    head = statement.heads[0]
    several = isinstance(head.node, ast.Tuple) and head.node.elts
    new = [_times(factor, part) for part in several or [head.node]]
    scaled = ast.Tuple(new, ast.Load()) if several else new[0]
    return _Candidate(function, statement, Change(0, ((head, scaled),)))


def _times(factor: float, node: ast.expr) -> ast.expr:
    # A zero would stay one: dZ[Z <= 0] = 0.
    op = ast.Add() if isinstance(node, ast.Constant) else ast.Mult()
    return ast.BinOp(node, op, ast.Constant(factor))


# A statement reaches the wrong gradients and no other: all of them, or some.
_EXACTLY, _IN_PART = 0.0, 2.0
_WRONG_ALONE = (_EXACTLY, _IN_PART)
_FAILED = (Unreadable, OutOfTime, ValueError, TypeError, ArithmeticError, LookupError)


def _alike(one: Array, other: Array) -> bool:
    size = float(np.max(np.abs(other), initial=0.0))
    return one.shape == other.shape and bool(np.all(np.abs(one - other) <= _SAME * size))


def _is_something(value: Array, own: Array) -> bool:
    """Return whether a gradient is more than nothing beside what it was before."""
    return bool(np.any(np.abs(value) > _SAME * np.max(np.abs(own), initial=0)))


def _better(found: Sequence[bool], right: Sequence[bool]) -> bool:
    """Return whether nothing is worse, and something better."""
    return sum(found) > sum(right) and all(f or not r for f, r in zip(found, right, strict=True))


def _said(candidate: _Candidate, found: Sequence[bool], right: Sequence[bool]) -> Repair:
    statement, filename = candidate.statement, candidate.function.filename
    old, new = texts(filename, statement, candidate.change)
    mended = [k for k, yes in enumerate(found) if yes and not right[k]]
    rest = [k for k, yes in enumerate(found) if not yes]
    where = place(filename, statement, candidate.change)
    passes = bool(candidate.change.runs)
    moved = candidate.change.moved
    return Repair(where, old, new, mended, rest, moved=moved, of_passes=passes)
