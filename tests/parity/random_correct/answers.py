"""What the check says of random networks, in functions that other processes can call."""

import traceback
import warnings
from dataclasses import dataclass, replace

import parity
from tests.parity.random_correct.making import connect
from tests.parity.random_correct.network import Network
from tests.parity.random_correct.spec import Spec, draw
from tests.parity.random_correct.wrong import FirstBias, Mistaken, OneEntry


def false_alarm(seed: int, keras: bool = False) -> tuple[str, str]:
    """Return what a right network is called, and its seed, description and report."""
    answer = _ask(Network, draw(seed), keras)
    return answer.outcome, answer.shown


def overlooked_entry(seed: int) -> str | None:
    """Return seed, description and report of a network with one wrong entry that is called right.

    "" if it is not called right; None if the mistake does not show in this network.
    """
    spec = _exact(seed)
    if spec.bias == "none" and spec.sizes == (1, 1):  # one number's factor is the loss's
        return None
    return _overlooked(OneEntry, spec)


def overlooked_bias(seed: int) -> str | None:
    """Return this of a network with a wrong bias gradient in the first layer."""
    spec = _exact(seed)
    return None if spec.bias == "none" else _overlooked(FirstBias, spec)


def _exact(seed: int) -> Spec:
    """Return a network whose gradients are given, in float64."""
    return replace(draw(seed), dtype="float64", gives="gradients")


def _overlooked(kind: type[Mistaken], spec: Spec) -> str | None:
    answer = _ask(kind, spec)
    made = (network for network in answer.networks if isinstance(network, Mistaken))
    if not any(network.mistaken for network in made):
        return None
    return answer.shown if answer.outcome == "right" else ""


@dataclass
class _Answer:
    """What a network is called, or "crash"; what to print; and the networks that were asked."""

    outcome: str
    shown: str
    networks: list[Network]


def _ask(kind: type[Network], spec: Spec, keras: bool = False) -> _Answer:
    """Check one network; a warning is no answer."""
    networks: list[Network] = []

    def fresh() -> parity.Candidate:
        # A function, so that a step's state is made anew for each way to call it.
        networks.append(kind(spec))
        return connect(networks[-1])

    shown = ", ".join(f"{name}={value!r}" for name, value in vars(spec).items())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)
        try:
            report = parity.check(fresh, keras=keras)
        except Exception:
            return _Answer("crash", f"{shown}\n{traceback.format_exc()}", networks)
    outcome = report.outcome.value  # the report as text is slow, and only needed to see what failed
    if outcome == "right" and not all(row.right for row in report.tensors):
        outcome = "right, with a row that is not"
    return _Answer(outcome, shown if outcome == "right" else f"{shown}\n{report}", networks)
