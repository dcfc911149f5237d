"""Train a documented network by its own recipe, in either engine: ``python -m scripts.train``.

``session`` is one training, ``progress`` how it is shown while it runs.
"""
