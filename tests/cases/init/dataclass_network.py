from dataclasses import dataclass, field
import numpy as np

@dataclass
class TwoLayer:
    n_inputs: int
    n_hidden: int
    n_outputs: int
    seed: int = 0
    W1: np.ndarray = field(init=False)
    W2: np.ndarray = field(init=False)

    def __post_init__(self):
        rng = np.random.default_rng(self.seed)
        self.W1 = rng.normal(scale=0.5, size=(self.n_hidden, self.n_inputs))
        self.W2 = rng.normal(scale=0.5, size=(self.n_outputs, self.n_hidden))

    def __call__(self, x):
        return self.W2 @ np.tanh(self.W1 @ x)

    def gradient(self, x, t):
        h = np.tanh(self.W1 @ x)
        e = self.W2 @ h - t
        return np.outer((self.W2.T @ e) * (1 - h * h), x), np.outer(e, h)

    def learn(self, x, t, eta):
        g1, g2 = self.gradient(x, t)
        self.W1 -= eta * g1
        self.W2 -= eta * g2
