"""Damaged files for every reader: each ends in a result or in the documented exception.

``readers`` lists what is read and with which good files it begins, ``mutations`` damages them, and
``trying`` tries them in processes that may hang, crash or grow. ``python -m tests.fuzzing`` runs
it; a case follows from the seed, the reader's name and its number alone.
"""
