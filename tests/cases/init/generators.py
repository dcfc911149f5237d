import numpy as np

sizes = (5, 7, 3)

def new_weights(seed=0):
    rng = np.random.default_rng(seed)
    for a, b in zip(sizes, sizes[1:]):
        yield rng.normal(size=(a, b)) / a ** 0.5

theta = list(new_weights())

def activations(x):
    yield x
    for k, w in enumerate(theta):
        x = np.tanh(x @ w) if k < len(theta) - 1 else x @ w
        yield x

def gradients(x, y):
    *a, out = activations(x)
    d = (out - y) / len(x)
    for k in reversed(range(len(theta))):
        yield a[k].T @ d
        d = d @ theta[k].T * (1 - a[k] ** 2)

def descend(x, y, rate=0.1):
    for w, g in zip(reversed(theta), gradients(x, y)):
        w -= rate * g
