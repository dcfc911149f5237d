"""The NumPy engine beside what people would use instead: ``python -m tools.benchmark``.

``works`` are measured of ``contenders``, and compared with ``targets``; ``report`` shows them.

Every contender runs in a process of its own (``worker``), as Keras has one backend a process, and
all processes take turns (``rounds``), so that a busy machine disturbs them alike.
"""
