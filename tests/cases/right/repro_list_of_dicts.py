"""RIGHT. Weights and gradients are lists of dicts; within a layer, b comes before w."""

# pyright: reportFunctionMemberAccess=false
import numpy as np

import parity

rng = np.random.default_rng(0)
P = [{"w": rng.normal(size=s), "b": rng.normal(size=s[1])} for s in ((6, 5), (5, 4))]


def forward(x):
    forward.h = np.tanh(x @ P[0]["w"] + P[0]["b"])
    return forward.h @ P[1]["w"] + P[1]["b"]


def gradients(x, y):
    d2 = (forward(x) - y) / len(x)
    top = {"b": d2.sum(0), "w": forward.h.T @ d2}
    d1 = d2 @ P[1]["w"].T * (1 - forward.h**2)
    return [{"b": d1.sum(0), "w": x.T @ d1}, top]


def make():
    return parity.Candidate(get_weights=lambda: P, forward=forward, gradients=gradients)
