import numpy as np

class NeuralNet:
    """1 hidden layer, one sample at a time"""
    def __init__(self, no_of_in_nodes, no_of_out_nodes, no_of_hidden_nodes, learning_rate, bias=None):
        self.no_of_in_nodes = no_of_in_nodes
        self.no_of_out_nodes = no_of_out_nodes
        self.no_of_hidden_nodes = no_of_hidden_nodes
        self.learning_rate = learning_rate
        self.bias = bias
        self.create_weight_matrices()

    def create_weight_matrices(self):
        rad = 1 / np.sqrt(self.no_of_in_nodes)
        self.weights_in_hidden = np.random.uniform(-rad, rad, (self.no_of_hidden_nodes, self.no_of_in_nodes))
        rad = 1 / np.sqrt(self.no_of_hidden_nodes)
        self.weights_hidden_out = np.random.uniform(-rad, rad, (self.no_of_out_nodes, self.no_of_hidden_nodes))

    def train(self, input_vector, target_vector):
        input_vector = np.array(input_vector, ndmin=2).T
        target_vector = np.array(target_vector, ndmin=2).T
        output_hidden = sigmoid(np.dot(self.weights_in_hidden, input_vector))
        output_network = sigmoid(np.dot(self.weights_hidden_out, output_hidden))
        output_errors = target_vector - output_network
        tmp = output_errors * output_network * (1.0 - output_network)
        hidden_errors = np.dot(self.weights_hidden_out.T, tmp)
        self.weights_hidden_out += self.learning_rate * np.dot(tmp, output_hidden.T)
        tmp = hidden_errors * output_hidden * (1.0 - output_hidden)
        self.weights_in_hidden += self.learning_rate * np.dot(tmp, input_vector.T)

    def run(self, input_vector):
        input_vector = np.array(input_vector, ndmin=2).T
        output_vector = sigmoid(np.dot(self.weights_in_hidden, input_vector))
        return sigmoid(np.dot(self.weights_hidden_out, output_vector))

def sigmoid(x):
    return 1 / (1 + np.e ** -x)
