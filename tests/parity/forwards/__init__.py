"""Small Keras models, each with its forward pass by hand, and what can go wrong in it.

A forward takes the weights in Keras's order, its inputs, and the slips: words such as "flipped".
"""
