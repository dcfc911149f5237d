"""From layer to layer: propagation, order, dropout; and the forward pass itself."""

from tests.parity.planted.bug import Bug
from tests.parity.planted.bugs_tensors import BACK_A, BACK_B, BACK_C, LEFT_A, LEFT_B
from tests.parity.planted.nets import (
    D0,
    D2,
    D3,
    DROPOUT,
    EQUAL,
    RELU,
    SIGMOID,
    SOFTMAX,
    SQUARE,
)

UPDATED_D = (
    "def gradients(self, x, y): => def gradients(self, x, y, rate=0):",
    "e = self.weights[i] <+ self.weights[i] -= rate * grads[0]",
    "grads = self.gradients(x, y)\n => self.gradients(x, y, rate)\n        return\n",
)
MASK_A = 'e = e * cache[f"mask{i - 1}"] / net.keep => e = '
MASK_B, MASK_C = "delta = delta * self.masks[i - 1] => ", "grad * self.mask / self.keep => "
LAYER_A = "f = ACTIVATIONS[net.hidden if i < depth else net.output] +> "
LAYER_B = "a = self.activation(z, self.net.output if i == last else self.net.hidden) +> "

PROPAGATION = [
    Bug(
        name="delta through updated kernels", net=SOFTMAX, by="step", codes="updated-weights",
        where="layer {top}'s delta",
        A=("def backward(net, p, x, y): => def backward(net, p, x, y, lr):",
           'if i > 1: <+ p[f"W{i}"] -= lr * grads[f"W{i}"]\np[f"b{i}"] -= lr * grads[f"b{i}"]',
           "grads = backward(net, p, x, y)\n    update(net, p, grads, state, lr) => "
           "backward(net, p, x, y, lr)"),
        B=("def backprop(self, x, y): => def backprop(self, x, y, lr=0):",
           "if i > 0: <+ self.weights[i] = self.weights[i] - lr * nabla_w[i]\n"
           "self.biases[i] = self.biases[i] - lr * nabla_b[i]",
           "nabla_w, nabla_b = self.backprop(x, y) => self.backprop(x, y, lr)\n        return"),
        C=("return grad @ self.W.T <+ self.W -= self.lr * self.dW\nself.b -= self.lr * self.db",
           "grads = self.gradients(x, y) => Dense.lr = lr\n        self.gradients(x, y)\n"
           "        return"),
        also=(D3,), keras=True,
    ),
    Bug(
        name="folded delta through updated kernels", net=SIGMOID, by="step",
        codes="updated-weights", where="layer {top}'s delta", D=UPDATED_D, also=(D0,),
    ),
    Bug(
        name="bias column in place of the last", net=SIGMOID, codes="bias-column",
        where="layer {top}'s delta", D="[:, :-1].T => [:, 1:].T", also=(D0,),
    ),
    Bug(
        name="delta through the wrong kernel", net=SQUARE, codes="wrong-layer",
        where="layer 2's delta",
        A=BACK_A + 'p[f"W{2 if i == 3 else i}"].T',
        B=BACK_B + "np.dot(self.weights[1 if i == 2 else i].T, delta)",
        C=("return grad @ self.W.T => return grad @ getattr(self, 'back', self).W.T",
           "self.loss = LOSSES[net.loss]() +> self.dense[2].back = self.dense[1]"),
    ),
    Bug(
        name="delta through the kernel of the layer itself", net=EQUAL, codes="wrong-layer",
        where="layer 1's delta",
        A=BACK_A + 'p[f"W{i - 1}"].T', B=BACK_B + "np.dot(self.weights[i - 1].T, delta)",
        D="self.weights[i][:, :-1].T => self.weights[i - 1][:, :-1].T",
    ),
    Bug(
        name="delta through kernels untransposed", net=EQUAL, codes="propagation-transposed",
        where="layer 1's delta",
        A=BACK_A + 'p[f"W{i}"]', B=BACK_B + "np.dot(self.weights[i], delta)", C=BACK_C + "self.W",
        D="[:, :-1].T => [:, :-1]",
    ),
    Bug(
        name="gradients last layer first", net=SIGMOID, codes="layer-order", where="gradients",
        A="gradients=lambda x, y: backward(net, p, x, y), => "
        "gradients=lambda x, y: list(backward(net, p, x, y).values()),",
        B="return nabla_w, nabla_b => return nabla_w[::-1], nabla_b[::-1]",
        C="self.dense for g in => reversed(self.dense) for g in",
        D="grads.insert(0, delta @ with_one(self.a[i]).T / m) => "
        "grads.append(delta @ with_one(self.a[i]).T / m)",
    ),
    Bug(
        name="gradients of equal shapes last layer first", net=EQUAL, codes="layer-order",
        where="gradients",
        A="gradients=lambda x, y: backward(net, p, x, y), => "
        "gradients=lambda x, y: list(backward(net, p, x, y).values()),",
        B="return nabla_w, nabla_b => return nabla_w[::-1], nabla_b[::-1]",
        C="self.dense for g in => reversed(self.dense) for g in",
        D="grads.insert(0, delta @ with_one(self.a[i]).T / m) => "
        "grads.append(delta @ with_one(self.a[i]).T / m)",
    ),
]  # fmt: skip

