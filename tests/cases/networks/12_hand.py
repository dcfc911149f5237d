import importlib

import numpy as np

m = importlib.import_module("12_cbow")
W = list(m.initialize_model(5, 9))  # W1 W2 b1 b2


def forward(x):
    return m.softmax(m.forward_prop(x, *W)[0])


def gradients(x, y):
    z, h = m.forward_prop(x, *W)
    return m.back_prop(x, m.softmax(z), y, h, *W, x.shape[1])


def make(**more):
    import parity

    return parity.Candidate(get_weights=lambda: W, forward=forward, gradients=gradients, **more)


def make_loss():
    return make(loss=lambda x, y: m.compute_cost(y, forward(x), x.shape[1]))


if __name__ == "__main__":
    from _truth import compare, numeric

    r = np.random.RandomState(0)
    W[:] = [r.randn(*w.shape) * 0.5 for w in W]
    x, y = r.rand(9, 6), np.eye(9)[:, r.randint(0, 9, 6)]
    compare(["W1", "W2", "b1", "b2"], gradients(x, y), numeric(lambda: m.compute_cost(y, forward(x), 6), W))
