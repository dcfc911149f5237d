"""Drafting a Candidate for a user's module, by trying what it defines on a few numbers.

``survey`` lists what stands in the module (``functions``), ``making`` and
``subjects`` write what makes its networks, ``world`` makes them and looks for their numbers.
``rehearsing`` runs the program for a moment, with ``holding`` over it, and sees what it calls.
``roles`` knows what names usually mean, ``callees`` writes calls by it, and ``finding`` keeps those
that are a forward pass. From there (``following``) ``gradients``, ``steps`` and ``own_loss`` keep
what else works, as ``attempts``; ``taping`` has gradients that a loss passes back itself, ``nodes``
weights that are objects of one number each. ``by_loss`` goes by the loss alone, on samples like
those of the run. ``training_loop`` makes functions of a loop in which the network stands
(``loop_nest``, ``statements``). ``draft`` puts them together, and ``page`` writes it.
"""

from parity.drafting.draft import Draft, Drafting
from parity.drafting.page import UserModule, page
from parity.drafting.rehearsing import Rehearsal, rehearse
from parity.drafting.survey import Survey, survey
from parity.drafting.training_loop import LoopError, loop_functions

__all__ = [
    "Draft",
    "Drafting",
    "LoopError",
    "Rehearsal",
    "Survey",
    "UserModule",
    "loop_functions",
    "page",
    "rehearse",
    "survey",
]