DROPOUTS = [
    Bug(
        name="dropout mask missing", net=DROPOUT, codes="dropout-mask-missing", where="layer 1",
        A=MASK_A + "e", B=MASK_B + "pass", C=MASK_C + "grad", also=(D2,), keras=True,
    ),
    Bug(
        name="dropout mask missing, scale kept", net=DROPOUT, codes="dropout-mask-missing",
        where="layer 1",
        A=MASK_A + "e / net.keep", B=MASK_B + "delta = delta / self.net.keep",
        C=MASK_C + "grad / self.keep",
    ),
    Bug(
        name="dropout mask redrawn", net=DROPOUT, codes="dropout-mask-redrawn", where="layer 1",
        A=MASK_A + "e * (rng.random(e.shape) < net.keep) / net.keep",
        B=MASK_B + "delta = delta * (self.rng.random(delta.shape) < self.net.keep) / self.net.keep",
        C=MASK_C + "grad * (rng.random(grad.shape) < self.keep) / self.keep",
        also=(D2,),
    ),
    Bug(
        name="dropout mask redrawn without its scale", net=DROPOUT, codes="dropout-mask-redrawn",
        where="layer 1", companions="dropout-scale-missing",
        A=MASK_A + "e * (rng.random(e.shape) < net.keep)",
        C=MASK_C + "grad * (rng.random(grad.shape) < self.keep)",
    ),
    Bug(
        name="dropout mask without its scale", net=DROPOUT, codes="dropout-scale-missing",
        where="layer 1",
        A=MASK_A + 'e * cache[f"mask{i - 1}"]',
        B=MASK_B + "delta = delta * (self.masks[i - 1] > 0)",
        C=MASK_C + "grad * self.mask", also=(D2,),
    ),
    Bug(
        name="dropout gradient times 1 - rate", net=DROPOUT, codes="dropout-multiplied",
        where="layer 1",
        A=MASK_A + 'e * cache[f"mask{i - 1}"] * net.keep',
        B=MASK_B + "delta = delta * (self.masks[i - 1] > 0) * self.net.keep",
        C=MASK_C + "grad * self.mask * self.keep", also=(D2,),
    ),
    Bug(
        name="dropout scale twice", net=DROPOUT, codes="dropout-scale-twice", where="layer 1",
        A=MASK_A + 'e * cache[f"mask{i - 1}"] / net.keep**2',
        B=MASK_B + "delta = delta * self.masks[i - 1] / self.net.keep",
        C=MASK_C + "grad * self.mask / self.keep**2",
    ),
    Bug(
        name="kernel gradient with the undropped activation", net=DROPOUT,
        codes="undropped-input", where="layer 2 kernel",
        A=LEFT_A + 'cache[f"a{i - 1}" if i > 1 else "h0"].T',
        B=LEFT_B + "[x, *self.activations][i].T)",
    ),
    Bug(
        name="dropout left on in forward", net=DROPOUT, codes="nondeterministic", where="forward",
        A='forward(net, p, x)[f"a{ => forward(net, p, x, True)[f"a{',
        B="def feedforward(self, x, training=False): => def feedforward(self, x, training=True):",
        C="return a * self.mask / self.keep if training else a => "
        "return a * self.mask / self.keep",
    ),
]  # fmt: skip

