"""What becomes of a delta: kernel and bias gradients, their shapes and order, the layer below."""

from tests.parity.planted.bug import Bug
from tests.parity.planted.bugs_factors import END_A, END_B, END_C
from tests.parity.planted.nets import D0, D3, EQUAL, SOFTMAX

SUM_A = "np.sum(delta, axis=0) => "
SUM_B = "delta.sum(axis=1, keepdims=True) / m => "
SUM_C = "self.db[...] = grad.sum(axis=0) => "
LEFT_A = 'grads[f"W{i}"] = cache[f"h{i - 1}"].T => grads[f"W{i}"] = '
LEFT_B = "np.dot(delta, self.inputs[i].T) => np.dot(delta, "
LEFT_D = "delta @ with_one(self.a[i]).T => delta @ "
BACK_A = 'e = delta @ p[f"W{i}"].T => e = delta @ '
BACK_B = "np.dot(self.weights[i].T, delta) => "
BACK_C = "return grad @ self.W.T => return grad @ "

BIASES = [
    Bug(
        name="bias gradients zero", net=SOFTMAX, codes="bias-missing", where="layer 3 bias",
        A=SUM_A + 'np.zeros_like(p[f"b{i}"])', B="nabla_b[i] = " + SUM_B + "pass",
        C=SUM_C + "pass",
    ),
    Bug(
        name="bias gradient of layer 1 zero", net=SOFTMAX, codes="bias-missing",
        where="layer 1 bias",
        A=END_A + "grads['b1'] *= 0", B=END_B + "nabla_b[0] *= 0", C=END_C + "first.db *= 0",
        also=(D3,),
    ),
    Bug(
        name="bias gradients not returned", net=SOFTMAX, codes="bias-missing", where="gradients",
        A='grads[f"b{i}"] = ' + SUM_A + "pass",
        B="return nabla_w, nabla_b => return nabla_w",
        C="return [self.dW, self.db] if self.net.bias else [self.dW] => return [self.dW]",
    ),
    Bug(
        name="bias gradients None", net=SOFTMAX, codes="not-given", where="gradients of",
        A=SUM_A + "None",
        B=("[np.zeros_like(b) for b in self.biases] => [None for b in self.biases]",
           "nabla_b[i] = " + SUM_B + "pass"),
        C=SUM_C + "self.db = None",
    ),
    Bug(
        name="bias gradients summed over the units", net=SOFTMAX, codes="bias-axis",
        where="bias gradient",
        A=SUM_A + "np.sum(delta, axis=1)", B=SUM_B + "delta.sum(axis=0, keepdims=True) / m",
        C=SUM_C + "self.db = grad.sum(axis=1, keepdims=True)",
        also=(D3,),
    ),
    Bug(
        name="bias gradients summed to one number", net=SOFTMAX, codes="bias-axis", where="bias",
        A=SUM_A + "np.sum(delta)", B=SUM_B + "delta.sum() / m",
        C=SUM_C + "self.db[...] = grad.sum()",
        also=(D0,),
    ),
    Bug(
        name="bias gradients not summed", net=SOFTMAX, codes="bias-not-summed",
        where="bias gradient",
        A=SUM_A + "delta", B=SUM_B + "delta / m", C=SUM_C + "self.db = grad",
    ),
    Bug(
        name="bias gradients of the last sample", net=SOFTMAX, codes="bias-not-summed",
        where="layer 3 bias",
        A=SUM_A + "delta[-1]", B=SUM_B + "delta[:, -1:] / m", C=SUM_C + "self.db[...] = grad[-1]",
    ),
    Bug(
        name="bias gradients of the activation", net=SOFTMAX, codes="bias-of-activation",
        where="layer 3 bias",
        A=SUM_A + 'np.mean(cache[f"a{i}"], axis=0)',
        B=SUM_B + "self.activations[i].mean(axis=1, keepdims=True)",
    ),
    Bug(
        name="bias gradients all one", net=SOFTMAX, codes="bias-constant", where="layer 3 bias",
        A=SUM_A + 'np.ones_like(p[f"b{i}"])', B=SUM_B + "np.ones_like(self.biases[i])",
        C=SUM_C + "self.db[...] = 1", companions="times-m",
    ),
    Bug(
        name="bias gradients times the bias", net=SOFTMAX, codes="bias-multiplied",
        where="layer 3 bias",
        A=SUM_A + 'np.sum(delta, axis=0) * p[f"b{i}"]',
        B=SUM_B + "delta.sum(axis=1, keepdims=True) / m * self.biases[i]",
        C=SUM_C + "self.db[...] = grad.sum(axis=0) * self.b",
    ),
    Bug(
        name="bias gradient of layer 1 without the derivative", net=SOFTMAX, codes="unknown",
        where="layer 1 bias",
        A=END_A + "grads['b1'] = np.sum(e, axis=0)",
        B=("delta = delta * self.masks[i - 1] +> below = delta.sum(axis=1, keepdims=True) / m",
           END_B + "nabla_b[0] = below"),
        also=(D3,),
    ),
    Bug(
        name="bias gradient of layer 1 shuffled", net=SOFTMAX, codes="unknown",
        where="layer 1 bias",
        A=END_A + "grads['b1'] = np.roll(grads['b1'], 1)",
        B=END_B + "nabla_b[0] = np.roll(nabla_b[0], 1)",
        C=END_C + "first.db[...] = np.roll(first.db, 1)",
    ),
]  # fmt: skip

