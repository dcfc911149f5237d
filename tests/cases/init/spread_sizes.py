# Batch gradient descent, the didactic way: one sample after the other, gradients are averaged.
import numpy as np


def make_layers(*sizes, seed=2):
    rnd = np.random.default_rng(seed)
    return [dict(W=rnd.normal(0, 0.6, (o, i)), b=rnd.normal(0, 0.2, o)) for i, o in zip(sizes, sizes[1:])]


def apply_net(layers, v):
    acts = [v]
    for n, layer in enumerate(layers):
        v = layer["W"] @ v + layer["b"]
        if n + 1 < len(layers):
            v = np.maximum(v, 0)
        acts.append(v)
    return acts


def sample_gradient(layers, v, t):
    acts = apply_net(layers, v)
    delta = acts[-1] - t
    result = [None] * len(layers)
    for n in range(len(layers) - 1, -1, -1):
        result[n] = dict(W=np.outer(delta, acts[n]), b=delta)
        if n > 0:
            delta = (layers[n]["W"].T @ delta) * (acts[n] > 0)
    return result


def batch_gradient(layers, X, Y):
    total = sample_gradient(layers, X[0], Y[0])        # start with the first sample ...
    for i in range(1, len(X) - 1):                     # ... and add the others
        g = sample_gradient(layers, X[i], Y[i])
        for n in range(len(layers)):
            total[n]["W"] = total[n]["W"] + g[n]["W"]
            total[n]["b"] = total[n]["b"] + g[n]["b"]
    for n in range(len(layers)):
        total[n]["W"] = total[n]["W"] / len(X)
        total[n]["b"] = total[n]["b"] / len(X)
    return total


def predict(layers, X):
    return np.array([apply_net(layers, v)[-1] for v in X])
