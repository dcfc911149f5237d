"""Networks read from files and written to them: ``.npz`` of our own, and Keras's formats."""
