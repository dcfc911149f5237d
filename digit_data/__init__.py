"""The pictures and the data sets that both engines eat; imports neither of them.

``datasets`` loads the data sets of the five documents, ``mnist`` reads MNIST in every format,
``pictures`` turns any picture into what a network expects; ``distortions`` and ``drawn`` make more
pictures to train on.
"""
