"""What only the developers run, and what is not installed: ``python -m tools.NAME``.

``benchmark`` measures the NumPy engine beside others, ``accuracy`` every network with several
seeds, ``parity_mnist`` both engines side by side on MNIST, ``parity_sequences`` recurrent networks
likewise, ``pretrained`` somebody's trained network beside its twin; ``ship`` makes the shipped
weights, ``notebooks`` executes the notebooks, ``site`` turns ``docs`` into a site.
"""
