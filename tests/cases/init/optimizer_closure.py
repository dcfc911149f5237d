import numpy as np


def make_params(d, h, k, seed=5):
    r = np.random.RandomState(seed)
    return {'Wx': r.randn(d, h) * 0.4, 'bx': np.zeros(h), 'Wo': r.randn(h, k) * 0.4, 'bo': np.zeros(k)}


def forward(params, X):
    H = np.tanh(X.dot(params['Wx']) + params['bx'])
    return H, H.dot(params['Wo']) + params['bo']


def mse(params, X, Y):
    return 0.5 * np.sum((forward(params, X)[1] - Y) ** 2) / len(X)


def backward(params, X, Y):
    H, out = forward(params, X)
    dout = (out - Y) / len(X)
    dH = dout.dot(params['Wo'].T) * (1 - H * H)
    return {'Wx': X.T.dot(dH), 'bx': dH.sum(0), 'Wo': H.T.dot(dout), 'bo': dout.sum(0)}


def rmsprop(params, decay_rate=0.9, eps=1e-7):
    cache = {k: np.zeros_like(v) for k, v in params.items()}

    def update(grads, learning_rate):
        for k in params:
            cache[k] += decay_rate * cache[k] + (1 - decay_rate) * grads[k] ** 2
            params[k] += -learning_rate * grads[k] / (np.sqrt(cache[k]) + eps)

    return update
