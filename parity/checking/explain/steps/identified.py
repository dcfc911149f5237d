"""What is known of the optimizer inside a step, and of the gradients that it is given."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from parity.checking.asking.gradients import Taken
from parity.checking.explain.steps import crossed_state, look_ahead, shared_state
from parity.checking.explain.steps.below import Mistake
from parity.checking.explain.steps.course import GradientsAt
from parity.checking.explain.steps.departures import Departure
from parity.checking.explain.steps.followed_rule import Found, RateFormula
from parity.checking.model.declared_optimizer import DeclaredOptimizer
from parity.checking.model.layout import Key
from parity.checking.model.losses import LossKind
from parity.checking.model.rules import OptimizerRule


@dataclass(frozen=True)
class Identified:
    """The optimizer, and the loss whose gradients it is given.

    Attributes:
        rule: The optimizer; None where the steps are the gradients at changing rates.
        kind: The loss; None where gradients are the user's own and their loss is not known.
        factor: On its summed form, or on the user's own gradients.
        words: The reduction.
        history: The steps that follow it.
        gradients_at: What it is given, but for the factor.
        own: Whether the gradients are the user's own.
        declared: Whether it is the declared one with all its options.
        idle: Tensors that the steps leave as they are.
        others: Tensors with another rule than the most, None for one that is not known.
        sizes: How many times its gradient each step goes down, where that changes.
        formula: By which formula that changes, if it is one that is known.
        multiples: Of the learning rate of each step, where a schedule gives it.
        shared: What shares one state, though each should have its own.
        ahead: Momentum whose gradients are taken at other weights; there is no rule then.
        piled: Tensors whose gradients pile up from step to step, as nothing sets them to zero.
        updated: Whether the deltas are propagated through weights that are updated already.
        mistakes: In the gradients that the rule is given, below the output layer.
        departure: What is otherwise than declared; the rule has it.
        crossed: Which tensor goes on from another's state.
    """

    rule: OptimizerRule | DeclaredOptimizer | None
    kind: LossKind | None
    factor: float
    words: str
    history: Sequence[Taken]
    gradients_at: GradientsAt
    own: bool = False
    declared: bool = False
    idle: tuple[Key, ...] = ()
    others: dict[Key, OptimizerRule | None] = field(default_factory=dict[Key, OptimizerRule | None])
    sizes: tuple[float, ...] = ()
    formula: RateFormula | None = None
    multiples: tuple[float, ...] = ()
    shared: shared_state.Shared | None = None
    ahead: look_ahead.LookAhead | None = None
    piled: tuple[Key, ...] = ()
    updated: bool = False
    mistakes: Sequence[Mistake] = ()
    departure: Departure | None = None
    crossed: crossed_state.Crossed | None = None

    @property
    def misled(self) -> bool:
        """Whether the rule is given wrong gradients."""
        return self.updated or bool(self.mistakes)

    def following(self, found: Found, **more: Any) -> "Identified":
        """Return this with the rule that is followed, and what else is known of it."""
        rule, factor, words = found
        return replace(self, rule=rule, factor=factor, words=words, **more)
