"""Optimizers by their names."""

from numpy_impl.optimizers.adafactor import Adafactor
from numpy_impl.optimizers.adam import Adam, Adamax, AdamW, Nadam
from numpy_impl.optimizers.adaptive import Adadelta, Adagrad, Ftrl, RMSprop
from numpy_impl.optimizers.base import Optimizer
from numpy_impl.optimizers.momentum import SGD, Lion

# By Keras's names in small letters.
OPTIMIZERS: dict[str, type[Optimizer]] = {
    kind.__name__.lower(): kind
    for kind in (SGD, RMSprop, Adam, AdamW, Adagrad, Adadelta, Adamax, Nadam, Adafactor, Lion, Ftrl)
}


def get(identifier: str | Optimizer, **options: object) -> Optimizer:
    """Return the optimizer of a name in ``OPTIMIZERS``; ``options`` go to its constructor.

    Raises:
        ValueError: The name is not known, or there are options for what has been made already.
    """
    if isinstance(identifier, Optimizer):
        if options:
            raise ValueError(
                f"Expected options with the name of an optimizer only. "
                f"Received: {type(identifier).__name__} and {', '.join(options)}"
            )
        return identifier
    if identifier not in OPTIMIZERS:
        raise ValueError(
            f"Unknown optimizer. Expected one of: {', '.join(OPTIMIZERS)}. Received: {identifier!r}"
        )
    return OPTIMIZERS[identifier](**options)  # type: ignore[arg-type]  # which options depends on the name
