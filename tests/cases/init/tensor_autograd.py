import numpy as np

class Tensor:
    def __init__(self, data, parents=(), backward=None):
        self.data = np.asarray(data, dtype=float)
        self.grad = np.zeros_like(self.data)
        self._parents, self._backward = parents, backward
    def __matmul__(self, other):
        out = Tensor(self.data @ other.data, (self, other))
        def backward():
            self.grad += out.grad @ other.data.T
            other.grad += self.data.T @ out.grad
        out._backward = backward
        return out
    def __add__(self, other):
        out = Tensor(self.data + other.data, (self, other))
        def backward():
            self.grad += out.grad
            other.grad += out.grad.sum(axis=0)
        out._backward = backward
        return out
    def tanh(self):
        out = Tensor(np.tanh(self.data), (self,))
        def backward():
            self.grad += (1 - out.data ** 2) * out.grad
        out._backward = backward
        return out
    def mse(self, y):
        out = Tensor(((self.data - y) ** 2).mean(), (self,))
        def backward():
            self.grad += 2 * (self.data - y) / y.size * out.grad
        out._backward = backward
        return out
    def backward(self):
        order, seen = [], set()
        def visit(t):
            if id(t) not in seen:
                seen.add(id(t))
                for p in t._parents:
                    visit(p)
                order.append(t)
        visit(self)
        self.grad = np.ones_like(self.data)
        for t in reversed(order):
            if t._backward:
                t._backward()

class MLP:
    def __init__(self, n_in, n_hidden, n_out):
        self.w1 = Tensor(np.random.randn(n_in, n_hidden) * 0.5)
        self.b1 = Tensor(np.zeros(n_hidden))
        self.w2 = Tensor(np.random.randn(n_hidden, n_out) * 0.5)
        self.b2 = Tensor(np.zeros(n_out))
    def parameters(self):
        return [self.w1, self.b1, self.w2, self.b2]
    def __call__(self, x):
        h = (Tensor(x) @ self.w1 + self.b1).tanh()
        return h @ self.w2 + self.b2
    def train_step(self, x, y, lr):
        for p in self.parameters():
            p.grad = np.zeros_like(p.data)
        loss = self(x).mse(y)
        loss.backward()
        for p in self.parameters():
            p.data -= lr * p.grad
        return float(loss.data)
