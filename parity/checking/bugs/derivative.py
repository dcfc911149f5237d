"""What shows in gradients beside the measured derivative of the loss, whatever the layers are."""

from parity.checking.bugs.table import Bug, Severity

NO_SAMPLES = Bug(
    "no-samples",
    "no samples are known that the network takes",
    "def loss(x, y): return cross_entropy(lstm(x), y)  # x is (batch, time, features)",
    "give some: data=(x, y), or data=lambda rng: (x, y) for others each time",
    Severity.BLOCKING,
    "It cannot be checked: {title}.",
)
NOT_MEASURED = Bug(
    "not-measured",
    "the derivative of your own loss cannot be measured",
    "def loss(x, y): return round(mse, 3)",
    "let the loss return all its digits, in float64 if it can",
    Severity.UNCERTAIN,
    "It cannot be told: {title}.",
)
STATE_KEPT = Bug(
    "state-not-reset",
    "the state is not reset: what {callable} returns depends on the calls before it",
    "def loss(self, x, y): self.h = self.run(x, self.h); ...  # and self.h is never zeros again",
    "begin each call with a state of zeros, or let the loss and the gradients that you hand over "
    "reset it first",
    Severity.UNCERTAIN,
    "It cannot be told whether the gradients are right: {title}.",
)
OTHER_MODE = Bug(
    "other-mode",
    "the gradients are not the derivative of your own loss, and the loss is another after they "
    "have been asked for: it may be of another mode than they are",
    "def loss(x, y): return cross_entropy(net.forward(x, training=False), y)  # by moving averages",
    "give the loss that they are the gradients of: with batch normalization as in training, if "
    "they are, loss=lambda x, y: net.loss(x, y, training=True)",
    Severity.UNCERTAIN,
    "It cannot be told whether the gradients are right: {title}.",
)
NOT_THE_DERIVATIVE = Bug(
    "not-the-derivative",
    "the gradient is not the derivative of your own loss",
    "dW = x.T @ np.sin(delta)",
    "look at how the error reaches these",
    summary="{title}: {where}.",
    symptom=True,
)
ONE_CHANGE = Bug(
    "one-change",
    "one change mends it, in {place}",
    "dh = dz @ self.Wh  # line 57 of tagger.py: with dz @ self.Wh.T all gradients agree",
    'where "{old}" stands, write {new}',
    summary="{title}: {where}.",
)
WRONG_VALUE = Bug(
    "wrong-value",
    "{value} is not the derivative of your own {of} by {by}",
    "dz = (p - y) * p  # line 57 of tagger.py: with the derivative by z, measured, all gradients "
    "agree",
    "look at this line, and at what it reads; what is done with it afterwards is right",
    summary="{title}: {where}.",
)
ONE_CHANGE_IN_PART = Bug(
    "one-change",
    "one change mends {mended}, in {place}; {rest} wrong",
    "dh = dz @ self.Wh  # line 57 of tagger.py: with dz @ self.Wh.T the gradient of Wx agrees, and "
    "that of V does not yet",
    'where "{old}" stands, write {new}; then look for what is wrong besides',
    summary="{title}.",
)
ZERO = Bug(
    "gradient-missing",
    "the gradient is zero, though the loss depends on this weight",
    "grads = {name: np.zeros_like(w) for name, w in weights.items()}  # and one is never filled",
    "add this weight's share of the loss",
    symptom=True,
)
UPDATED_FIRST = Bug(
    "updated-weights",
    "the step goes by weights that it has updated already: only as the learning rate falls does it "
    "tend to the derivative",
    "p = P[u]; P[u] += rate * e * Q[i]; Q[i] += rate * e * p  # P[u].copy() is meant",
    "work out all changes first, then update; of a row that is updated keep a copy",
)
PLACES_MISSING = Bug(
    "places-missing",
    "the gradient is zero at {places}, though the loss depends on them",
    "for t in range(1, steps): dW += np.outer(h[t - 1], delta[t])",
    "look for a loop that starts too late or ends too early, or += where repeated indices are lost",
)
ANOTHERS = Bug(
    "anothers-gradient",
    "the gradient is that of {other}",
    "return [dW2, dW1]  # of one shape",
    "return each in the place of its own weight",
)
TRANSPOSED = Bug(
    "transposed",
    "the gradient is transposed",
    "dWh = dz.T @ h  # h is (batch, n), Wh is (n, n)",
    "transpose it",
)
FLIPPED = Bug(
    "flipped",
    "the gradient is turned round along axis {axis}",
    "dK[i, j] += ...  # where the kernel is applied as K[::-1]",
    "take the entries in the other order",
)
SUMMED = Bug(
    "summed",
    "the gradient is one number along axis {axis}: {how} of what it should be there",
    "dgamma = np.sum(dout * xhat)  # over all axes",
    "sum over the other axes only",
)
DECAY_MISSING = Bug(
    "weight-decay-missing",
    "the gradient lacks {number} times the weight itself: the loss has a penalty that the gradient "
    "does not have, or not whole",
    "loss = mse + 0.5 * lam * (W**2).sum(); dW = x.T @ delta",
    "add {number} times the weight to its gradient",
)
DECAY_NOT_IN_LOSS = Bug(
    "weight-decay-not-in-loss",
    "the gradient has {number} times the weight itself too much: a penalty that your own loss does "
    "not have, or not as large",
    "loss = mse; dW = x.T @ delta + lam * W",
    "let the loss and the gradient have the same penalty",
)
DECAY_OF_TOO_MANY = Bug(
    "weight-decay-of-too-many",
    "the gradient contains the weight itself ({number} times it) at {places}, where your own loss "
    "does not",
    "grad += lam / m * Theta  # and its first column holds the biases, which the loss leaves out",
    "leave the penalty out there, or add it to the loss",
)
DATA_FACTOR = Bug(
    "factor",
    "what comes of the data in the gradients is {factor} times what it should be{words}; the "
    "weight penalty beside it is right",
    "d = 2 * (a - y) / m; dW = x.T @ d + lam * W / m  # and the loss has no 2",
    "divide by {factor} what comes of the data, and leave the penalty as it is",
)
TWO_SCALES = Bug(
    "factor",
    "the gradients are {factor} times the derivative of your own loss{words}, but not in their "
    "weight penalty",
    "d = 2 * (a - y) / m; dW = E.T @ d + lam * W / m  # and the loss has no 2, or 4 times the lam",
    "give both the factor that they have in your loss: either divide by {factor} what comes of the "
    "data, or multiply the penalty by it",
)
OF_SOME_SAMPLES = Bug(
    "samples-left-out",
    "the gradients are those of {which} alone",
    "for i in range(1, len(x)): dW += np.outer(x[i], delta[i])",
    "let every sample of the batch count",
)
WEIGHTS_LEFT_OUT = Bug(
    "sample-weights",
    "sample weights are left out of the gradients: your own loss counts {what} in the proportion "
    "{shares}, and they count all alike",
    "loss = np.mean(w[y] * cross_entropy(a, y)); delta = (a - one_hot(y)) / len(y)",
    "multiply each sample's delta by its weight, and divide by what the loss is divided by",
)
WEIGHTS_DIFFER = Bug(
    "sample-weights",
    "sample weights differ: for each time that your own loss counts them, the gradients count the "
    "samples in the proportion {shares}",
    "loss = np.mean(w * (a - y) ** 2); delta = 2 * (a - y) * np.sqrt(w)",
    "give each sample the same weight in both: if the loss has one, multiply its delta by that",
)
LAST_SAMPLE = Bug(
    "samples-left-out",
    "the gradients are those of the last sample alone",
    "for i in range(len(x)): dW = np.outer(x[i], delta[i])  # += is meant",
    "likely each sample's gradient (or error) is assigned, which writes it over those before: add "
    "them up, dW += ... in the place of dW = ...",
    symptom=True,
)
FIRST_SAMPLE = Bug(
    "samples-left-out",
    "the gradients are those of the first sample alone",
    "for i in range(len(x)): dW += np.outer(x[i], delta[i]); return dW  # inside of the loop",
    "likely the loop over the samples ends with the first: a return or break inside of it",
    symptom=True,
)
CONDITION_TURNED = Bug(
    "condition-turned",
    "the gradients are those of the points that are right already, and not of those that the loss "
    "counts: the condition is turned round",
    "if y * (x @ w) > 0: w += learning_rate * y * x  # <= 0 is meant",
    "let a point count where its loss is above 0, and no other",
)
OTHER_LOSS = Bug(
    "other-loss",
    "the gradients are those of another loss: {found}",
    "delta = a - y  # of cross-entropy, where the loss is the squared error",
    "start from the derivative of the loss that you print",
)
SIGN = Bug(
    "sign",
    "the gradients have the wrong sign: {factor} times the derivative",
    "delta = y - a",
    "turn the sign round, or add the change where it is subtracted",
)
FACTOR = Bug(
    "factor",
    "the gradient is {factor} times what it should be{words}",
    "dW = x.T @ delta / len(x)  # and delta is divided already",
    "divide it by {factor}",
)