FORWARD = [
    Bug(
        name="bias of layer 2 missing in forward", net=SOFTMAX, codes="forward-bias-missing",
        where="layer 2",
        A="if net.bias:\n            z = z + => if net.bias and i != 2:\n            z = z +",
        B="if self.biases:\n                z = z + => if self.biases and i != 1:\n"
        "                z = z +",
        C=("return x @ self.W + self.b => return x @ self.W + self.b * self.use_bias",
           "self.net = net\n        self.W => self.net, self.use_bias = net, True\n        self.W",
           "self.loss = LOSSES[net.loss]() +> self.dense[1].use_bias = False"),
        also=(D3,), keras=True,
    ),
    Bug(
        name="all biases missing in forward", net=SOFTMAX, codes="forward-bias-missing",
        where="layer 1",
        A="z = z + p => z = z + 0 * p", B="z = z + self.biases[i] => pass",
        C="return x @ self.W + self.b => return x @ self.W",
    ),
    Bug(
        name="activation of layer 1 missing", net=SOFTMAX, codes="activation-missing",
        where="layer 1", companions="other-derivative",
        A=LAYER_A + "if i == 1:\n    f = np.array", B=LAYER_B + "if i == 0:\n    a = z",
        C="self.dense = [ <+ del self.layers[1]",
    ),
    Bug(
        name="hidden activations missing", net=SOFTMAX, codes="activation-missing",
        where="layer 1", companions="other-derivative",
        A='"sigmoid": sigmoid, => "sigmoid": np.array,', B=LAYER_B + "a = a if i == last else z",
    ),
    Bug(
        name="softmax missing", net=SOFTMAX, codes="activation-missing", where="layer 3",
        A='"softmax": softmax} => "softmax": np.array}',
        B='np.maximum(0, z) if name == "relu" else softmax(z) => np.maximum(0, z) '
        'if name == "relu" else z',
        C="ACTIVATIONS[net.output]()] => ]", companions="unknown",
    ),
    Bug(
        name="tanh in layer 1", net=SOFTMAX, codes="other-activation", where="layer 1",
        companions="other-derivative", text="tanh",
        A=LAYER_A + "if i == 1:\n    f = np.tanh", B=LAYER_B + "if i == 0:\n    a = np.tanh(z)",
        C="self.dense = [ <+ self.layers[1] = Tanh()",
        also=(D3,),
    ),
    Bug(
        name="tanh in all hidden layers", net=SOFTMAX, codes="other-activation", where="layer 1",
        companions="other-derivative", text="tanh",
        A='"sigmoid": sigmoid, => "sigmoid": np.tanh,',
        B="return sigmoid(z) => return np.tanh(z)",
        C="self.a = 1.0 / (1.0 + np.exp(-z)) => self.a = np.tanh(z)",
    ),
    Bug(
        name="leaky ReLU in all hidden layers", net=RELU, codes="other-activation",
        where="layer 1", companions="other-derivative", text="leaky",
        A="return np.maximum(z, 0) => return np.maximum(z, 0.01 * z)",
        B="return np.maximum(0, z) => return np.maximum(0.01 * z, z)",
        C="self.a = z * (z > 0) => self.a = np.where(z > 0, z, 0.01 * z)",
    ),
    Bug(
        name="sigmoid for softmax", net=SOFTMAX, codes="other-activation", where="layer 3",
        text="sigmoid",
        A='"softmax": softmax} => "softmax": sigmoid}',
        C="exps / exps.sum(axis=-1, keepdims=True) => 1 / (1 + np.exp(-z))",
        companions="other-derivative",
    ),
    Bug(
        name="kernel of layer 2 transposed in forward", net=EQUAL, codes="forward-transposed",
        where="layer",
        A='@ p[f"W{i}"]\n => @ (p[f"W{i}"].T if i == 2 else p[f"W{i}"])\n',
        B="z = np.dot(w, => z = np.dot(w.T if i == 1 else w,",
    ),
    Bug(
        name="inputs divided by 255 inside", net=SOFTMAX, codes="inputs-scaled", where="inputs",
        A='cache = {"h0": x} => cache = {"h0": x / 255}',
        B="self.inputs, self.zs, self.activations, self.masks = [x] => "
        "self.inputs, self.zs, self.activations, self.masks = [x / 255]",
        C="for layer in self.layers:\n            x = => x = x / 255\n"
        "        for layer in self.layers:\n            x =",
        also=(D3,),
    ),
]  # fmt: skip
