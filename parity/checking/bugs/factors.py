"""Factors that a part of the gradients, or all of them, should not have."""

from parity.checking.bugs.table import Bug, Values

_TITLE = "{what} off by a factor: "
# {m} is the batch size, {note} a word on what it looks like.
SIGN = Bug(
    "sign", _TITLE + "{sign}{note}", "delta2 = y - a2  # and W -= learning_rate * dW",
    "turn the sign round{besides}",
)  # fmt: skip
DROPOUT_SCALE_MISSING = Bug(
    "dropout-scale-missing",
    _TITLE + "dropout mask without its scale 1/(1 - rate) in the backward pass (×{keep})",
    "delta1 = (delta2 @ W2.T) * mask  # a1 was divided by keep",
    "multiply by the scale of the forward pass as well",
)
DROPOUT_MULTIPLIED = Bug(
    "dropout-multiplied",
    _TITLE + "dropout's gradient multiplied by 1 - rate where it should be divided",
    "delta1 = (delta2 @ W2.T) * mask * keep",
    "divide by 1 - rate, as in the forward pass",
)
DROPOUT_SCALE_TWICE = Bug(
    "dropout-scale-twice", _TITLE + "dropout's scale applied twice",
    "delta1 = (delta2 @ W2.T) * mask / keep / keep", "scale once",
)  # fmt: skip
TIMES_M = Bug(
    "times-m", _TITLE + "×m, not divided by the batch size ({m})",
    "db2 = delta2.sum(axis=0)  # where dW2 is divided by len(x)", "divide by the batch size",
)  # fmt: skip
OVER_M = Bug(
    "over-m", _TITLE + "÷m, divided by the batch size ({m}) once too often",
    "delta2 = (a2 - y) / len(x); dW2 = a1.T @ delta2 / len(x)",
    "divide by the batch size once (a sum over the batch is not divided again)",
)  # fmt: skip
OVER_M_MINUS_1 = Bug(
    "over-m-minus-1", _TITLE + "divided by m - 1 = {less}, not m = {m}",
    "dW2 = a1.T @ delta2 / (len(x) - 1)", "divide by the number of samples",
)  # fmt: skip
OVER_M_PLUS_1 = Bug(
    "over-m-plus-1", _TITLE + "divided by m + 1 = {more} instead of m = {m}",
    "dW2 = a1.T @ delta2 / (len(x) + 1)", "divide by the number of samples",
)  # fmt: skip
TIMES_2 = Bug(
    "times-2", _TITLE + "×2{note}", "delta2 = 2 * (a2 - y)  # of 1/2 sum (a - y)^2",
    "divide it by 2, or take the 2 out",
)  # fmt: skip
TIMES_HALF = Bug(
    "times-half", _TITLE + "×½", "db1 = 0.5 * delta1.sum(axis=0)",
    "multiply it by 2, or take the ½ out",
)  # fmt: skip
TIMES_OUTPUTS = Bug(
    "times-outputs", _TITLE + "×{outputs}, the number of outputs",
    "delta2 = a2 - y  # of the mean over the outputs", "divide by the number of outputs",
)  # fmt: skip
OVER_OUTPUTS = Bug(
    "over-outputs", _TITLE + "÷{outputs}, the number of outputs",
    "delta2 = (a2 - y) / y.size  # of the sum over the outputs",
    "do not divide by the number of outputs here",
)  # fmt: skip
OVER_INPUTS = Bug(
    "over-inputs",
    _TITLE + "divided by the number of {units} ({count}) where the batch size is meant",
    "m = X.shape[1]  # and samples lie in rows; dW1 = x.T @ delta1 / m",
    "divide by the number of samples: {samples}",
)  # fmt: skip
IN_LOOP = Bug(
    "counted-in-loop",
    _TITLE + "counted once for each of its layer's {units}: ×{count}",
    "for i in range(len(inputs)): W[i, j] -= rate * delta[j] * inputs[i]; b[j] -= rate * delta[j]",
    "take the bias out of the loop over the {units}: once for each unit is enough",
)
FACTOR = Bug(
    "factor", _TITLE + "×{factor}", "dW1 = 0.3 * x.T @ delta1", "divide it by {factor}",
)  # fmt: skip

# These are told by a second batch size from a factor that does not know of the batch.
OF_BATCH = (TIMES_M, OVER_M, OVER_M_MINUS_1, OVER_M_PLUS_1)
_SLACK = 1e-14


def same(one: float, other: float, uncertainty: float) -> bool:
    """Return whether two factors are the same up to rounding."""
    # A factor may be fitted with no uncertainty at all (a single number): a few units roundoff.
    return abs(one - other) <= uncertainty + _SLACK * abs(other)


def name(
    factor: float,
    uncertainty: float,
    batch: int,
    outputs: int,
    rate: float = 0.0,
) -> tuple[Bug, Values]:
    """Return what a deviating factor is, and what fills its texts but for "what".

    Args:
        factor: Relative to what is right.
        uncertainty: How far rounding may have moved it.
        batch: Number of samples m.
        outputs: Number of outputs.
        rate: Dropout rate behind the layer that the factor came in at.
    """
    m = batch if batch > 1 else 0
    n = outputs if outputs > 1 else 0
    keep = 1 - rate if rate else 0
    values = {
        "m": m, "less": m - 1, "more": m + 1, "outputs": outputs, "keep": f"{keep:g}",
        "factor": f"{factor:.7g}", "note": "", "sign": "sign: the negative of the gradient",
        "besides": "",
    }  # fmt: skip
    # 0 stands for what cannot be.
    table = [
        (-1.0, SIGN),
        (keep, DROPOUT_SCALE_MISSING),
        (keep * keep, DROPOUT_MULTIPLIED),
        (1 / keep if keep else 0, DROPOUT_SCALE_TWICE),
        (m, TIMES_M),
        (1 / m if m else 0, OVER_M),
        (m / (m - 1) if m else 0, OVER_M_MINUS_1),
        (m / (m + 1) if m else 0, OVER_M_PLUS_1),
        (2.0, TIMES_2),
        (0.5, TIMES_HALF),
        (n, TIMES_OUTPUTS),
        (1 / n if n else 0, OVER_OUTPUTS),
    ]
    for value, bug in table:
        if value and same(factor, value, uncertainty):
            return bug, values
        if value and same(factor, -value, uncertainty):
            words = bug.title.removeprefix(_TITLE).format_map(values)
            values |= {"sign": f"sign turned, and {words}", "besides": f", and {bug.fix}"}
            return SIGN, values
    return FACTOR, values
