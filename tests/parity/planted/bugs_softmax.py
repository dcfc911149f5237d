"""Softmax: its Jacobian cut down, left out, taken twice or elsewhere; and the loss before it."""

from tests.parity.planted.bug import Bug
from tests.parity.planted.nets import D2_WHOLE, D3, PLAIN, SIGMOID, SOFTMAX

LOSS = "categorical_crossentropy"
A_BACK = "delta = softmax_backward(a, a - y) => "
B_BACK = "(np.diag(s) - np.outer(s, s)) @ g => "
C_BACK = "return self.a * (grad - (grad * self.a).sum(axis=-1, keepdims=True)) => "
FUSED_A, FUSED_B, FUSED_C = "delta = a - y => ", "return a - y => ", "return -y / a / len(y) => "

BUGS = [
    Bug(
        name="softmax Jacobian cut to its diagonal", net=PLAIN, codes="softmax-diagonal",
        where="output", loss="quadratic",
        A=A_BACK + "delta = (a - y) * a * (1 - a)",
        B=B_BACK + "(s * (1 - s) * g)",
        C=C_BACK + "return grad * self.a * (1 - self.a)",
        also=(D2_WHOLE,), keras=True,
    ),
    Bug(  # undeclared it may as well be cross-entropy's p - y times p(1 - p)
        name="softmax Jacobian cut to its diagonal, undeclared", net=PLAIN,
        codes="softmax-diagonal softmax-fused-diagonal", where="output",
        A=A_BACK + "delta = (a - y) * a * (1 - a)",
        B=B_BACK + "(s * (1 - s) * g)",
        C=C_BACK + "return grad * self.a * (1 - self.a)",
    ),
    Bug(
        name="softmax diagonal behind -y / a", net=SOFTMAX, codes="softmax-diagonal",
        where="output", C=C_BACK + "return grad * self.a * (1 - self.a)", also=(D3,),
    ),
    Bug(
        name="softmax Jacobian missing", net=PLAIN, codes="softmax-missing", where="output",
        loss="quadratic",
        A=A_BACK + "delta = a - y",
        B=B_BACK + "g",
        C="for layer in reversed(self.layers): => for layer in reversed(self.layers[:-1]):",
        also=(D2_WHOLE,),
    ),
    Bug(
        name="softmax Jacobian without its sum", net=PLAIN, codes="softmax-sum-missing",
        where="output", loss="quadratic",
        A=A_BACK + "delta = (a - y) * a", B=B_BACK + "(s * g)", C=C_BACK + "return grad * self.a",
        also=(D2_WHOLE,),
    ),
    Bug(
        name="softmax Jacobian missing behind -y / a", net=SOFTMAX, codes="softmax-missing",
        where="output", C=C_BACK + "return grad",
    ),
    Bug(
        name="softmax Jacobian taken twice", net=PLAIN, codes="softmax-twice", where="output",
        A=A_BACK + "delta = softmax_backward(a, softmax_backward(a, a - y))",
        B=B_BACK + "np.linalg.matrix_power(np.diag(s) - np.outer(s, s), 2) @ g",
        C="grad = self.loss.gradient(a, y) +> grad = self.layers[-1].backward(grad)",
    ),
    Bug(
        name="p - y through the softmax Jacobian again", net=SOFTMAX, codes="softmax-twice",
        where="output", loss=LOSS,
        A=FUSED_A + "delta = softmax_backward(a, a - y)",
        B='if self.net.loss == "cross-entropy": => if self.net.output != "softmax":',
        C=FUSED_C + "return (a - y) / len(y)",
        also=(D3,),
    ),
    Bug(
        name="p - y times p(1 - p)", net=SOFTMAX, codes="softmax-fused-diagonal",
        where="output", loss=LOSS,
        A=FUSED_A + "delta = (a - y) * a * (1 - a)",
        B=FUSED_B + "return (a - y) * a * (1 - a)",
        C=(FUSED_C + "return (a - y) / len(y)", C_BACK + "return grad * self.a * (1 - self.a)"),
        also=(D3,),
    ),
    Bug(
        name="softmax Jacobian at softmax(softmax(z))", net=PLAIN, codes="softmax-of-activation",
        where="output",
        A=A_BACK + "delta = softmax_backward(softmax(a), a - y)",
        B="zip(a.T, (a - y).T => zip(softmax(a).T, (a - y).T",
        C=C_BACK + "s = Softmax().forward(self.a, False)\n"
        "        return s * (grad - (grad * s).sum(axis=-1, keepdims=True))",
    ),
    Bug(
        name="softmax diagonal at softmax(softmax(z))", net=PLAIN,
        codes="softmax-diagonal-of-activation", where="output",
        A=A_BACK + "delta = (a - y) * softmax(a) * (1 - softmax(a))",
        B=(B_BACK + "(s * (1 - s) * g)", "zip(a.T, (a - y).T => zip(softmax(a).T, (a - y).T"),
        C=C_BACK + "s = Softmax().forward(self.a, False)\n        return grad * s * (1 - s)",
        also=(D2_WHOLE,),
    ),
    Bug(
        name="softmax diagonal z(1 - z)", net=PLAIN, codes="softmax-diagonal-of-logits",
        where="output",
        A=A_BACK + "delta = (a - y) * z * (1 - z)",
        B=(B_BACK + "(s * (1 - s) * g)", "zip(a.T, (a - y).T => zip(self.zs[-1].T, (a - y).T"),
    ),
    Bug(
        name="softmax over the batch", net=SOFTMAX, codes="softmax-axis", where="output",
        A=(
            "np.max(z, axis=1, keepdims=True) => np.max(z, axis=0)",
            "np.sum(e, axis=1, keepdims=True) => np.sum(e, axis=0)",
        ),
        B=(
            "z.max(axis=0) => z.max(axis=1, keepdims=True)",
            "e.sum(axis=0) => e.sum(axis=1, keepdims=True)",
        ),
        C=("z.max(axis=-1, => z.max(axis=0,", "exps.sum(axis=-1, => exps.sum(axis=0,"),
        also=(D3,),
    ),
    Bug(
        name="softmax over everything", net=SOFTMAX, codes="softmax-axis", where="output",
        batch=True,
        A=("np.sum(e, axis=1, keepdims=True) => np.sum(e)",
           "np.max(z, axis=1, keepdims=True) => np.max(z)"),
        B=("e.sum(axis=0) => e.sum()", "z.max(axis=0) => z.max()"),
        C="exps.sum(axis=-1, keepdims=True) => exps.sum()",
    ),
    Bug(
        name="absolute error for the quadratic cost", net=SIGMOID, codes="other-loss",
        where="output", loss="quadratic",
        A="delta = (a - y) * PRIMES => delta = np.sign(a - y) * PRIMES",
        B="return (a - y) * self.derivative => return np.sign(a - y) * self.derivative",
        C="return (a - y) / len(y) => return np.sign(a - y) / len(y)",
        D="a * (1 - a) * (a - y) => a * (1 - a) * np.sign(a - y)",
    ),
    Bug(
        name="binary cross-entropy through the whole Jacobian", net=SOFTMAX, codes="other-loss",
        where="output", loss=LOSS,
        A=FUSED_A + "delta = softmax_backward(a, (a - y) / (a * (1 - a)))",
        B=('if self.net.loss == "cross-entropy": => if self.net.output != "softmax":',
           "zip(a.T, (a - y).T => zip(a.T, ((a - y) / (a * (1 - a))).T"),
        C=FUSED_C + "return (a - y) / (a * (1 - a)) / len(y)",
    ),
    Bug(  # or, seen from the squared error, its softmax Jacobian is missing
        name="prints squared error and descends cross-entropy", net=SOFTMAX,
        codes="other-loss softmax-missing", where="output", loss="own",
        A='if net.loss == "squared": => if net.output == "softmax":',
        B='self.feedforward(x), x.shape[1]\n        if self.net.loss == "squared": => '
        "self.feedforward(x), x.shape[1]\n        if True:",
        C="return -np.sum(y * np.log(a)) / len(y) => return 0.5 * np.sum((a - y) ** 2) / len(y)",
    ),
]  # fmt: skip
