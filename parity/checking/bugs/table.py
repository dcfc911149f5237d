"""The table of bugs: for each code its title, what it looks like in code, and what mends it.

A bug that a hypothesis finds stands beside that hypothesis, in the other modules of this package;
one that a stage of the check sees by itself stands here. ``parity.checking.bugs.TABLE`` has them
all, ``python -m parity explain CODE`` prints one, and docs/bugs.md lists them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

# Fills the places of a text that are held open: {"activation": "tanh"}.
Values = Mapping[str, object]


class Severity(Enum):
    """What follows for the whole check."""

    WRONG = "the network is wrong"
    INCOMPLETE = "not all can be checked; what is wrong elsewhere is wrong all the same"
    CONCLUSIVE = "the network is wrong, whatever else cannot be told"
    UNCERTAIN = "it cannot be told whether the network is right"
    BLOCKING = "the check cannot go on"


@dataclass(frozen=True)
class Bug:
    """One kind of bug, or one reason why nothing can be told.

    Attributes:
        code: A stable identifier, such as "softmax-diagonal"; several forms of one bug share it.
        title: The bug in words; ``{name}`` holds a place open for what was found.
        example: What it looks like in code, with samples in rows.
        fix: What puts it right, in one line; places are held open as in the title.
        severity: What follows from it.
        summary: The whole report in one sentence where this finding stands first.
        symptom: Whether it is what is seen, and which line is wrong is looked for.
    """

    code: str
    title: str
    example: str
    fix: str = ""
    severity: Severity = Severity.WRONG
    summary: str = "{title}: {where}."
    symptom: bool = False


# Before anything is compared: the callables and what they return.
UNREADABLE = Bug(
    "unreadable",
    "the weights cannot be read as a chain of layers",
    "get_weights=lambda: [W1, W3]  # W2 is missing between them",
    "return each layer's kernel (and bias), in the order of the layers; or, for other layers, give "
    "loss=..., your own function, and the gradients are compared with its derivative",
    Severity.BLOCKING,
    "It cannot be checked: {title}.",
)
OTHER_SIZES = Bug(
    "other-sizes",
    "the weights are not those of the reference",
    'parity.check(net_of_64_30_10, reference="64-40-10")',
    "choose another reference, or leave it out to have the sizes read off",
    Severity.BLOCKING,
    "It cannot be checked: {title}.",
)
OUTPUTS_SHAPE = Bug(
    "outputs-shape",
    "the outputs of forward have no shape that fits",
    "def forward(x): return a2.mean()",
    "return one row (or column) of outputs a sample",
    Severity.BLOCKING,
    "It cannot be checked: {title}.",
)
EXCEPTION = Bug(
    "exception",
    "{callable} raises an exception",
    "def gradients(x, y): return self.cahce  # AttributeError",
    "run the call that is named above by itself{or_say}",
    Severity.BLOCKING,
    "It cannot be checked: {title}.",
)
UNUSABLE_ANSWER = Bug(
    "unusable-answer",
    "{callable} returns no usable answer",
    "def gradients(x, y): self.update(x, y)  # returns None",
    severity=Severity.BLOCKING,
    summary="It cannot be checked: {title}.",
)
STEP_EXCEPTION = Bug(
    "exception",
    "step raises an exception",
    "def step(x, y, learning_rate): self.W1 -= lr * self.dW1  # NameError",
)
BATCH_EXCEPTION = Bug(
    "exception",
    "{callable} raises an exception with a batch, and with single samples it is not right either",
    "dW1 = a1.T @ delta1  # where x.T @ delta1 is meant: ValueError with every batch",
    "look at the line that raises: the shapes that it names are those of a batch",
)
NONDETERMINISTIC_FORWARD = Bug(
    "nondeterministic",
    "forward is nondeterministic: other outputs on equal input",
    "def forward(x): a1 = tanh(x @ W1); return (a1 * dropout_mask()) @ W2",
    "switch dropout (or other random parts) off in forward",
    Severity.UNCERTAIN,
    "{title}.",
)
NONDETERMINISTIC = Bug(
    "nondeterministic",
    "nondeterministic: other gradients on equal input, random from call to call",
    "a1 += 0.01 * rng.normal(size=a1.shape)  # in the forward pass of gradients",
    "give the gradients with dropout off (rate 0, or training=False), and without other random "
    "numbers: then all but these is checked. Or name the rate, if there are no biases to read it "
    "by: reference=[Dense(...), Dropout(rate), ...]",
    Severity.UNCERTAIN,
)

LOW_PRECISION = Bug(
    "low-precision",
    "low precision: the outputs are right only as far as numbers of {digits} bits go ({formats})",
    "torch.backends.cuda.matmul.allow_tf32 = True  # products of float32 on a card, rounded",
    "compute in float32 or float64 throughout, and what is smaller than that rounding is checked "
    "too",
    Severity.UNCERTAIN,
    "Equal to the reference as far as can be told: {title}.",
)

# Forward passes that no hypothesis explains.
UNKNOWN_FORWARD = Bug(
    "unknown-forward",
    "unknown: the forward pass is another function than the reference's",
    "a1 = np.cbrt(x @ W1 + b1)  # where the reference has sigmoid",
    "compare this layer's activation with the reference's",
)
UNKNOWN_LAYERS = Bug(
    "unknown-forward",
    "unknown: forward is no chain of layers with known activations",
    "a1 = np.cbrt(x @ W1 + b1)  # and no reference is given",
    "give reference=..., with the layers that it is meant to have; or loss=..., your own function, "
    "and the gradients are compared with its derivative, whatever the layers are",
    Severity.UNCERTAIN,
    "It cannot be told what forward computes; give a reference.",
)

# The shapes, the order and the number of the gradients.
LAYER_ORDER = Bug(
    "layer-order",
    "gradients in the wrong layer order (last layer first)",
    "grads = []; ...; grads.append(dW)  # while going down through the layers",
    "reverse the list of gradients before you return it",
)
WRONG_COUNT = Bug(
    "wrong-count",
    "another number of gradients than of weights",
    "return [dW1, db1, dW2, db2, dx]",
    "return one gradient a weight, in the order of get_weights; None where it is not written yet",
)
NOT_FINITE = Bug(
    "not-finite",
    "gradient is NaN or infinite",
    "delta = -y / a  # where a is 0",
    "look for a division by 0, or a logarithm or exponential out of range",
)
WRONG_SHAPE = Bug(
    "wrong-shape",
    "gradient of another shape than its weight",
    "dW = np.outer(x, delta)  # of whole batches",
    "give it the shape of the weight",
)
NOT_GIVEN = Bug(
    "not-given",
    "no gradient is given (None), so that not all is checked",
    "return [dW1, None, None, None]  # the others are not written yet",
    "return these too; what is given is checked already",
    Severity.INCOMPLETE,
    "What could be checked is right; {title}: {where}.",
)
BIAS_NOT_RETURNED = Bug(
    "bias-missing",
    "bias gradient missing (only the kernels' are returned)",
    "return [dW1, dW2]  # for the weights [W1, b1, W2, b2]",
    "return the biases' gradients too: delta summed over the batch",
)
ACCUMULATED = Bug(
    "accumulated",
    "gradients accumulate from call to call: never zeroed, so that each batch is counted twice on "
    "the second call",
    "self.dW += x.T @ delta  # and dW is set to zero nowhere",
    "set the gradients to zero (or assign instead of +=) at the start of each backward pass",
)
ALIASING = Bug(
    "aliasing",
    "aliasing: {change} in place",
    "def gradients(x, y): x -= x.mean()",
    "work on a copy, or write a = a * b instead of a *= b",
    summary="{title}.",
)
SHARED_GRADIENTS = Bug(
    "aliasing",
    "aliasing: {one} and {other} of the gradients are one array",
    "grads = [np.zeros((4, 4))] * 2",
    "make an array for each; [a] * n and b = a do not copy",
    Severity.CONCLUSIVE,
    "{title}.",
)

# Gradients that are wrong, or seem right.
UNKNOWN = Bug(
    "unknown",
    "unknown: the delta is wrong, and nothing in the catalogue explains it",
    "delta1 = np.sin(delta2 @ W2.T)",
    "work this layer's delta out for one sample: what the layer above propagates, delta @ W.T, "
    "times f'(z), z being this layer's own pre-activation",
    symptom=True,
)
UNKNOWN_LOSS = Bug(
    "unknown",
    "unknown: the gradients are those of no loss that is known here, and no mistake known here "
    "gives them",
    "delta2 = np.tanh(a2 - y)  # the derivative of a loss of your own: ln cosh(a - y)",
    "give your loss, loss=...: then its derivative decides",
    Severity.UNCERTAIN,
)
CLIPPED = Bug(
    "clipped-gradients",
    "the gradients are {how}, and, as far as that shows, those of no loss that is known here",
    "return [np.clip(g, -1, 1) for g in gradients]  # and no loss is given",
    "return them as they are before that, or give your loss, loss=...: then its derivative decides",
    Severity.UNCERTAIN,
)
UNKNOWN_TENSOR = Bug(
    "unknown",
    "unknown: the {part} gradient is wrong, and nothing in the catalogue explains it",
    "dW2[3, 1] += 0.1",
    "recompute it from the layer's input and delta, which are right",
    symptom=True,
)
PENALTY_UNKNOWN = Bug(
    "unknown",
    "unknown: a function of the weights is added to the kernel's gradient, whatever the samples, "
    "as a penalty of your loss would add it",
    "dW1 = x.T @ delta1 + lam * np.tanh(W1)",
    "give your loss, loss=...: then its derivative decides",
    Severity.UNCERTAIN,
)
VANISHING = Bug(
    "vanishing",
    "all gradients are zero up to rounding{how}",
    "delta2 = J.sum(axis=1) * (a2 - y)  # J: softmax's Jacobian, whose sums are 0",
    "multiply softmax's Jacobian by the gradient, and sum the products: "
    "np.einsum('njk,nk->nj', J, g), or a * (g - (g * a).sum(axis=1, keepdims=True))",
    Severity.CONCLUSIVE,
)
OTHER_LOSS = Bug(
    "other-loss",
    "gradient of another loss: your loss is the {stated}, the gradients are those of {found}",
    'delta2 = (a2 - y) * a2 * (1 - a2)  # with loss="binary_crossentropy"',
    "start backpropagation from {formula}, the derivative of the {stated} by the output a (here it "
    "starts from {other_formula})",
)
BATCH_SIZE = Bug(
    "batch-size",
    "right for a batch of {first}, wrong for one of {other}",
    "dW1 = x[:7].T @ delta1[:7]",
    "look for a batch size that is written into the code",
)
UNCONFIRMED = Bug(
    "unconfirmed",
    "wrong with one set of weights and samples, and not with another",
    "if rng.random() < 0.5: dW1 *= 2",
    "try other seeds (--seed 1): what comes and goes with them depends on the weights, on the "
    "samples or the batch size, or on a kink close by",
    Severity.UNCERTAIN,
    "It cannot be told: {title}.",
)
VACUOUS = Bug(
    "vacuous",
    "nothing could have failed: rounding may be as large as the values",
    "W1 = W1.astype(np.float16)  # and values cancel",
    "check it in float64",
    Severity.UNCERTAIN,
)
UNITS_LEFT_OUT = Bug(
    "units-left-out",
    "units are left out of the gradients, the same in each call: a dropout mask without its scale "
    "1/(1 - rate), or units forgotten",
    "for j in range(hidden - 1): dW2[j] = a1[j] * delta2",
    "divide mask * a by 1 - rate; or, without dropout, look for a loop that ends too early",
)
TRAINING_DROPOUT_MULTIPLIED = Bug(
    "dropout-multiplied",
    "dropout multiplies what it keeps by 1 - rate where it should divide",
    "a1 = a1 * mask * (1 - rate)  # in training",
    "divide by 1 - rate, the share that is kept",
)
TRAINING_DROPOUT_TWICE = Bug(
    "dropout-scale-twice",
    "dropout's scale is there twice: divided by in training, and multiplied by in forward",
    "a1 = a1 * mask / keep  # in training; a1 = a1 * keep in forward",
    "take one of the two out",
)
TRAINING_DROPOUT_UNSCALED = Bug(
    "dropout-scale-missing",
    "dropout without its scale 1/(1 - rate): what is kept in training is not divided by the share "
    "that is kept, and forward does not multiply by it either",
    "a1 = a1 * mask  # in training; a1 = a1 in forward",
    "divide mask * a by 1 - rate, in the forward and in the backward pass; or multiply by 1 - rate "
    "in forward when not training",
)

# The weights' own share in their gradients.
WEIGHT_DECAY_MISSING = Bug(
    "weight-decay-missing",
    "weight decay missing in the gradients of the {parts}",
    "loss = mse + 0.5 * lam * (W1**2).sum(); dW1 = x.T @ delta1",
    "add the weight's share to its gradient: {number}{either}",
)
L1_MISSING = Bug(
    "l1-missing",
    "the loss has an L1 penalty, {amount} times the sum of |W|, whose derivative the gradients of "
    "the kernels lack{how}",
    "loss = cross_entropy + lam * np.abs(W1).sum(); dW1 = x.T @ delta1 + lam * W1",
    "add {amount} * np.sign(W) to each kernel's gradient",
)
PENALTY_ADDED = Bug(
    "penalty-added",
    "the gradients of the kernels have {amount} times {form} added, the derivative of a penalty "
    "that {stated} lacks",
    "dW1 = x.T @ delta1 + lam * np.sign(W1)  # and the loss has lam / 2 * (W1**2).sum()",
    "add the penalty to the loss; or in its place the derivative of the penalty that this has: "
    "lam W for lam/2 sum(W^2)",
)
PENALTY_FORM = Bug(
    "penalty-form",
    "the gradients of the kernels have {amount} times {form} added, where a penalty has a share of "
    "W itself",
    "dW1 = x.T @ delta1 + lam * W1**2  # the penalty's derivative is lam * W1",
    "add the derivative of the penalty: lam W for lam/2 sum(W^2)",
)
WEIGHT_DECAY_FACTOR = Bug(
    "weight-decay-factor",
    "weight decay (L2) {times} in the gradients of the {parts}",
    "loss = mse + lam * (W1**2).sum(); dW1 = x.T @ delta1 + lam * W1  # 2 * lam",
    "{hint}: expected {number}{either}",
)
WEIGHT_DECAY_ON_BIASES = Bug(
    "weight-decay-on-biases",
    "weight decay on biases{than}",
    "for p in parameters: p.grad += lam * p",
    "leave the biases out of the decay{either}",
)

# Steps.
NO_CHANGE = Bug(
    "no-change",
    "the step changes none of the weights that get_weights returns",
    "W = self.W1; W = W - learning_rate * dW",
    "let get_weights return the arrays that the step updates, read again at each call",
)
LEARNING_RATE_TWICE = Bug(
    "learning-rate-twice",
    "learning rate applied twice: the change goes with its square",
    "dW *= learning_rate; ...; W -= learning_rate * dW",
    "multiply the gradient by the learning rate once",
)
LEARNING_RATE_MISSING = Bug(
    "learning-rate-missing",
    "the learning rate is missing: the change of {names} does not depend on it",
    "W1 -= learning_rate * dW1; b1 -= db1",
    "multiply each gradient by the learning rate: b1 -= learning_rate * db1",
)
DECAY_WITHOUT_RATE = Bug(
    "weight-decay-without-rate",
    "the weight decay is not multiplied by the learning rate in {names}",
    "W = (1 - lam) * W - learning_rate * dW",
    "W = (1 - learning_rate * lam) * W - learning_rate * dW",
)
VELOCITY_WITHOUT_RATE = Bug(
    "velocity-without-rate",
    "velocity without the learning rate: the change does not depend on it",
    "v = momentum * v - dW; W += v",
    "multiply the gradient by the learning rate as it enters the velocity: "
    "m = momentum * m - learning_rate * g",
)
LEARNING_RATE_DECAY = Bug(
    "learning-rate-decay",
    "the learning rate changes inside the step from call to call",
    "self.rate *= 0.99; W -= self.rate * dW",
    "give gradients as well, or switch that off for the check",
    Severity.UNCERTAIN,
)
UPDATE_SIGN = Bug(
    "sign",
    "update with the wrong sign: it goes uphill",
    "W += learning_rate * m_hat / (np.sqrt(v_hat) + eps)",
    "subtract the change instead of adding it; a loss that is to be made large is given negative",
)
OTHER_OPTIMIZER = Bug(
    "other-optimizer",
    "another optimizer than declared: {found}{parts}",
    'W -= learning_rate * dW  # with optimizer="adam"',
    "make it {declared}",
    symptom=True,
)
UNKNOWN_OPTIMIZER = Bug(
    "unknown-optimizer",
    "unknown: the step keeps a state, and is no optimizer known here with right gradients",
    "v = 0.9 * v + dW**3; W -= learning_rate * v",
    "give gradients as well: they can be checked whatever the optimizer",
    Severity.UNCERTAIN,
)
UNKNOWN_UPDATE = Bug(
    "unknown-optimizer",
    "unknown: the gradients are right, and the step is no update by them that is known here",
    "t = 0; ...; m_hat = m / (1 - beta_2**t)",
    "compare the update with its formula: which average is corrected by which beta, whether steps "
    "count from 1 and states start at 0, where epsilon stands",
    Severity.UNCERTAIN,
    symptom=True,
)
TRAJECTORY = Bug(
    "trajectory",
    "the trajectories part at step {step} (counted from 0)",
    "if step == 0: v = np.ones_like(W)",
    "look at {suspect}",
)
