"""Random from-scratch networks that are right, in every combination of people's conventions.

``spec`` draws what a network is like, ``network`` computes it, ``making`` connects it;
``wrong`` makes one mistake in it, and ``answers`` asks for reports, in another process if wanted.
"""

from tests.parity.random_correct.making import connect, make
from tests.parity.random_correct.network import Network
from tests.parity.random_correct.spec import Spec, draw

__all__ = ["Network", "Spec", "connect", "draw", "make"]
