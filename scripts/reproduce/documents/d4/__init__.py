"""The course notebook in three parts: perceptron, gradient descent, 784-500-300-10 in Keras."""
