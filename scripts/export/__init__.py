"""Networks that leave: written as a program of NumPy alone, and proven to be the same.

A layer's formula is run on symbols for its arrays: ``rewriting`` changes the formula so that it
asks a recorder for every call and loop, ``recording`` answers and writes down what the symbols of
``symbolic`` stand for, ``tidying`` makes that readable and ``printing`` makes it text. ``source``
puts the layers of a network together as a file, and ``proof`` runs and compares it.
"""
