"""A Keras model and a NumPy network compared, tensor by tensor and step by step.

:func:`parity.compare` is in ``compare``; ``twins`` makes the one engine's network, loss or
optimizer from the other's.
"""
