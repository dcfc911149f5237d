"""A forward pass of any layers beside a Keras model: it is run, disturbed, and changed in parts."""
