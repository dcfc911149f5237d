"""Check anybody's own from-scratch network: is it right, and if not, which layer and which bug?

How it goes. ``subject`` runs the user's callables with care; ``layout`` lists the ways to read the
weights; ``conventions`` finds out how samples are passed and what ``forward`` computes, and
``forwards`` what is wrong with it; ``assess`` asks for gradients on random probes; ``explain``
tries the catalogue layer by layer, ``scales`` reads the factors, ``judge`` puts it into words;
``witnesses`` and ``keras_witness`` ask the user's own loss and Keras; ``updates`` looks at steps.
"""

from parity.checking.checker import assert_parity, check

__all__ = ["assert_parity", "check"]
