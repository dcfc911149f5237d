import numpy as np

def sigmoid(x):
    return 1 / (1 + np.exp(-x))

def main():
    np.random.seed(0)
    X = np.random.rand(20, 3)
    y = (X.sum(axis=1, keepdims=True) > 1.5) * 1.0
    w1, b1 = np.random.randn(3, 4), np.zeros((1, 4))
    w2, b2 = np.random.randn(4, 1), np.zeros((1, 1))
    lr = 0.5
    for epoch in range(100):
        h = sigmoid(X @ w1 + b1)
        p = sigmoid(h @ w2 + b2)
        dp = (p - y) / len(X)
        dh = dp @ w2.T * h * (1 - h)
        w2 -= lr * h.T @ dp
        b2 -= lr * dp.sum(0, keepdims=True)
        w1 -= lr * X.T @ dh
        b1 -= lr * dh.sum(0, keepdims=True)

if __name__ == "__main__":
    main()
