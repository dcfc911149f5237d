"""Programming Exercise 4: Neural Network Learning (Machine Learning, Octave -> Python)"""
import numpy as np


def sigmoid(z):
    return 1.0 / (1.0 + np.exp(-z))


def sigmoidGradient(z):
    g = sigmoid(z)
    return g * (1 - g)


def randInitializeWeights(L_in, L_out, epsilon_init=0.12):
    return np.random.rand(L_out, 1 + L_in) * 2 * epsilon_init - epsilon_init


def predict(Theta1, Theta2, X):
    m = X.shape[0]
    h1 = sigmoid(np.c_[np.ones(m), X] @ Theta1.T)
    h2 = sigmoid(np.c_[np.ones(m), h1] @ Theta2.T)
    return h2


def nnCostFunction(nn_params, input_layer_size, hidden_layer_size, num_labels, X, y, lambda_):
    # Reshape nn_params back into the parameters Theta1 and Theta2
    n1 = hidden_layer_size * (input_layer_size + 1)
    Theta1 = nn_params[:n1].reshape(hidden_layer_size, input_layer_size + 1)
    Theta2 = nn_params[n1:].reshape(num_labels, hidden_layer_size + 1)

    m = X.shape[0]
    Y = np.eye(num_labels)[y]

    a1 = np.hstack([np.ones((m, 1)), X])
    z2 = a1 @ Theta1.T
    a2 = np.hstack([np.ones((m, 1)), sigmoid(z2)])
    a3 = sigmoid(a2 @ Theta2.T)

    J = np.sum(-Y * np.log(a3) - (1 - Y) * np.log(1 - a3)) / m
    J += lambda_ / (2 * m) * (np.sum(Theta1[:, 1:] ** 2) + np.sum(Theta2[:, 1:] ** 2))

    Theta1_grad = np.zeros(Theta1.shape)
    Theta2_grad = np.zeros(Theta2.shape)
    for t in range(m):
        d3 = a3[t] - Y[t]
        d2 = (Theta2.T @ d3)[1:] * sigmoidGradient(z2[t])
        Theta2_grad += np.outer(d3, a2[t])
        Theta1_grad += np.outer(d2, a1[t])
    Theta1_grad /= m
    Theta2_grad /= m
    # regularization, not for the bias column
    Theta1_grad[:, 1:] += lambda_ / m * Theta1[:, 1:]
    Theta2_grad[:, 1:] += lambda_ / m * Theta2[:, 1:]

    grad = np.r_[Theta1_grad.ravel(), Theta2_grad.ravel()]
    return J, grad
