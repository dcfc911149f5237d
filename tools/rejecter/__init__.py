"""Make the network that tells a digit from what is none, and measure it.

``python -m tools.rejecter`` trains it; ``python -m tools.rejecter.measuring`` prints its curve.

``inks`` turns strokes and glyphs to pictures as a network sees them; ``glyphs``, ``drawings``,
``things`` and ``scenery`` are what it learns from; ``training_set`` puts them together;
``held_out`` is what it has never seen, ``validation`` what choices were made by, and ``measuring``
the curve of digits lost against what is turned down.
"""