KERNELS = [
    Bug(
        name="kernel gradients transposed", net=SOFTMAX, codes="transposed",
        where="kernel gradient",
        A='cache[f"h{i - 1}"].T @ delta + net.decay * p[f"W{i}"] => delta.T @ cache[f"h{i - 1}"]',
        B="np.dot(delta, self.inputs[i].T) / m + self.net.decay * self.weights[i] => "
        "np.dot(self.inputs[i], delta.T) / m",
        C=("self.dW[...] = self.x.T @ grad => self.dW = grad.T @ self.x",
           "self.dW += self.net.decay * self.W => pass"),
        also=(D3,),
    ),
    Bug(
        name="square kernel gradients transposed", net=EQUAL, codes="transposed", where="kernel",
        A='cache[f"h{i - 1}"].T @ delta => delta.T @ cache[f"h{i - 1}"]',
        B="np.dot(delta, self.inputs[i].T) => np.dot(self.inputs[i], delta.T)",
        C="self.x.T @ grad => grad.T @ self.x",
    ),
    Bug(
        name="kernel gradients with z", net=SOFTMAX, codes="pre-activation-input",
        where="layer 3 kernel",
        A=LEFT_A + 'cache[f"z{i - 1}" if i > 1 else "h0"].T',
        B=LEFT_B + "[x, *self.zs][i].T)",
    ),
    Bug(
        name="kernel gradients with the layer's own output", net=EQUAL, codes="wrong-input",
        where="layer 2 kernel",
        A=LEFT_A + 'cache[f"h{i}"].T', B=LEFT_B + "self.inputs[i + 1].T)",
        D=LEFT_D + "with_one(self.a[i + 1]).T",
    ),
    Bug(
        name="kernel gradients with the activation one below", net=EQUAL, codes="wrong-input",
        where="layer 2 kernel",
        A=LEFT_A + 'cache[f"h{max(i - 2, 0)}"].T', B=LEFT_B + "self.inputs[max(i - 1, 0)].T)",
        D=LEFT_D + "with_one(self.a[max(i - 1, 0)]).T",
    ),
    Bug(
        name="kernel gradients without the input", net=SOFTMAX, codes="input-missing",
        where="layer 3 kernel",
        A=LEFT_A + 'np.ones_like(cache[f"h{i - 1}"]).T',
        B=LEFT_B + "np.ones_like(self.inputs[i]).T)",
        C="self.x.T @ grad => np.ones_like(self.x).T @ grad",
    ),
    Bug(
        name="kernel gradient of layer 1 zero", net=SOFTMAX, codes="kernel-missing",
        where="layer 1 kernel",
        A=END_A + "grads['W1'] *= 0", B=END_B + "nabla_w[0] *= 0", C=END_C + "first.dW *= 0",
    ),
    Bug(
        name="layer 1 never reached", net=SOFTMAX, codes="kernel-missing bias-missing",
        where="layer 1",
        B="in reversed(range(len(self.weights))): => in reversed(range(1, len(self.weights))):",
        C="for layer in reversed(self.layers): => for layer in reversed(self.layers[1:]):",
    ),
    Bug(
        name="one entry off by a millionth", net=SOFTMAX, codes="unknown", where="layer 2 kernel",
        A=END_A + "grads['W2'][3, 1] *= 1 + 1e-6", B=END_B + "nabla_w[1][1, 3] *= 1 + 1e-6",
        C=END_C + "rest[0].dW[3, 1] *= 1 + 1e-6",
        text="1 of 20 elements are off, the worst at [3, 1]",
    ),
    Bug(
        name="one entry of a large layer off by a millionth", net=D3, codes="unknown",
        where="layer 1 kernel",
        B=END_B + "nabla_w[0][7, -3] *= 1 + 1e-6",
        C=END_C + "first.dW[-3, 7] *= 1 + 1e-6",
        text="are off, the worst at [781, 7]",
    ),
    Bug(
        name="NaN in a kernel gradient", net=SOFTMAX, codes="not-finite", where="kernel gradient",
        A=END_A + "grads['W1'][0, 0] = np.nan", B=END_B + "nabla_w[0][0, 0] = np.nan",
        C=END_C + "first.dW[0, 0] = np.nan",
    ),
    Bug(
        name="infinite bias gradient", net=SOFTMAX, codes="not-finite", where="bias gradient",
        A=END_A + "grads['b3'][1] = np.inf", B=END_B + "nabla_b[2][1] = np.inf",
        C=END_C + "rest[-1].db[0, 1] = np.inf",
    ),
    Bug(
        name="kernel gradient flattened", net=SOFTMAX, codes="wrong-shape",
        where="kernel gradient",
        A=END_A + "grads['W2'] = grads['W2'].ravel()",
        B=END_B + "nabla_w[1] = nabla_w[1].ravel()",
    ),
    Bug(
        name="one gradient too many", net=SOFTMAX, codes="wrong-count", where="gradients",
        A="return grads\n => return [delta @ p['W1'].T, *grads.values()]\n",
        B=END_B + "nabla_w.insert(0, np.dot(self.weights[0].T, delta))",
        C="return [g for layer in self.dense => return [grad] + [g for layer in self.dense",
    ),
]  # fmt: skip
