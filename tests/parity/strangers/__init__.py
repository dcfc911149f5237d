"""Networks as strangers write them, right and wrong, to see what :func:`parity.check` says of them.

Each module is one style. A network stands there as somebody would publish it, and a ``make_...``
function connects it, giving no convention: how samples, kernels, biases and labels lie has to be
found out. A wrong network has one planted mistake. ``CASES`` lists all of them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

from parity import Candidate

_MODULES = (
    "nielsen",
    "karpathy",
    "columns",
    "layer_objects",
    "folded",
    "plain_python",
    "train_only",
    "optimizers",
    "storage",
    "regularised",
    "documents",
)

Make = Callable[[], Candidate]


@dataclass(frozen=True)
class Case:
    """One stranger's network and what is expected of the check.

    Attributes:
        name: The name of ``make`` without "make_".
        make: Returns a freshly initialised network, connected.
        reference: What to compare it with; None: the check finds it out.
        right: Whether its gradients, or its steps, are right.
        words: Of a wrong one: the code or title of some finding contains at least one of these.
        where: Of a wrong one: that finding's place contains this.
    """

    name: str
    make: Make
    reference: str | None
    right: bool
    words: tuple[str, ...] = ()
    where: str = ""


CASES: list[Case] = []


def right(reference: str | None = None) -> Callable[[Make], Make]:
    """Register the ``make_...`` function of a right network."""

    def register(make: Make) -> Make:
        CASES.append(Case(_name(make), make, reference, True))
        return make

    return register


def wrong(
    code_words: tuple[str, ...], where: str = "", reference: str | None = None
) -> Callable[[Make], Make]:
    """Register the ``make_...`` function of a wrong network."""

    def register(make: Make) -> Make:
        CASES.append(Case(_name(make), make, reference, False, code_words, where))
        return make

    return register


def _name(make: Make) -> str:
    return getattr(make, "__name__", "").removeprefix("make_")


for _module in _MODULES:
    import_module(f"{__name__}.{_module}")
