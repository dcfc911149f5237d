"""Fit a 1-d signal with sin units. One function does it all. Only the last layer has a bias."""
import numpy as np


def new_params(n_in=2, n_hidden=12, n_out=1, rng=None):
    rng = rng or np.random.default_rng(28)
    W = {"in": rng.uniform(-2, 2, (n_in, n_hidden)),
         "out": rng.uniform(-1, 1, (n_hidden, n_out)) / np.sqrt(n_hidden),
         "bias": np.zeros(n_out)}
    return W, {k: np.zeros_like(v) for k, v in W.items()}


def f(W, X):
    return np.sin(X @ W["in"]) @ W["out"] + W["bias"]


def train(X, Y, W, V, lr=0.01, mu=0.9, iterations=1):
    """Nesterov, in the rewritten form where W is already the look-ahead point"""
    history = []
    for _ in range(iterations):
        u = X @ W["in"]
        s = np.sin(u)
        diff = s @ W["out"] + W["bias"] - Y
        history.append((diff ** 2).sum(axis=1).mean())
        d = 2 * diff / len(X)
        G = {"in": X.T @ (d @ W["out"].T * np.cos(u)), "out": s.T @ d, "bias": d.sum(axis=0)}
        for k in W:
            v_prev = V[k].copy()
            V[k] = mu * V[k] - lr * G[k]
            W[k] += -mu * v_prev + (1 + mu) * V[k]
    return history
