"""Factors that a part of the gradients, or all of them, should not have."""

from parity.checking.bugs.table import Bug, Values

_TITLE = "{what} off by a factor: {words}"
SIGN = Bug("sign", _TITLE, "delta2 = y - a2  # and W -= learning_rate * dW",
           "turn the sign round{besides}")  # fmt: skip
DROPOUT_SCALE_MISSING = Bug(
    "dropout-scale-missing", _TITLE, "delta1 = (delta2 @ W2.T) * mask  # a1 was divided by keep",
    "multiply by the scale of the forward pass as well",
)  # fmt: skip
DROPOUT_MULTIPLIED = Bug(
    "dropout-multiplied", _TITLE, "delta1 = (delta2 @ W2.T) * mask * keep",
    "divide by 1 - rate, as in the forward pass",
)  # fmt: skip
DROPOUT_SCALE_TWICE = Bug(
    "dropout-scale-twice", _TITLE, "delta1 = (delta2 @ W2.T) * mask / keep / keep", "scale once",
)  # fmt: skip
TIMES_M = Bug("times-m", _TITLE, "db2 = delta2.sum(axis=0)  # where dW2 is divided by len(x)",
              "divide by the batch size")  # fmt: skip
OVER_M = Bug(
    "over-m", _TITLE, "delta2 = (a2 - y) / len(x); dW2 = a1.T @ delta2 / len(x)",
    "divide by the batch size once (a sum over the batch is not divided again)",
)  # fmt: skip
OVER_M_MINUS_1 = Bug("over-m-minus-1", _TITLE, "dW2 = a1.T @ delta2 / (len(x) - 1)",
                     "divide by the number of samples")  # fmt: skip
OVER_M_PLUS_1 = Bug("over-m-plus-1", _TITLE, "dW2 = a1.T @ delta2 / (len(x) + 1)",
                    "divide by the number of samples")  # fmt: skip
TIMES_2 = Bug("times-2", _TITLE, "delta2 = 2 * (a2 - y)  # of 1/2 sum (a - y)^2",
              "take the factor 2 out")  # fmt: skip
TIMES_HALF = Bug("times-half", _TITLE, "db1 = 0.5 * delta1.sum(axis=0)",
                 "take the factor ½ out")  # fmt: skip
TIMES_OUTPUTS = Bug("times-outputs", _TITLE, "delta2 = (a2 - y)  # of the mean over the outputs",
                    "divide by the number of outputs")  # fmt: skip
OVER_OUTPUTS = Bug("over-outputs", _TITLE, "delta2 = (a2 - y) / y.size  # summed over the outputs",
                   "do not divide by the number of outputs here")  # fmt: skip
FACTOR = Bug("factor", _TITLE, "dW1 = 0.3 * x.T @ delta1", "divide it by {factor}")

_SLACK = 1e-14


def same(one: float, other: float, uncertainty: float) -> bool:
    """Return whether two factors are the same up to rounding."""
    # A factor may be fitted with no uncertainty at all (a single number): a few units roundoff.
    return abs(one - other) <= uncertainty + _SLACK * abs(other)


def name(
    factor: float, uncertainty: float, batch: int, outputs: int, rate: float = 0.0
) -> tuple[Bug, Values]:
    """Return what a deviating factor is: the bug, with "words" for its title.

    Args:
        factor: Relative to what is right.
        uncertainty: How far rounding may have moved it.
        batch: Number of samples m.
        outputs: Number of outputs.
        rate: Dropout rate behind the layer that the factor came in at.
    """
    m = batch if batch > 1 else 0
    keep = 1 - rate if rate else 0
    table: list[tuple[float, Bug, str]] = [
        (-1.0, SIGN, "sign: the negative of the gradient"),
        (keep, DROPOUT_SCALE_MISSING,
         f"dropout mask without its scale 1/(1 - rate) in the backward pass (×{keep:g})"),
        (keep * keep, DROPOUT_MULTIPLIED,
         "dropout's gradient multiplied by 1 - rate where it should be divided"),
        (1 / keep if keep else 0, DROPOUT_SCALE_TWICE, "dropout's scale applied twice"),
        (m, TIMES_M, f"×m, not divided by the batch size ({m})"),
        (1 / m if m else 0, OVER_M, f"÷m, divided by the batch size ({m}) once too often"),
        (m / (m - 1) if m else 0, OVER_M_MINUS_1, f"divided by m - 1 = {m - 1}, not m = {m}"),
        (m / (m + 1) if m else 0, OVER_M_PLUS_1, f"divided by m + 1 = {m + 1} instead of m = {m}"),
        (2.0, TIMES_2, "×2"),
        (0.5, TIMES_HALF, "×½"),
        (outputs if outputs > 1 else 0, TIMES_OUTPUTS, f"×{outputs}, the number of outputs"),
        (1 / outputs if outputs > 1 else 0, OVER_OUTPUTS, f"÷{outputs}, the number of outputs"),
    ]  # fmt: skip
    for value, bug, words in table:
        if value and same(factor, value, uncertainty):
            return bug, {"words": words, "besides": ""}
        if value and same(factor, -value, uncertainty):
            return SIGN, {"words": f"sign turned, and {words}", "besides": f", and {bug.fix}"}
    return FACTOR, {"words": f"×{factor:.7g}", "factor": f"{factor:.7g}"}
