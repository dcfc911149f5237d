"""Samples, weight decay, updates and optimizers, and arrays that are shared by mistake."""

from tests.parity.planted.bug import Bug
from tests.parity.planted.bugs_factors import END_A, END_B, END_C
from tests.parity.planted.nets import (
    ADAM,
    D0,
    D3,
    DECAY,
    MOMENTUM,
    RMSPROP,
    SIGMOID,
    SOFTMAX,
    SQUARE,
)

CUT_A = "m = len(x) <+ "
CUT_B = "m = x.shape[1]\n => {}\n        m = x.shape[1]\n"
CUT_C = "a = self.predict(x, training=True) <+ "
DELTA_A, DELTA_B = "delta = delta / m +> ", "delta = self.output_delta(a, y) +> "
DELTA_C, DELTA_D = "grad = self.loss.gradient(a, y) +> ", "delta = a * (1 - a) * (a - y) +> "
DECAY_A, DECAY_B = ' + net.decay * p[f"W{i}"] => ', " + self.net.decay * self.weights[i] => "
DECAY_C = "self.dW += self.net.decay * self.W => "
DESCENT_C = "            else:\n                p -= lr * g\n => "

SAMPLES = [
    Bug(
        name="last sample cut off", net=SOFTMAX, codes="sample-left-out", where="output",
        text="last sample",
        A=CUT_A + "x, y = x[:-1], y[:-1]", B=CUT_B.format("x, y = x[:, :-1], y[:, :-1]"),
        C=CUT_C + "x, y = x[:-1], y[:-1]", also=(D3,), keras=True,
    ),
    Bug(
        name="last sample skipped", net=SIGMOID, codes="sample-left-out", where="output",
        text="last sample",
        A=DELTA_A + "delta[-1] = 0", B=DELTA_B + "delta[:, -1] = 0", C=DELTA_C + "grad[-1] = 0",
        D=DELTA_D + "delta[:, -1] = 0", also=(D0,),
    ),
    Bug(
        name="first sample cut off", net=SOFTMAX, codes="sample-left-out", where="output",
        text="first sample",
        A=CUT_A + "x, y = x[1:], y[1:]", B=CUT_B.format("x, y = x[:, 1:], y[:, 1:]"),
        C=CUT_C + "x, y = x[1:], y[1:]",
    ),
    Bug(
        name="first sample skipped", net=SOFTMAX, codes="sample-left-out", where="output",
        text="first sample",
        A=DELTA_A + "delta[0] = 0", B=DELTA_B + "delta[:, 0] = 0", C=DELTA_C + "grad[0] = 0",
    ),
    Bug(
        name="fourth sample skipped", net=SOFTMAX, codes="sample-left-out", where="output",
        text="4th sample",
        A=DELTA_A + "delta[3] = 0", B=DELTA_B + "delta[:, 3] = 0", C=DELTA_C + "grad[3] = 0",
    ),
    Bug(
        name="last sample weighted double", net=SOFTMAX, codes="sample-twice", where="output",
        text="last sample",
        A=DELTA_A + "delta[-1] *= 2", B=DELTA_B + "delta[:, -1] *= 2", C=DELTA_C + "grad[-1] *= 2",
    ),
    Bug(
        name="first sample repeated", net=SOFTMAX, codes="sample-twice", where="output",
        text="first sample", companions="over-m-plus-1",
        A=CUT_A + "x, y = np.vstack([x[:1], x]), np.vstack([y[:1], y])",
        B=CUT_B.format("x, y = np.hstack([x[:, :1], x]), np.hstack([y[:, :1], y])"),
        C=CUT_C + "x, y = np.vstack([x[:1], x]), np.vstack([y[:1], y])",
    ),
    Bug(
        name="batch counted twice", net=SOFTMAX, codes="times-2", where="all gradients",
        loss="categorical_crossentropy", text="counted twice",
        A=DELTA_A + 'cache |= {k: np.vstack([v, v]) for k, v in cache.items()}\n'
        "delta = np.vstack([delta, delta])",
        B="m = x.shape[1]\n => m = x.shape[1]\n        x, y = np.tile(x, 2), np.tile(y, 2)\n",
    ),
    Bug(
        name="every step taken twice", net=SOFTMAX, by="step", codes="times-2",
        where="all gradients", loss="categorical_crossentropy",
        A="    update(net, p, grads, state, lr) => "
        "    update(net, p, grads, state, lr)\n    update(net, p, grads, state, lr)",
        C="self.optimizer.step(self.params(), grads, lr) +> "
        "self.optimizer.step(self.params(), grads, lr)",
    ),
]  # fmt: skip

