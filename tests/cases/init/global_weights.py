import numpy as np

rng = np.random.RandomState(42)
W1 = rng.randn(2, 3)
b1 = np.zeros((1, 3))
W2 = rng.randn(3, 1)
b2 = np.zeros((1, 1))
lr = 0.1

def sigmoid(x):
    return 1 / (1 + np.exp(-x))

def forward(X):
    h = sigmoid(X @ W1 + b1)
    out = sigmoid(h @ W2 + b2)
    return h, out

def backward(X, y, h, out):
    global W1, b1, W2, b2
    d_out = (out - y) * out * (1 - out)
    dW2 = h.T @ d_out
    db2 = d_out.sum(axis=0, keepdims=True)
    d_h = d_out @ W2.T * h * (1 - h)
    dW1 = X.T @ d_h
    db1 = d_h.sum(axis=0, keepdims=True)
    W2 -= lr * dW2
    b2 -= lr * db2
    W1 -= lr * dW1
    b1 -= lr * db1

X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
y = np.array([[0], [1], [1], [0]])
for epoch in range(200):
    h, out = forward(X)
    backward(X, y, h, out)
print(out)
