"""The notes on Nielsen's chapter 1: perceptrons, NAND, and networks of sigmoids for MNIST."""
