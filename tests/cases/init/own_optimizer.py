# nn/optim.py + nn/model.py merged to one file for the gist
import numpy as np


class Optimizer:
    def step(self, params, grads):
        raise NotImplementedError()


class Adam(Optimizer):
    def __init__(self, lr=1e-3, betas=(0.9, 0.999), eps=1e-8):
        self.lr, self.betas, self.eps = lr, betas, eps
        self.t = 0
        self.m = {}
        self.v = {}

    def step(self, params, grads):
        b1, b2 = self.betas
        for name in params:
            self.t += 1
            g = grads[name]
            m = self.m.get(name, np.zeros_like(g))
            v = self.v.get(name, np.zeros_like(g))
            m = b1 * m + (1 - b1) * g
            v = b2 * v + (1 - b2) * g * g
            self.m[name], self.v[name] = m, v
            m_hat = m / (1 - b1 ** self.t)
            v_hat = v / (1 - b2 ** self.t)
            params[name] -= self.lr * m_hat / (np.sqrt(v_hat) + self.eps)


class Classifier:
    def __init__(self, n_in, n_hidden, n_classes):
        r = np.random.default_rng(5)
        self.params = {
            "fc1.weight": r.normal(0, n_in ** -0.5, (n_hidden, n_in)),
            "fc1.bias": np.zeros(n_hidden),
            "fc2.weight": r.normal(0, n_hidden ** -0.5, (n_classes, n_hidden)),
            "fc2.bias": np.zeros(n_classes),
        }

    def forward(self, x):
        p = self.params
        self.h = np.tanh(x @ p["fc1.weight"].T + p["fc1.bias"])
        logits = self.h @ p["fc2.weight"].T + p["fc2.bias"]
        e = np.exp(logits - logits.max(-1, keepdims=True))
        return e / e.sum(-1, keepdims=True)

    def backward(self, x, y):
        d = (self.forward(x) - y) / x.shape[0]
        dh = (d @ self.params["fc2.weight"]) * (1 - self.h ** 2)
        return {"fc1.weight": dh.T @ x, "fc1.bias": dh.sum(0),
                "fc2.weight": d.T @ self.h, "fc2.bias": d.sum(0)}
