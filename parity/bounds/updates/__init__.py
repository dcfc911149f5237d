"""The update rules of optimizers, each formula once, in bounded arithmetic; by name in ``RULES``.

A formula knows the ``form`` in which it is often written otherwise, or wrong.
"""

from parity.bounds.updates import adafactor, adam, adaptive, momentum
from parity.bounds.updates.rule import UpdateRule

# The names are those of ``numpy_impl.optimizers.OPTIMIZERS``, and of some that those lack. Where
# nothing is declared, a check tries them in this order.
RULES: dict[str, UpdateRule] = {**adaptive.RULES, **adam.RULES, **momentum.RULES, **adafactor.RULES}
