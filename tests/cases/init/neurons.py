import math
import random

class Neuron:
    def __init__(self, n_inputs):
        self.weights = [random.uniform(-1, 1) for _ in range(n_inputs)]
        self.bias = random.uniform(-1, 1)
        self.output = 0.0
        self.delta = 0.0

    def activate(self, inputs):
        self.inputs = inputs
        z = sum(w * i for w, i in zip(self.weights, inputs)) + self.bias
        self.output = 1 / (1 + math.exp(-z))
        return self.output

class Layer:
    def __init__(self, n_neurons, n_inputs):
        self.neurons = [Neuron(n_inputs) for _ in range(n_neurons)]

    def forward(self, inputs):
        return [n.activate(inputs) for n in self.neurons]

class Network:
    def __init__(self, sizes):
        self.layers = [Layer(sizes[i + 1], sizes[i]) for i in range(len(sizes) - 1)]

    def forward(self, inputs):
        for layer in self.layers:
            inputs = layer.forward(inputs)
        return inputs

    def backward(self, target):
        for i, n in enumerate(self.layers[-1].neurons):
            n.delta = (n.output - target[i]) * n.output * (1 - n.output)
        for k in range(len(self.layers) - 2, -1, -1):
            for j, n in enumerate(self.layers[k].neurons):
                err = sum(m.weights[j] * m.delta for m in self.layers[k + 1].neurons)
                n.delta = err * n.output * (1 - n.output)

    def update(self, lr):
        for layer in self.layers:
            for n in layer.neurons:
                for j in range(len(n.weights)):
                    n.weights[j] -= lr * n.delta * n.inputs[j]
                n.bias -= lr * n.delta

    def train(self, data, lr, epochs):
        for _ in range(epochs):
            for x, t in data:
                self.forward(x)
                self.backward(t)
                self.update(lr)
