"""Twin branches with the contrastive loss, with a residual layer, as functions of a dict."""

import numpy as np

r = np.random.default_rng(5)
P = {
    "W1": 0.5 * r.normal(size=(4, 4)),
    "b1": 0.1 * r.normal(size=4),
    "W2": 0.5 * r.normal(size=(4, 4)),
    "W3": 0.5 * r.normal(size=(4, 3)),
    "b3": 0.1 * r.normal(size=3),
}
MARGIN = 2.5


def embed(x):
    h = np.tanh(x @ P["W1"] + P["b1"])
    s = h + np.tanh(h @ P["W2"])
    return h, s, s @ P["W3"] + P["b3"]


def distance(one, other):
    return np.sqrt(((one - other) ** 2).sum(axis=1) + 1e-9)


def loss(x, same):
    d = distance(embed(x[:, 0])[2], embed(x[:, 1])[2])
    return np.mean(same * d**2 + (1 - same) * np.maximum(MARGIN - d, 0) ** 2)


def branch(x, de):
    h, s, _ = embed(x)
    dW3 = s.T @ de
    ds = de @ P["W3"].T
    dr = ds * (1 - (s - h) ** 2)
    dW2 = h.T @ dr
    dh = ds + dr @ P["W2"].T
    dz = dh * (1 - h**2)
    db3 = de.sum(axis=0)
    return {"W1": x.T @ dz, "b1": dz.sum(axis=0), "W2": dW2, "W3": dW3, "b3": db3}


def gradients(x, same):
    one, other = embed(x[:, 0])[2], embed(x[:, 1])[2]
    d = distance(one, other)
    dd = 2 * same * d - 2 * (1 - same) * np.maximum(MARGIN - d, 0)
    de = (dd / d)[:, None] * (one - other) / len(x)
    left, right = branch(x[:, 0], de), branch(x[:, 1], -de)
    return {name: left[name] + right[name] for name in P}


def make():
    import parity

    return parity.Candidate(
        get_weights=lambda: P,
        gradients=gradients,
        loss=loss,
        data=lambda rng: (rng.normal(size=(9, 2, 4)), rng.integers(0, 2, 9).astype(float)),
    )
