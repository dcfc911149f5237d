import numpy as np

def init_params(n_in, n_hidden, n_out):
    rng = np.random.default_rng(1)
    return {
        "hidden": {"w": rng.normal(0, 0.3, (n_in, n_hidden)), "b": np.zeros(n_hidden)},
        "output": {"w": rng.normal(0, 0.3, (n_hidden, n_out)), "b": np.zeros(n_out)},
    }

def forward(X, params):
    z = X @ params["hidden"]["w"] + params["hidden"]["b"]
    h = np.maximum(z, 0)
    out = h @ params["output"]["w"] + params["output"]["b"]
    return out, (X, z, h)

def loss(X, y, params):
    out, _ = forward(X, params)
    return 0.5 * np.sum((out - y) ** 2) / len(X)

def backward(X, y, params):
    out, (X, z, h) = forward(X, params)
    d = (out - y) / len(X)
    grads = {"output": {"w": h.T @ d, "b": d.sum(axis=0)}}
    d = d @ params["output"]["w"].T * (z > 0)
    grads["hidden"] = {"w": X.T @ d, "b": d.sum(axis=0)}
    return grads

def sgd_update(params, grads, lr):
    for layer in params:
        for k in params[layer]:
            params[layer][k] -= lr * grads[layer][k]