WEIGHT_DECAY = [
    Bug(
        name="weight decay missing", net=DECAY, codes="weight-decay-missing", where="kernel",
        loss="own", A=DECAY_A, B=DECAY_B, C=DECAY_C + "pass", keras=True,
    ),
    Bug(
        name="weight decay missing in layer 1", net=DECAY, codes="weight-decay-missing",
        where="kernel", loss="own",
        A=DECAY_A + ' + (net.decay * p[f"W{i}"] if i > 1 else 0)',
        B=DECAY_B + " + (self.net.decay * self.weights[i] if i > 0 else 0)",
    ),
    Bug(
        name="declared weight decay missing", net=DECAY, codes="weight-decay-missing",
        where="kernel", declared=(("weight_decay", 0.03),),
        A=DECAY_A, B=DECAY_B, C=DECAY_C + "pass",
    ),
    Bug(
        name="weight decay on biases", net=DECAY, codes="weight-decay-on-biases", where="bias",
        loss="own",
        A='np.sum(delta, axis=0) => np.sum(delta, axis=0) + net.decay * p[f"b{i}"]',
        B="keepdims=True) / m => keepdims=True) / m + self.net.decay * self.biases[i]",
        C="grad.sum(axis=0) => grad.sum(axis=0) + self.net.decay * self.b",
    ),
    Bug(
        name="weight decay doubled", net=DECAY, codes="weight-decay-factor", where="kernel",
        loss="own", text="×2",
        A=DECAY_A + ' + 2 * net.decay * p[f"W{i}"]', B=DECAY_B + " + 2 * self.net.decay * "
        "self.weights[i]", C=DECAY_C + "self.dW += 2 * self.net.decay * self.W",
    ),
    Bug(
        name="weight decay with the wrong sign", net=DECAY, codes="weight-decay-factor",
        where="kernel", loss="own",
        A=DECAY_A + ' - net.decay * p[f"W{i}"]', B=DECAY_B + " - self.net.decay * self.weights[i]",
        C=DECAY_C + "self.dW -= self.net.decay * self.W",
    ),
    Bug(
        name="weight decay that the loss does not have", net=DECAY, codes="weight-decay-factor",
        where="kernel", loss="own", text="your loss does not have",
        A="return value + 0.5 * net.decay => return value + 0 * net.decay",
        B="return value + self.net.decay / 2 => return value + 0",
        C="0.5 * self.net.decay * penalty => 0 * penalty",
    ),
]  # fmt: skip

UPDATES = [
    Bug(
        name="learning rate twice", net=SOFTMAX, by="step", codes="learning-rate-twice",
        where="step",
        A="p[k] -= lr * g\n => p[k] -= lr * lr * g\n", B="w - lr * g => w - lr * lr * g",
        C=DESCENT_C + "            else:\n                p -= lr * lr * g\n",
        D="w -= rate * g => w -= rate * rate * g",
    ),
    Bug(
        name="learning rate squared with momentum", net=MOMENTUM, by="step",
        codes="learning-rate-twice", where="step",
        A="p[k] += v => p[k] += lr * v", B="change = v\n => change = lr * v\n",
        C="p -= m => p -= lr * m",
    ),
    Bug(
        name="velocity without the learning rate", net=MOMENTUM, by="step",
        codes="velocity-without-rate", where="step",
        A="v = 0.9 * v - lr * g => v = 0.9 * v - g", B="v = 0.9 * v - lr * g => v = 0.9 * v - g",
        C="0.9 * m + lr * g => 0.9 * m + g",
    ),
    Bug(
        name="update uphill", net=SOFTMAX, by="step", codes="sign", where="all gradients",
        A="p[k] -= lr * g\n => p[k] += lr * g\n", B="w - lr * g => w + lr * g",
        C=DESCENT_C + "            else:\n                p += lr * g\n", keras=True,
    ),
    Bug(
        name="update uphill, 64-40-10", net=D0, by="step", codes="sign", where="all gradients",
        A="p[k] -= lr * g\n => p[k] += lr * g\n", D="w -= rate * g => w += rate * g",
    ),
    Bug(
        name="momentum uphill", net=MOMENTUM, by="step", codes="sign", where="all gradients",
        A="p[k] += v => p[k] -= v", B="change = v\n => change = -v\n", C="p -= m => p += m",
    ),
    Bug(
        name="RMSprop uphill", net=RMSPROP, by="step", codes="sign", where="step",
        A="p[k] -= lr * g / np.sqrt(s => p[k] += lr * g / np.sqrt(s",
        B="change = -lr * g / np => change = lr * g / np",
        C="p -= lr * g / np => p += lr * g / np",
    ),
    Bug(
        name="RMSprop without the root", net=RMSPROP, by="step", codes="rmsprop-no-root",
        where="step",
        A="np.sqrt(s + 1e-7) => (s + 1e-7)", B="np.sqrt(s + 1e-7) => (s + 1e-7)",
        C="np.sqrt(v + 1e-7) => (v + 1e-7)",
    ),
    Bug(
        name="RMSprop with rho and 1 - rho swapped", net=RMSPROP, by="step",
        codes="rmsprop-rho-swapped", where="step",
        A="0.9 * s + 0.1 * g**2 => 0.1 * s + 0.9 * g**2",
        B="0.9 * s + (1 - 0.9) * g * g => (1 - 0.9) * s + 0.9 * g * g",
        C="0.9 * v + 0.1 * g * g => 0.1 * v + 0.9 * g * g",
    ),
    Bug(
        name="Adam without bias correction", net=ADAM, by="step", codes="adam-no-correction",
        where="step",
        A=("v_hat = v / (1 - 0.9**t) => v_hat = v", "s_hat = s / (1 - 0.999**t) => s_hat = s"),
        B="rate = lr * np.sqrt(1 - 0.999**self.t) / (1 - 0.9**self.t) => rate = lr",
        C="alpha = lr * np.sqrt(1 - 0.999**self.t) / (1 - 0.9**self.t) => alpha = lr",
    ),
    Bug(
        name="Adam uphill", net=ADAM, by="step", codes="sign", where="step",
        A="p[k] -= lr * v_hat => p[k] += lr * v_hat", B="change = -rate * v => change = rate * v",
        C="p -= alpha * m => p += alpha * m",
    ),
    Bug(
        name="declared Adam is SGD", net=SOFTMAX, by="step", codes="other-optimizer",
        where="step", declared=(("optimizer", "adam"),), A=(), B=(), C=(),
    ),
    Bug(
        name="declared SGD has momentum", net=MOMENTUM, by="step", codes="other-optimizer",
        where="step", declared=(("optimizer", "sgd"),), A=(), B=(), C=(),
    ),
    Bug(
        name="declared Adam is RMSprop", net=RMSPROP, by="step", codes="other-optimizer",
        where="step", declared=(("optimizer", "adam"),), A=(), B=(), C=(),
    ),
]  # fmt: skip

