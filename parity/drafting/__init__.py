"""Drafting a Candidate from the text of a user's module, which is read and never run.

``survey`` lists what stands in the module (``expressions``, ``functions``), ``roles`` knows what
names usually mean, ``subjects`` finds the weights, ``making`` makes the objects that hold them,
``calls`` writes the calls of the user's functions; ``parts``, ``gradients`` and ``layers`` make the
Candidate's functions of them. ``draft`` chooses among these, and ``page`` writes the file.
"""

from parity.drafting.draft import Draft, draft
from parity.drafting.page import UserModule, page
from parity.drafting.survey import Survey, survey

__all__ = ["Draft", "Survey", "UserModule", "draft", "page", "survey"]
