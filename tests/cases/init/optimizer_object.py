import numpy as np

class Dense:
    def __init__(self, input_size, output_size):
        self.params = {"W": np.random.randn(input_size, output_size) * 0.1, "b": np.zeros(output_size)}
        self.grads = {}
    def forward(self, inputs):
        self.inputs = inputs
        return inputs @ self.params["W"] + self.params["b"]
    def backward(self, grad):
        self.grads["b"] = grad.sum(axis=0)
        self.grads["W"] = self.inputs.T @ grad
        return grad @ self.params["W"].T

class Tanh:
    def __init__(self):
        self.params, self.grads = {}, {}
    def forward(self, inputs):
        self.inputs = inputs
        return np.tanh(inputs)
    def backward(self, grad):
        return grad * (1 - np.tanh(self.inputs) ** 2)

class NeuralNet:
    def __init__(self, layers):
        self.layers = layers
    def forward(self, inputs):
        for layer in self.layers:
            inputs = layer.forward(inputs)
        return inputs
    def backward(self, grad):
        for layer in reversed(self.layers):
            grad = layer.backward(grad)
        return grad
    def params_and_grads(self):
        for layer in self.layers:
            for name, param in layer.params.items():
                yield param, layer.grads[name]

class MSE:
    def loss(self, predicted, actual):
        return np.sum((predicted - actual) ** 2)
    def grad(self, predicted, actual):
        return 2 * (predicted - actual)

class SGD:
    def __init__(self, lr=0.01):
        self.lr = lr
    def step(self, net):
        for param, grad in net.params_and_grads():
            param -= self.lr * grad

def train(net, inputs, targets, num_epochs=5000, loss=MSE(), optimizer=SGD()):
    for epoch in range(num_epochs):
        predicted = net.forward(inputs)
        grad = loss.grad(predicted, targets)
        net.backward(grad)
        optimizer.step(net)
