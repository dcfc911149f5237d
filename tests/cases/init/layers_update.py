import numpy as np

class Layer:
    def forward(self, x):
        raise NotImplementedError
    def backward(self, grad):
        raise NotImplementedError
    def update(self, lr):
        pass

class Linear(Layer):
    def __init__(self, n_in, n_out):
        self.W = np.random.randn(n_in, n_out) * 0.1
        self.b = np.zeros(n_out)
    def forward(self, x):
        self.x = x
        return x @ self.W + self.b
    def backward(self, grad):
        self.dW = self.x.T @ grad
        self.db = grad.sum(axis=0)
        return grad @ self.W.T
    def update(self, lr):
        self.W -= lr * self.dW
        self.b -= lr * self.db

class Sigmoid(Layer):
    def forward(self, x):
        self.out = 1 / (1 + np.exp(-x))
        return self.out
    def backward(self, grad):
        return grad * self.out * (1 - self.out)

class Network:
    def __init__(self, layers):
        self.layers = layers
    def forward(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x
    def backward(self, grad):
        for layer in reversed(self.layers):
            grad = layer.backward(grad)
    def update(self, lr):
        for layer in self.layers:
            layer.update(lr)

def mse(pred, target):
    return ((pred - target) ** 2).mean()

def mse_grad(pred, target):
    return 2 * (pred - target) / pred.size

def main():
    net = Network([Linear(2, 8), Sigmoid(), Linear(8, 1)])
    X = np.random.rand(100, 2)
    Y = X[:, :1] * X[:, 1:]
    for epoch in range(100):
        pred = net.forward(X)
        net.backward(mse_grad(pred, Y))
        net.update(0.1)

if __name__ == "__main__":
    main()
