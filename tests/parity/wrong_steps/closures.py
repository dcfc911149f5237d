"""RMSprop with momentum, clipped by the global norm: closures that keep their state."""

import numpy as np

import parity


def rmsprop(shapes, rho=0.9, mu=0.5, eps=1e-7, limit=0.05):
    square = [np.zeros(s) for s in shapes]
    speed = [np.zeros(s) for s in shapes]
    count = 0

    def apply(weights, grads, lr):
        nonlocal count
        count += 1
        norm = np.sqrt(sum(np.sum(g**2) for g in grads))
        if norm > limit:
            grads = [g * limit / norm for g in grads]
        for i, (w, g) in enumerate(zip(weights, grads, strict=True)):
            square[i] = rho * square[i] + (1 - rho) * g**2
            change = lr * g / np.sqrt(square[i] + eps)
            speed[i] = mu * speed[i] + change
            w -= speed[i]

    return apply


def make():
    rng = np.random.default_rng(5)
    w1, b1, w2, b2 = rng.normal(size=(4, 5)), np.zeros(5), rng.normal(size=(5, 3)), np.zeros(3)
    weights = [w1, b1, w2, b2]
    apply = rmsprop([w.shape for w in weights])

    def forward(x):
        return 1 / (1 + np.exp(-x @ w1 - b1)) @ w2 + b2

    def gradients(x, y):
        h = 1 / (1 + np.exp(-x @ w1 - b1))
        d = (h @ w2 + b2 - y) * 2 / y.size
        dz = d @ w2.T * h * (1 - h)
        return [x.T @ dz, dz.sum(axis=0), h.T @ d, d.sum(axis=0)]

    def step(x, y, lr):
        apply(weights, gradients(x, y), lr)

    return parity.Candidate(
        get_weights=lambda: weights,
        forward=forward,
        gradients=gradients,
        loss="mean_squared_error",
        step=step,
        optimizer="RMSprop(rho=0.9, momentum=0.5, global_clipnorm=0.05)",
    )