ALIASES = [
    Bug(
        name="gradients never zeroed", net=SOFTMAX, codes="accumulated", where="gradients",
        A=("def backward(net, p, x, y): => grads = {}\n\n\ndef backward(net, p, x, y):",
           "    grads = {}\n => ",
           'grads[f"W{i}"] = => grads[f"W{i}"] = grads.get(f"W{i}", 0) +',
           'grads[f"b{i}"] = => grads[f"b{i}"] = grads.get(f"b{i}", 0) +'),
        B=("self.t = 0 +> self.nabla = [0 * w for w in self.weights], [0 * b for b in self.biases]",
           "nabla_w = [np.zeros_like(w) for w in self.weights] => nabla_w, nabla_b = self.nabla",
           "nabla_b = [np.zeros_like(b) for b in self.biases] => pass",
           "nabla_w[i] = => nabla_w[i] +=", "nabla_b[i] = => nabla_b[i] +="),
        C=("self.dW[...] = self.x.T @ grad => self.dW += self.x.T @ grad",
           "self.db[...] = grad.sum(axis=0) => self.db += grad.sum(axis=0)"),
        also=(D3,),
    ),
    Bug(
        name="x centred in place", net=SOFTMAX, codes="aliasing", where="gradients",
        text="gradients changes x", companions="unknown",
        A=CUT_A + "x -= x.mean(axis=0)", B=CUT_B.format("x -= x.mean(axis=1, keepdims=True)"),
        C=CUT_C + "x -= x.mean(axis=0)",
    ),
    Bug(
        name="one buffer for two kernel gradients", net=SQUARE, codes="aliasing",
        where="gradients", companions="unknown",
        A=("def backward(net, p, x, y): => buffers = {}\n\n\ndef backward(net, p, x, y):",
           "return grads\n => for k, g in grads.items():\n"
           "        buffers.setdefault(g.shape, np.empty(g.shape))[...] = g\n"
           "    return {k: buffers[g.shape] if k[0] == 'W' else g for k, g in grads.items()}\n"),
        B=("nabla_w[i] = => nabla_w[i][...] =",
           "nabla_w = [np.zeros_like(w) for w in self.weights] +> nabla_w[2] = nabla_w[1]"),
        C="self.loss = LOSSES[net.loss]() +> self.dense[2].dW = self.dense[1].dW",
    ),
    Bug(
        name="activation overwritten by its derivative", net=SOFTMAX, codes="aliasing",
        where="layer 3 kernel",
        A='slope = PRIMES[net.hidden] +> for i in range(1, depth):\n'
        '    cache[f"h{i}"] *= 1 - cache[f"h{i}"]',
        B=DELTA_B + "for h in self.inputs[1:-1]:\n    h *= 1 - h",
    ),
    Bug(
        name="gradient with noise", net=SOFTMAX, codes="nondeterministic", where="gradients",
        A=END_A + "grads['W1'] = grads['W1'] + 1e-9 * rng.standard_normal(p['W1'].shape)",
        B=END_B + "nabla_w[0] = nabla_w[0] + 1e-9 * self.rng.standard_normal(nabla_w[0].shape)",
        C=END_C + "first.dW += 1e-9 * rng.standard_normal(first.dW.shape)",
    ),
]  # fmt: skip
