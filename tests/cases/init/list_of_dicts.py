import numpy as np

class MLP:
    def __init__(self, dims, lr=1e-2, seed=0):
        rng = np.random.default_rng(seed)
        self.lr = lr
        self.params = []
        for i, o in zip(dims[:-1], dims[1:]):
            self.params.append({"W": rng.normal(0, (2 / i) ** 0.5, (i, o)), "b": np.zeros((1, o))})

    def forward(self, X):
        cache = [X]
        for i, p in enumerate(self.params):
            X = X @ p["W"] + p["b"]
            if i < len(self.params) - 1:
                X = np.maximum(X, 0)
            cache.append(X)
        return X, cache

    def backward(self, cache, y):
        grads = []
        d = (cache[-1] - y) / len(y)
        for i in range(len(self.params) - 1, -1, -1):
            grads.insert(0, {"W": cache[i].T @ d, "b": d.sum(axis=0, keepdims=True)})
            if i > 0:
                d = d @ self.params[i]["W"].T * (cache[i] > 0)
        return grads

    def train_step(self, X, y):
        out, cache = self.forward(X)
        grads = self.backward(cache, y)
        for p, g in zip(self.params, grads):
            p["W"] -= self.lr * g["W"]
            p["b"] -= self.lr * g["b"]
        return float(((out - y) ** 2).mean())
