import numpy as np
import sys

def load(path):
    return np.load(path)

data = load("mnist.npz")
images, labels = data["x_train"][0:1000].reshape(1000, 28 * 28) / 255, data["y_train"][0:1000]

np.random.seed(1)
relu = lambda x: (x >= 0) * x
relu2deriv = lambda x: x >= 0
alpha, iterations, hidden_size, pixels_per_image, num_labels = (0.005, 5, 40, 784, 10)
weights_0_1 = 0.2 * np.random.random((pixels_per_image, hidden_size)) - 0.1
weights_1_2 = 0.2 * np.random.random((hidden_size, num_labels)) - 0.1

def predict(layer_0):
    layer_1 = relu(np.dot(layer_0, weights_0_1))
    return np.dot(layer_1, weights_1_2)

def learn(layer_0, target):
    global weights_0_1, weights_1_2
    layer_1 = relu(np.dot(layer_0, weights_0_1))
    layer_2 = np.dot(layer_1, weights_1_2)
    layer_2_delta = target - layer_2
    layer_1_delta = layer_2_delta.dot(weights_1_2.T) * relu2deriv(layer_1)
    weights_1_2 += alpha * layer_1.T.dot(layer_2_delta)
    weights_0_1 += alpha * layer_0.T.dot(layer_1_delta)

for j in range(iterations):
    for i in range(len(images)):
        learn(images[i:i + 1], np.eye(10)[labels[i:i + 1]])
    sys.stdout.write("\r I:" + str(j))
