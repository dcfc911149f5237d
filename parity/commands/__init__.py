"""The commands of ``python -m parity``; importing them loads neither Keras nor NumPy."""
