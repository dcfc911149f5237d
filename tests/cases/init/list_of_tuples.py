import numpy as np

def relu(x):
    return np.maximum(x, 0)

def init_network(sizes, rng):
    return [(rng.normal(0, np.sqrt(2 / m), (m, n)), np.zeros(n)) for m, n in zip(sizes[:-1], sizes[1:])]

def predict(params, x):
    a = x
    for W, b in params[:-1]:
        a = relu(a @ W + b)
    W, b = params[-1]
    return a @ W + b

def grad(params, x, y):
    acts, zs = [x], []
    a = x
    for k, (W, b) in enumerate(params):
        z = a @ W + b
        zs.append(z)
        a = relu(z) if k < len(params) - 1 else z
        acts.append(a)
    delta = (a - y) / len(x)
    out = []
    for k in range(len(params) - 1, -1, -1):
        out.append((acts[k].T @ delta, delta.sum(0)))
        if k:
            delta = (delta @ params[k][0].T) * (zs[k - 1] > 0)
    return out[::-1]

def sgd(params, x, y, lr):
    return [(W - lr * dW, b - lr * db) for (W, b), (dW, db) in zip(params, grad(params, x, y))]
