"""An LSTM as functions of a dict of weights; the mean squared error of its last state."""

import numpy as np

rng = np.random.default_rng(1)
H = 4
P = {
    "Wx": 0.5 * rng.normal(size=(3, 16)),
    "Wh": 0.4 * rng.normal(size=(4, 16)),
    "b": 0.2 * rng.normal(size=16),
    "w": 0.5 * rng.normal(size=(4, 2)),
}


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def forward(x):
    h, c = np.zeros((len(x), H)), np.zeros((len(x), H))
    cache = []
    for t in range(x.shape[1]):
        a = x[:, t] @ P["Wx"] + h @ P["Wh"] + P["b"]
        i, f, o = sigmoid(a[:, :H]), sigmoid(a[:, H : 2 * H]), sigmoid(a[:, 2 * H : 3 * H])
        g = np.tanh(a[:, 3 * H :])
        c_prev, h_prev = c, h
        c = f * c_prev + i * g
        h = o * np.tanh(c)
        cache.append((x[:, t], h_prev, c_prev, c, i, f, o, g))
    return h, cache


def loss(x, y):
    h, _ = forward(x)
    return np.mean((h @ P["w"] - y) ** 2)


def gradients(x, y):
    h, cache = forward(x)
    error = 2 * (h @ P["w"] - y) / y.size
    grads = {name: np.zeros_like(w) for name, w in P.items()}
    grads["w"] = h.T @ error
    dh, dc = error @ P["w"].T, np.zeros_like(h)
    for xt, h_prev, c_prev, c, i, f, o, g in reversed(cache):
        tc = np.tanh(c)
        do = dh * tc
        dc = dc + dh * o * (1 - tc**2)
        di, dg, df = dc * g, dc * i, dc * c_prev
        dai = di * i * (1 - i)
        daf = df * f * (1 - f)
        dao = do * o * (1 - o)
        dag = dg * (1 - g**2)
        da = np.hstack([dai, daf, dao, dag])
        grads["Wx"] += xt.T @ da
        grads["Wh"] += h_prev.T @ da
        grads["b"] += da.sum(axis=0)
        dh = da @ P["Wh"].T
        dc = dc * f
    return grads


def make():
    import parity

    return parity.Candidate(
        get_weights=lambda: P,
        gradients=gradients,
        loss=loss,
        data=lambda rng: (rng.normal(size=(5, 4, 3)), rng.normal(size=(5, 2))),
    )
