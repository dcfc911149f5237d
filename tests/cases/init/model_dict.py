import numpy as np

def build_model(nn_input_dim, nn_hdim, nn_output_dim):
    np.random.seed(0)
    model = {}
    model['W1'] = np.random.randn(nn_input_dim, nn_hdim) / np.sqrt(nn_input_dim)
    model['b1'] = np.zeros((1, nn_hdim))
    model['W2'] = np.random.randn(nn_hdim, nn_output_dim) / np.sqrt(nn_hdim)
    model['b2'] = np.zeros((1, nn_output_dim))
    return model

def forward(model, x):
    z1 = x.dot(model['W1']) + model['b1']
    a1 = np.tanh(z1)
    z2 = a1.dot(model['W2']) + model['b2']
    e = np.exp(z2)
    return a1, e / np.sum(e, axis=1, keepdims=True)

def gradient_step(model, X, y, epsilon=0.01):
    num_examples = len(X)
    a1, probs = forward(model, X)
    delta3 = probs.copy()
    delta3[range(num_examples), y] -= 1
    dW2 = a1.T.dot(delta3)
    db2 = np.sum(delta3, axis=0, keepdims=True)
    delta2 = delta3.dot(model['W2'].T) * (1 - a1 ** 2)
    dW1 = np.dot(X.T, delta2)
    db1 = np.sum(delta2, axis=0)
    model['W1'] += -epsilon * dW1
    model['b1'] += -epsilon * db1
    model['W2'] += -epsilon * dW2
    model['b2'] += -epsilon * db2
