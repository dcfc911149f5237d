"""sigmoid written without its brackets: 1 / 1 + exp(-z). Expected, without a reference: WRONG (or CANNOT TELL)
with "layer 1's activation is 1 + exp(-z): brackets of 1 / (1 + exp(-z)) missing". Now: CANNOT TELL, "no known
activations give its outputs; give reference=..."; with the reference "unknown: the forward pass is another
function". With forward returning every layer (make_layers) it is placed, not named."""
import numpy as np

import parity


def sigmoid(z): return 1 / 1 + np.exp(-z)

class Net:
    def __init__(self, rng=np.random.default_rng(0)):
        self.W, self.b = rng.normal(size=(9, 7)), np.zeros(7)
        self.V, self.c = rng.normal(size=(7, 4)), np.zeros(4)
    def layers(self, x):
        h = sigmoid(x @ self.W + self.b)
        e = np.exp(h @ self.V + self.c)
        return [h, e / e.sum(axis=1, keepdims=True)]
    def gradients(self, x, y):
        h, p = self.layers(x)
        d2 = (p - y) / len(x)
        d1 = d2 @ self.V.T * h * (1 - h)
        return [x.T @ d1, d1.sum(0), h.T @ d2, d2.sum(0)]

def make(every=False):
    n = Net()
    return parity.Candidate(get_weights=lambda: [n.W, n.b, n.V, n.c], gradients=n.gradients,
                            forward=n.layers if every else lambda x: n.layers(x)[-1])
def make_layers(): return make(True)
def model():
    import keras
    L = keras.layers
    return keras.Sequential([keras.Input((9,)), L.Dense(7, "sigmoid"), L.Dense(4, "softmax")])
