"""Steps of the weights: which optimizer they are of, and what is wrong with them."""
