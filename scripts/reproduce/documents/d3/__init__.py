"""The course exercise in NumPy: 784-64-10, softmax and cross-entropy, for MNIST."""
