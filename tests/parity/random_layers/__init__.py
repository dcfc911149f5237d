"""Random right programs of layers that the check does not know, in plain NumPy, and wrong ones.

``blocks`` and ``cells`` hold layers with their derivatives written by hand, ``losses`` the losses,
``rules`` what a step does, and ``program`` puts them together in random conventions.
"""
