"""The pictures and the data sets that both engines eat; imports neither of them."""
