"""Networks that leave: written as a program of NumPy alone, and proven to be the same.

``specializing`` works a layer's formula out for its settings, ``tidying`` makes that readable,
``source`` puts the layers of a network together as a file, and ``proof`` runs and compares it.
"""
