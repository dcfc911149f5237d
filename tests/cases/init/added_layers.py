import numpy as np

class NeuralNetwork:
    def __init__(self):
        self.layer_sizes = []
        self.W = {}
        self.b = {}
        self.cache = {}

    def add(self, units_in, units_out):
        l = len(self.layer_sizes) + 1
        self.layer_sizes.append((units_in, units_out))
        self.W[l] = np.random.randn(units_out, units_in) * 0.1
        self.b[l] = np.zeros((units_out, 1))

    def forward(self, X):
        self.cache['A0'] = X
        A = X
        for l in range(1, len(self.layer_sizes) + 1):
            Z = self.W[l] @ A + self.b[l]
            A = 1 / (1 + np.exp(-Z))
            self.cache['A%d' % l] = A
        return A

    def backward(self, Y):
        m = Y.shape[1]
        L = len(self.layer_sizes)
        self.dW, self.db = {}, {}
        dZ = self.cache['A%d' % L] - Y
        for l in range(L, 0, -1):
            A_prev = self.cache['A%d' % (l - 1)]
            self.dW[l] = dZ @ A_prev.T / m
            self.db[l] = dZ.sum(axis=1, keepdims=True) / m
            dZ = self.W[l].T @ dZ * A_prev * (1 - A_prev)

    def step(self, lr):
        for l in self.W:
            self.W[l] -= lr * self.dW[l]
            self.b[l] -= lr * self.db[l]

if __name__ == '__main__':
    nn = NeuralNetwork()
    nn.add(784, 64)
    nn.add(64, 10)
