"""Train a named network by its own recipe, in either engine: ``python -m scripts.train``.

``session`` is one training, ``progress`` how it is shown while it runs. ``checkpoint`` is what it
goes on from, ``folder`` where it is saved, ``divergence`` where a loss began to run away.
"""
