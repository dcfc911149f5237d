"""The catalogue of bugs: for each piece of backpropagation, the wrong ways to compute it."""
