import numpy as np

# ---- helper functions -------------------------------------------------

def softmax(Z):
    expZ = np.exp(Z - np.max(Z))
    return expZ / expZ.sum(axis=1, keepdims=True)

def relu(Z):
    return np.maximum(Z, 0)

# ---- model: LINEAR -> RELU -> LINEAR -> RELU -> LINEAR -> SOFTMAX ------

def initialize(n_x, n_h1, n_h2, n_y):
    np.random.seed(1)
    return {
        "W1": np.random.randn(n_h1, n_x) * 0.3, "b1": np.zeros((n_h1, 1)),
        "W2": np.random.randn(n_h2, n_h1) * 0.3, "b2": np.zeros((n_h2, 1)),
        "W3": np.random.randn(n_y, n_h2) * 0.3, "b3": np.zeros((n_y, 1)),
    }

def forward_propagation(X, parameters):
    W1, b1, W2, b2, W3, b3 = [parameters[k] for k in ("W1", "b1", "W2", "b2", "W3", "b3")]
    Z1 = np.dot(W1, X) + b1
    A1 = relu(Z1)
    Z2 = np.dot(W2, A1) + b2
    A2 = relu(Z2)
    Z3 = np.dot(W3, A2) + b3
    A3 = softmax(Z3)
    return A3, (Z1, A1, Z2, A2, Z3, A3)

def backward_propagation(X, Y, parameters):
    m = X.shape[1]
    A3, (Z1, A1, Z2, A2, Z3, _) = forward_propagation(X, parameters)
    dZ3 = A3 - Y
    dW3 = 1. / m * np.dot(dZ3, A2.T)
    db3 = 1. / m * np.sum(dZ3, axis=1, keepdims=True)
    dZ2 = np.dot(parameters["W3"].T, dZ3) * np.int64(A2 > 0)
    dW2 = 1. / m * np.dot(dZ2, A1.T)
    db2 = 1. / m * np.sum(dZ2, axis=1, keepdims=True)
    dZ1 = np.dot(parameters["W2"].T, dZ2) * np.int64(A1 > 0)
    dW1 = 1. / m * np.dot(dZ1, X.T)
    db1 = 1. / m * np.sum(dZ1, axis=1, keepdims=True)
    return {"W1": dW1, "b1": db1, "W2": dW2, "b2": db2, "W3": dW3, "b3": db3}
