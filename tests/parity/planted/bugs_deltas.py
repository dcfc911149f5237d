"""Derivatives of activations: left out, of another function, taken at another place."""

from tests.parity.planted.bug import Bug
from tests.parity.planted.nets import (
    D0,
    D2_WHOLE,
    D3,
    D4,
    MOMENTUM,
    PLAIN,
    RELU,
    SIGMOID,
    SOFTMAX,
    SQUARE,
    TANH,
)

SLOPE_A = 'slope(cache[f"z{i - 1}"]) => '
SLOPE_B = "self.derivative(self.activations[i - 1], self.net.hidden) => "
SIGMOID_C, TANH_C = "grad * self.a * (1.0 - self.a) => ", "grad * (1.0 - self.a * self.a) => "
OUTPUT_D = "delta = a * (1 - a) * (a - y) => "
HIDDEN_D = "delta = e * self.a[i] * (1 - self.a[i]) => "
AGAIN_C = SIGMOID_C + "grad * np.exp(-self.a) / (1 + np.exp(-self.a)) ** 2"
SKIP_C = "for layer in reversed(self.layers): => for layer in reversed(self.layers[:-1]):"

BUGS = [
    Bug(
        name="output derivative missing", net=SIGMOID, codes="missing-derivative",
        where="output", loss="quadratic",
        A="(a - y) * PRIMES[net.output](z) => (a - y)",
        B="(a - y) * self.derivative(a, self.net.output) => a - y",
        C=SKIP_C,
        D=OUTPUT_D + "delta = a - y",
        also=(D0,), keras=True,
    ),
    Bug(
        name="tanh output derivative missing", net=TANH, codes="missing-derivative",
        where="output",
        A="(a - y) * PRIMES[net.output](z) => (a - y)",
        B="(a - y) * self.derivative(a, self.net.output) => a - y",
        C=SKIP_C,
    ),
    Bug(
        name="hidden derivatives missing", net=SOFTMAX, codes="missing-derivative",
        where="layer {top}'s delta",
        A=SLOPE_A + "1", B=SLOPE_B + "1", C=SIGMOID_C + "grad", also=(D3,),
    ),
    Bug(
        name="first derivative missing", net=SOFTMAX, codes="missing-derivative", where="layer 1",
        A=SLOPE_A + '(slope(cache[f"z{i - 1}"]) if i > 2 else 1)',
        B="delta = delta * self.derivative => if i > 1:\n"
        "                    delta = delta * self.derivative",
        C="grad = layer.backward(grad) => if layer is not self.layers[1]:\n"
        "                grad = layer.backward(grad)",
    ),
    Bug(
        name="hidden derivatives missing in a momentum step", net=MOMENTUM, by="step",
        codes="missing-derivative", where="layer {top}'s delta",
        A=SLOPE_A + "1", B=SLOPE_B + "1", C=SIGMOID_C + "grad",
    ),
    Bug(
        name="sigmoid' at the activation", net=SOFTMAX, codes="derivative-at-activation",
        where="layer {top}'s delta",
        A=SLOPE_A + 'slope(cache[f"a{i - 1}"])',
        B=SLOPE_B + "self.derivative(sigmoid(self.activations[i - 1]), self.net.hidden)",
        C=AGAIN_C,
        also=(D3,),
    ),
    Bug(
        name="tanh' at the activation", net=PLAIN, codes="derivative-at-activation",
        where="layer {top}'s delta",
        A=SLOPE_A + 'slope(cache[f"a{i - 1}"])',
        B="return 1 - a**2 => return 1 - np.tanh(a) ** 2",
        C=TANH_C + "grad * (1.0 - np.tanh(self.a) ** 2)", also=(D2_WHOLE,),
    ),
    Bug(
        name="output sigmoid' at the activation", net=SIGMOID, codes="derivative-at-activation",
        where="output",
        A="PRIMES[net.output](z) => PRIMES[net.output](a)",
        B="self.derivative(a, self.net.output) => self.derivative(sigmoid(a), self.net.output)",
        C=AGAIN_C,
        D=OUTPUT_D + "delta = sigmoid(a) * (1 - sigmoid(a)) * (a - y)",
        also=(D0,),
    ),
    Bug(
        name="a(1 - a) at z", net=SOFTMAX, codes="derivative-at-pre-activation",
        where="layer {top}'s delta",
        A="return sigmoid(z) * (1 - sigmoid(z)) => return z * (1 - z)",
        B=SLOPE_B + "self.derivative(self.zs[i - 1], self.net.hidden)",
        C=SIGMOID_C + "grad * self.z * (1.0 - self.z)",
        also=(D3,),
    ),
    Bug(
        name="1 - a^2 at z", net=PLAIN, codes="derivative-at-pre-activation",
        where="layer {top}'s delta",
        A="return 1 - np.tanh(z) ** 2 => return 1 - z**2",
        B=SLOPE_B + "self.derivative(self.zs[i - 1], self.net.hidden)",
        C=TANH_C + "grad * (1.0 - self.z**2)",
    ),
    Bug(
        name="a(1 - a) at the output's z", net=SIGMOID, codes="derivative-at-pre-activation",
        where="output",
        A="return sigmoid(z) * (1 - sigmoid(z)) => return z * (1 - z)",
        B="self.derivative(a, self.net.output) => self.derivative(self.zs[-1], self.net.output)",
        C=SIGMOID_C + "grad * self.z * (1.0 - self.z)",
        D=OUTPUT_D + "z = self.weights[-1] @ with_one(self.a[-2])\n"
        "        delta = z * (1 - z) * (a - y)",
        also=(D0,),
    ),
    Bug(
        name="tanh' for sigmoid", net=SOFTMAX, codes="other-derivative",
        where="layer {top}'s delta",
        A='"sigmoid": sigmoid_prime => "sigmoid": tanh_prime',
        B="return a * (1 - a) => return 1 - a**2",
        C=SIGMOID_C + "grad * (1.0 - self.a**2)",
        text="tanh",
    ),
    Bug(
        name="sigmoid' for tanh", net=PLAIN, codes="other-derivative", where="layer {top}'s delta",
        A='"tanh": tanh_prime => "tanh": sigmoid_prime',
        B="return 1 - a**2 => return a * (1 - a)",
        C=TANH_C + "grad * self.a * (1.0 - self.a)",
        text="sigmoid",
    ),
    Bug(
        name="leaky ReLU' for ReLU", net=RELU, codes="other-derivative",
        where="layer {top}'s delta",
        A="np.where(z > 0, 1.0, 0.0) => np.where(z > 0, 1.0, 0.01)",
        B="return (a > 0).astype(float) => return np.where(a > 0, 1.0, 0.01)",
        C="np.where(self.z > 0, grad, 0.0) => np.where(self.z > 0, grad, 0.01 * grad)",
        text="leaky",
    ),
    Bug(
        name="ReLU mask a >= 0", net=RELU, codes="missing-derivative", where="layer {top}'s delta",
        A=("z > 0, 1.0 => z >= 0, 1.0", SLOPE_A + 'slope(cache[f"a{i - 1}"])'),
        B="return (a > 0) => return (a >= 0)",
        C="np.where(self.z > 0, => np.where(self.a >= 0,",
        text=">=", also=(D4,), declared=(("labels", "one-hot"),),
    ),
    Bug(
        name="derivative multiplied in twice", net=SOFTMAX, codes="derivative-twice",
        where="layer {top}'s delta",
        A=SLOPE_A + 'slope(cache[f"z{i - 1}"]) ** 2',
        B=SLOPE_B + "self.derivative(self.activations[i - 1], self.net.hidden) ** 2",
        C=SIGMOID_C + "grad * (self.a * (1.0 - self.a)) ** 2",
    ),
    Bug(
        name="derivative of the layer below", net=SQUARE, codes="derivative-of-other-layer",
        where="layer 3's delta",
        A=SLOPE_A + 'slope(cache[f"z{max(i - 2, 1)}"])',
        B=SLOPE_B + "self.derivative(self.activations[max(i - 2, 0)], self.net.hidden)",
    ),
    Bug(
        name="folded hidden derivatives missing", net=SIGMOID, codes="missing-derivative",
        where="layer {top}'s delta", D=HIDDEN_D + "delta = e", also=(D0,),
    ),
    Bug(
        name="folded sigmoid' at the activation", net=SIGMOID, codes="derivative-at-activation",
        where="layer {top}'s delta",
        D=HIDDEN_D + "s = sigmoid(self.a[i])\n            delta = e * s * (1 - s)",
    ),
    Bug(
        name="folded tanh' for sigmoid", net=SIGMOID, codes="other-derivative",
        where="layer {top}'s delta", D=HIDDEN_D + "delta = e * (1 - self.a[i] ** 2)", also=(D0,),
    ),
]  # fmt: skip
