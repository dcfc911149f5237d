"""Whether the NumPy engine equals Keras on each backend, and how the backends differ.

``python -m tools.backends`` measures each backend that is installed in a process of its own, as
Keras has one backend a process. ``cases`` says what is compared, ``differences`` what is measured
of each backend, ``measuring`` does both in the backend's process, and ``page`` prints the tables of
docs/backends.md.
"""
