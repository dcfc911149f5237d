"""Factors and signs: of the whole gradient, of one layer, of a bias."""

from tests.parity.planted.bug import Bug
from tests.parity.planted.nets import D0, D3, SIGMOID, SOFTMAX

LOSS = "categorical_crossentropy"
END_A, END_B = "    return grads <+ ", "return nabla_w, nabla_b <+ "
END_C = "return [g for layer in self.dense <+ first, *rest = self.dense\n"

BUGS = [
    Bug(
        name="divided by m twice", net=SOFTMAX, codes="over-m", where="all gradients",
        A="delta = delta / m => delta = delta / m / m",
        B=(".T) / m + self => .T) / m**2 + self", "keepdims=True) / m => keepdims=True) / m**2"),
        C="return -y / a / len(y) => return -y / a / len(y) ** 2",
    ),
    Bug(
        name="divided by m - 1", net=SOFTMAX, codes="over-m-minus-1", where="all gradients",
        A="m = len(x) => m = len(x) - 1",
        B="m = x.shape[1]\n => m = x.shape[1] - 1\n",
        C="return -y / a / len(y) => return -y / a / (len(y) - 1)",
    ),
    Bug(
        name="divided by m - 1, declared", net=SIGMOID, codes="over-m-minus-1",
        where="all gradients", loss="quadratic",
        A="m = len(x) => m = len(x) - 1",
        D="m = x.shape[1]\n => m = x.shape[1] - 1\n",
        also=(D0,),
    ),
    Bug(
        name="layer 1 averaged over the outputs too", net=SOFTMAX, codes="over-outputs",
        where="layer 1",
        A=END_A + "grads['W1'] /= net.sizes[-1]\ngrads['b1'] /= net.sizes[-1]",
    ),
    Bug(
        name="layer 1 not divided by m", net=SOFTMAX, codes="times-m", where="layer 1",
        A=END_A + "grads['W1'] *= m\ngrads['b1'] *= m",
        B=END_B + "nabla_w[0] *= m\nnabla_b[0] *= m",
        C=END_C + "first.dW *= len(x)\nfirst.db *= len(x)",
        also=(D3,),
    ),
    Bug(
        name="layer 2 divided by m twice", net=SOFTMAX, codes="over-m", where="layer 2",
        A=END_A + "grads['W2'] /= m\ngrads['b2'] /= m",
        B=END_B + "nabla_w[1] /= m\nnabla_b[1] /= m",
        C=END_C + "rest[0].dW /= len(x)\nrest[0].db /= len(x)",
    ),
    Bug(
        name="biases not divided by m", net=SOFTMAX, codes="times-m", where="layer 3 bias",
        A="np.sum(delta, axis=0) => np.sum(delta, axis=0) * m",
        B="keepdims=True) / m => keepdims=True)",
        C="grad.sum(axis=0) => grad.sum(axis=0) * len(grad)",
    ),
    Bug(
        name="biases averaged once more", net=SOFTMAX, codes="over-m", where="layer 3 bias",
        A="np.sum(delta, axis=0) => np.mean(delta, axis=0)",
        B="delta.sum(axis=1, keepdims=True) => delta.mean(axis=1, keepdims=True)",
        C="grad.sum(axis=0) => grad.mean(axis=0)",
    ),
    Bug(
        name="whole gradient doubled", net=SOFTMAX, codes="times-2", where="all gradients",
        loss=LOSS,
        A="delta = delta / m => delta = 2 * delta / m",
        B="return a - y => return 2 * (a - y)",
        C="return -y / a / len(y) => return -2 * y / a / len(y)",
        keras=True,
    ),
    Bug(
        name="whole gradient halved", net=SOFTMAX, codes="times-half", where="all gradients",
        loss=LOSS,
        A="delta = delta / m => delta = delta / (2 * m)",
        B="return a - y => return (a - y) / 2",
        C="return -y / a / len(y) => return -y / a / 2 / len(y)",
    ),
    Bug(
        name="layer 2 doubled", net=SOFTMAX, codes="times-2", where="layer 2",
        A=END_A + "grads['W2'] *= 2\ngrads['b2'] *= 2",
        B=END_B + "nabla_w[1] *= 2\nnabla_b[1] *= 2",
        C=END_C + "rest[0].dW *= 2\nrest[0].db *= 2",
    ),
    Bug(
        name="kernel 3 halved", net=SOFTMAX, codes="times-half", where="layer 3 kernel",
        A=END_A + "grads['W3'] /= 2",
        B=END_B + "nabla_w[2] /= 2",
        C=END_C + "rest[-1].dW /= 2",
    ),
    Bug(
        name="bias 1 doubled", net=SOFTMAX, codes="times-2", where="layer 1 bias",
        A=END_A + "grads['b1'] *= 2",
        B=END_B + "nabla_b[0] *= 2",
        C=END_C + "first.db *= 2",
    ),
    Bug(
        name="biases halved", net=SOFTMAX, codes="times-half", where="layer 3 bias",
        A="np.sum(delta, axis=0) => np.sum(delta, axis=0) / 2",
        B="keepdims=True) / m => keepdims=True) / (2 * m)",
        C="grad.sum(axis=0) => grad.sum(axis=0) / 2",
    ),
    Bug(
        name="delta doubled below layer 3", net=SOFTMAX, codes="times-2", where="layer 2's delta",
        A='e = delta @ p[f"W{i}"].T => e = delta @ p[f"W{i}"].T * (2 if i == 3 else 1)',
        B="if i > 0: +>     delta = delta * (2 if i == 2 else 1)",
        C="grad = layer.backward(grad) +> grad = grad * (2 if layer is self.dense[2] else 1)",
    ),
    Bug(
        name="sign of the whole gradient", net=SOFTMAX, codes="sign", where="all gradients",
        A="delta = a - y => delta = y - a",
        B="return a - y => return y - a",
        C="return -y / a / len(y) => return y / a / len(y)",
        keras=True,
    ),
    Bug(
        name="sign of the quadratic cost's gradient", net=SIGMOID, codes="sign",
        where="all gradients",
        A="delta = (a - y) * PRIMES => delta = (y - a) * PRIMES",
        B="return (a - y) * self.derivative => return (y - a) * self.derivative",
        C="return (a - y) / len(y) => return (y - a) / len(y)",
        D="delta = a * (1 - a) * (a - y) => delta = a * (1 - a) * (y - a)",
        also=(D0,),
    ),
    Bug(
        name="sign of layer 1", net=SOFTMAX, codes="sign", where="layer 1",
        A=END_A + "grads['W1'] *= -1\ngrads['b1'] *= -1",
        B=END_B + "nabla_w[0] *= -1\nnabla_b[0] *= -1",
        C=END_C + "first.dW *= -1\nfirst.db *= -1",
    ),
    Bug(
        name="sign of bias 2", net=SOFTMAX, codes="sign", where="layer 2 bias",
        A=END_A + "grads['b2'] *= -1",
        B=END_B + "nabla_b[1] *= -1",
        C=END_C + "rest[0].db *= -1",
    ),
    Bug(
        name="sign at every propagation", net=SOFTMAX, codes="sign", where="layer 2",
        A='e = delta @ p[f"W{i}"].T => e = -delta @ p[f"W{i}"].T',
        B="np.dot(self.weights[i].T, delta) => -np.dot(self.weights[i].T, delta)",
        C="return grad @ self.W.T => return -grad @ self.W.T",
    ),
]  # fmt: skip
