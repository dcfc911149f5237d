"""What the one factor between two gradients of the same loss is made of, in words."""

from dataclasses import dataclass
from itertools import product

from parity.checking.bugs.factors import same
from parity.checking.model.losses import SQUARED, LossKind


@dataclass(frozen=True)
class Reduction:
    """One way to add a loss up.

    Attributes:
        factor: On the gradient of the loss summed over batch and outputs, of 1/2 (a-y)^2 if it is
            the squared error.
        coefficient: What each sample's sum over the outputs is multiplied by: "1/2", "1/n".
        over_batch: Whether it is averaged over the batch.
    """

    factor: float
    coefficient: str
    over_batch: bool


def _reductions(kind: LossKind, batch: int, outputs: int) -> list[Reduction]:
    halves = {1.0: "2", 2.0: ""} if kind is SQUARED else {1.0: ""}
    over_outputs = (False, True) if outputs > 1 else (False,)
    found: list[Reduction] = []
    for (k, half), over, by_batch in product(halves.items(), over_outputs, (True, False)):
        below = half + "n" * over
        coefficient = f"1/({below})" if len(below) > 1 else f"1/{below}" if below else "1"
        divisor = (outputs if over else 1) * (batch if by_batch else 1)
        found.append(Reduction(k / divisor, coefficient, by_batch))
    return found


def difference(
    kind: LossKind,
    outputs: int,
    found: tuple[float, int],
    meant: tuple[float, int],
    uncertainty: float,
) -> str | None:
    """Return in which parts two reductions of one loss differ, None if one of them is no usual one.

    Args:
        kind: The loss.
        outputs: Number of outputs n.
        found: The factor of the gradients, on those of the summed form, and the number of samples.
        meant: The factor that the loss says, and the number of samples.
        uncertainty: How far rounding may have moved the two.
    """
    ones, others = (
        [r for r in _reductions(kind, batch, outputs) if same(factor, r.factor, uncertainty)]
        for factor, batch in (found, meant)
    )
    pairs = list(product(ones, others))
    if not pairs:
        return None
    one, other = min(
        pairs,
        key=lambda pair: (
            (pair[0].coefficient != pair[1].coefficient)
            + (pair[0].over_batch != pair[1].over_batch)
        ),
    )
    parts: list[str] = []
    if one.coefficient != other.coefficient:
        words = f"{one.coefficient} against {other.coefficient}"
        named = f", n = {outputs} being the outputs" if "n" in words.replace("against", "") else ""
        parts.append(words + named)
    if one.over_batch != other.over_batch:
        parts.append(
            f"divided by the batch size, m = {found[1]}"
            if one.over_batch
            else f"times m = {found[1]}, not divided by the batch size"
        )
    return "; ".join(parts)
