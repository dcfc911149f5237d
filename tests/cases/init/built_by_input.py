import numpy as np

class Activation:
    def __init__(self, name):
        self.name = name
    def f(self, z):
        return np.maximum(0, z) if self.name == "relu" else 1 / (1 + np.exp(-z)) if self.name == "sigmoid" else z
    def df(self, z):
        if self.name == "relu":
            return (z > 0).astype(float)
        if self.name == "sigmoid":
            s = 1 / (1 + np.exp(-z))
            return s * (1 - s)
        return np.ones_like(z)

class Dense:
    def __init__(self, units, activation="linear"):
        self.units = units
        self.act = Activation(activation)
        self.W = None
        self.b = None
    def build(self, n_in):
        self.W = np.random.randn(n_in, self.units) * np.sqrt(1 / n_in)
        self.b = np.zeros((1, self.units))
    def forward(self, x):
        if self.W is None:
            self.build(x.shape[1])
        self.x = x
        self.z = x @ self.W + self.b
        return self.act.f(self.z)
    def backward(self, d, lr):
        d = d * self.act.df(self.z)
        dx = d @ self.W.T
        self.W -= lr * self.x.T @ d
        self.b -= lr * d.sum(axis=0, keepdims=True)
        return dx

class Sequential:
    def __init__(self):
        self.stack = []
    def add(self, layer):
        self.stack.append(layer)
    def predict(self, x):
        for layer in self.stack:
            x = layer.forward(x)
        return x
    def train_on_batch(self, x, y, lr=0.01):
        out = self.predict(x)
        d = (out - y) / len(x)
        for layer in self.stack[::-1]:
            d = layer.backward(d, lr)
    def fit(self, x, y, epochs=10, batch_size=32, lr=0.01):
        for e in range(epochs):
            for i in range(0, len(x), batch_size):
                self.train_on_batch(x[i:i + batch_size], y[i:i + batch_size], lr)

if __name__ == "__main__":
    model = Sequential()
    model.add(Dense(16, activation="relu"))
    model.add(Dense(3, activation="sigmoid"))
    model.fit(np.random.rand(50, 4), np.random.rand(50, 3), epochs=2)
