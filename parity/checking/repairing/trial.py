"""What a search for a change asks: the user's gradients or steps, with whatever code they have."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from numpy_impl.types import Array
from parity.checking.bugs.table import Bug


class Trial(Protocol):
    """The user's gradients or steps, asked for with whatever code they have at the moment.

    Attributes:
        names: Of the gradients, or of the arrays that a step changes.
        of_steps: Whether it is steps.
        measures: Whether :meth:`loss` gives the number of which the gradients are to be the
            derivative.
        numbers: Those that an optimizer has been declared with.
        bug: What a change that mends all is.
        bug_in_part: What one that mends some is; None where that counts for nothing.
        agreement: What is then so, in words.
    """

    names: list[str]
    of_steps: bool
    measures: bool
    numbers: Sequence[float]
    bug: Bug
    bug_in_part: Bug | None
    agreement: str

    def values(self) -> list[Array]:
        """Return some numbers of each gradient, on a first draw."""
        ...

    def fits(self, values: Sequence[Array], share: float = 0.0) -> list[bool]:
        """Return which of these are right, up to a share of the largest number if one is given."""
        ...

    def confirmed(self) -> list[bool]:
        """Return which gradients are right on other draws; none if the loss is another."""
        ...

    def loss(self) -> Any:
        """Call the loss alone."""
        ...

    def settle(self, put_back: Callable[[], None]) -> None:
        """Find out whether what puts back what the user's code holds sets the weights as well."""
        ...

    def fits_its_own_loss(self) -> list[bool]:
        """Return which gradients are right where a change made the loss another one."""
        ...

    def elsewhere(self, right: Sequence[bool]) -> list[bool] | None:
        """Return which gradients are right on a batch of another size; None: it is not known.

        Args:
            right: Which are without a change.
        """
        ...
