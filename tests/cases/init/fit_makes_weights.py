import numpy as np

class NeuralNetwork:
    def __init__(self, learning_rate=0.01, n_hidden=16, epochs=100):
        self.lr = learning_rate
        self.n_hidden = n_hidden
        self.epochs = epochs

    def _sigmoid(self, z):
        return 1.0 / (1.0 + np.exp(-z))

    def fit(self, X, y):
        n_samples, n_features = X.shape
        n_out = y.shape[1]
        self.w1 = np.random.normal(0, 0.1, (n_features, self.n_hidden))
        self.b1 = np.zeros(self.n_hidden)
        self.w2 = np.random.normal(0, 0.1, (self.n_hidden, n_out))
        self.b2 = np.zeros(n_out)
        for _ in range(self.epochs):
            a1 = self._sigmoid(X @ self.w1 + self.b1)
            a2 = self._sigmoid(a1 @ self.w2 + self.b2)
            d2 = (a2 - y) * a2 * (1 - a2)
            d1 = d2 @ self.w2.T * a1 * (1 - a1)
            self.w2 -= self.lr * a1.T @ d2 / n_samples
            self.b2 -= self.lr * d2.mean(axis=0)
            self.w1 -= self.lr * X.T @ d1 / n_samples
            self.b1 -= self.lr * d1.mean(axis=0)
        return self

    def predict_proba(self, X):
        a1 = self._sigmoid(X @ self.w1 + self.b1)
        return self._sigmoid(a1 @ self.w2 + self.b2)

    def predict(self, X):
        return (self.predict_proba(X) > 0.5).astype(int)
