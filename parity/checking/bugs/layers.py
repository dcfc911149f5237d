"""What is wrong in one layer: in its forward function, or in the backward function beside it.

The formulas of :mod:`parity.checking.layer` compute each layer rightly, and with each slip.
"""

from parity.checking.bugs.table import Bug, Severity

# Any layer.
OTHER_FUNCTION = Bug(
    "unknown-forward",
    "unknown: forward computes another function than {reference}, in each layout that was tried",
    "out = x @ W * 1.1 + b  # where Keras's Dense is meant",
    "compare forward with the reference on one small input; until then backward is judged as the "
    "derivative of your own forward",
    Severity.UNCERTAIN,
    "It cannot be told: {title}.",
)
NOT_THE_REFERENCE = Bug(
    "unknown-forward",
    "forward computes another function than {reference}",
    "x = x.reshape(N, G, C // G, H, W)  # where the channels are x's last axis",
    "compare forward with the reference on one small input; until then backward is judged as the "
    "derivative of your own forward",
    summary="{title}.",
)
NOT_FINITE_BEYOND = Bug(
    "not-finite",
    "forward gives NaN or infinity where {reference} gives numbers",
    "out = np.exp(np.log(x))  # NaN for x below 0",
    "look for a division by 0, a logarithm or a root of negative numbers, or an exponential out of "
    "range",
    summary="{title}.",
)
NEVER_FINITE = Bug(
    "not-finite",
    "forward gives NaN or infinity on all numbers that were tried",
    "out = np.sqrt(-1 - x**2)",
    "give inputs=... and weights=... as arrays on which forward gives numbers: then it is asked "
    "near these",
    Severity.UNCERTAIN,
    "It cannot be told: {title}.",
)
RAISES_BEYOND = Bug(
    "exception",
    "forward raises an exception where {reference} gives numbers",
    'np.seterr(all="raise"); out = np.exp(np.log(x))  # FloatingPointError for x below 0',
    "look for a division by 0, a logarithm or a root of negative numbers, or an exponential out of "
    "range; on tamer numbers all else is checked",
    Severity.INCOMPLETE,
    "What could be checked is right; {title}.",
)
STALE = Bug(
    "stale-cache",
    "{function} takes what an earlier call has left: after a call on other input it answers "
    "otherwise",
    "self.inputs.append(x)  # in forward, and the list is emptied nowhere",
    "write anew in each forward what backward needs: self.inputs = []",
)
GRADIENT_WRONG = Bug(
    "unknown",
    "unknown: the gradient is wrong, and nothing in the catalogue explains it",
    "dx = np.sin(dout) @ W.T",
    "work it out for one sample and one output; what is right needs no change",
    summary="{title}: {where}.",
)
NOT_OF_FORWARD = Bug(
    "not-the-derivative",
    "the gradient is not the derivative of your own forward",
    "out = np.cbrt(x); dx = dout * np.cbrt(x)",
    "work it out for one sample and one output; what is right needs no change",
    summary="{title}: {where}.",
)
NOT_SUMMED = Bug(
    "not-summed",
    "the gradient is not summed over axis {axes}",
    "db = dout  # (batch, units), where b is (units,)",
    "sum it over the axes along which the weight is repeated: dout.sum(axis=0), and for pictures "
    "dout.sum(axis=(0, 1, 2))",
)
ONE_COUNTS = Bug(
    "gradient-overwritten",
    "the gradient is overwritten instead of added: only {which} counts",
    "for n in range(len(x)): dw = np.outer(x[n], dout[n])",
    "start from zeros, and add: dw += ...",
)
KERNEL_UNTRANSPOSED = Bug(
    "kernel-untransposed",
    "the {kernel} is not transposed on the way back",
    "dh_prev = dz @ Wh  # where forward has h_prev @ Wh",
    "multiply by its transpose: dz @ Wh.T",
)
DERIVATIVE_MISSING = Bug(
    "missing-derivative",
    "the derivative of {function} is missing",
    "dz = dout  # where forward has np.tanh(z)",
    "multiply by the derivative, elementwise: for tanh 1 - a^2, for sigmoid a * (1 - a)",
)
FUNCTION_FOR_DERIVATIVE = Bug(
    "function-for-derivative",
    "the function itself stands where its derivative is meant: {function}",
    "di = dc * g * i  # where sigma' = i * (1 - i) is meant behind it",
    "multiply by the derivative, elementwise: for tanh 1 - a^2, for sigmoid a * (1 - a)",
)

DERIVATIVE_FORM = Bug(
    "derivative-slip",
    "the derivative of {function} is written wrong: {form} in place of {right}",
    "dc += dh * o * (1 - c**2)  # where a = tanh(c) is meant: 1 - a**2",
    "for a = tanh(z) it is 1 - a^2, for a = sigmoid(z) it is a * (1 - a)",
)

# Convolution and pooling.
KERNEL_FLIPPED = Bug(
    "conv-kernel-flipped",
    "the kernel is turned round in forward: a convolution, where Keras's layers correlate",
    "out = scipy.signal.convolve(x, w, mode='valid')",
    "use the kernel as it lies (scipy.signal.correlate), or turn it round before",
)
KERNEL_NOT_FLIPPED = Bug(
    "conv-kernel-not-flipped",
    "the kernel is not turned round on the way back to x",
    "dx = correlate(pad(dout), w)  # full",
    "turn it round in both directions of space: w[::-1, ::-1]; or add w * dout[i, j] into each "
    "window of dx",
)
STRIDE_FORGOTTEN = Bug(
    "stride-forgotten",
    "the stride is forgotten in backward",
    "dx[i : i + k, j : j + k] += w * dout[i, j]  # with stride 2",
    "the window of output (i, j) starts at (i * stride, j * stride), as in forward",
)
DILATION_FORGOTTEN = Bug(
    "dilation-forgotten",
    "the dilation is forgotten in backward",
    "dx[:, s : s + k] += w * dout[:, i]  # with dilation 2",
    "the elements of a window lie so far apart: dx[:, s : s + dilation * (k - 1) + 1 : dilation]",
)
PADDING_FORGOTTEN = Bug(
    "padding-forgotten",
    "the padding is forgotten in backward{how}",
    "return dx_padded[:, :H, :W]",
    "work on the padded x, and cut its border off at the end: dx_padded[:, p:-p, p:-p]",
)
WINDOWS_OVERWRITTEN = Bug(
    "windows-overwritten",
    "where windows overlap, the gradient of x is overwritten instead of added",
    "dx[i : i + k, j : j + k] = w * dout[i, j]",
    "add: dx[...] += w * dout[i, j]",
)
MAX_TO_ALL = Bug(
    "pool-max-to-all",
    "max pooling's gradient goes to {which} of a window",
    "dx[window] += dout[i, j]",
    "let only the largest element of the window have it: dx[window] += (x == max) * dout[i, j]",
)
TIES_ALL = Bug(
    "pool-ties-all",
    "max pooling's gradient goes whole to each of several equal maxima, and so counts many times",
    "dx[window] += (x[window] == x[window].max()) * dout[i, j]  # behind a ReLU all may be 0",
    "let one of them have it, as Keras does (argmax); or divide it among them",
)
TIES_NONE = Bug(
    "pool-ties-none",
    "max pooling's gradient is lost where several elements are the maximum",
    "if (x[window] == out[i, j]).sum() == 1: dx[window] += ...",
    "let one of them have it, as Keras does (argmax); or divide it among them",
)
AVERAGE_NOT_DIVIDED = Bug(
    "pool-average-not-divided",
    "average pooling's gradient is not divided by the size of the window",
    "dx[window] += dout[i, j]",
    "divide by the number of elements in the window: dout[i, j] / (k * k)",
)

# Normalization.
NORM_MEAN_TERM = Bug(
    "norm-mean-term",
    "the mean's share of the gradient is missing: it depends on x too",
    "dx = dxhat * inv_std - xhat * (dxhat * xhat).mean(axis=0) * inv_std",
    "subtract the mean of dxhat: inv_std * (dxhat - dxhat.mean(axis=0) - ...)",
)
NORM_VARIANCE_TERM = Bug(
    "norm-variance-term",
    "the variance's share of the gradient is missing: it depends on x too",
    "dx = inv_std * (dxhat - dxhat.mean(axis=0))",
    "subtract xhat * (dxhat * xhat).mean(axis=0) as well, before multiplying by inv_std",
)
NORM_STATISTICS_TERMS = Bug(
    "norm-statistics-terms",
    "mean and variance are taken for constants: both shares of the gradient are missing",
    "dx = dout * gamma * inv_std",
    "inv_std * (dxhat - dxhat.mean(axis=0) - xhat * (dxhat * xhat).mean(axis=0))",
)
NORM_GAMMA = Bug(
    "norm-gamma-missing",
    "gamma is missing in the gradient of x",
    "dxhat = dout",
    "begin with dxhat = dout * gamma",
)
NORM_N_MINUS_1 = Bug(
    "norm-n-minus-1",
    "the variance is divided by n - 1 where it should be divided by n",
    "var = x.var(axis=0, ddof=1)",
    "leave ddof out: normalization uses the variance of the batch itself",
)
NORM_COUNT = Bug(
    "norm-count",
    "{what} in backward, and not by {meant}",
    "dx = inv_std / N * (N * dxhat - dxhat.sum(axis=1) - ...)  # in layer normalization",
    "count the elements over which forward takes its mean: {meant}",
)
NORM_SHARE = Bug(
    "norm-share",
    "the {which}'s share of the gradient is {factor} times what it should be",
    "dvar = np.sum(dxhat * (x - mean), axis=0) * -(var + eps) ** -1.5  # without 0.5",
    "dvar = -0.5 * sum(dxhat * (x - mean)) * (var + eps)^-1.5, and of it dx has "
    "2 / n * (x - mean) * dvar",
)
NORM_INVERSE = Bug(
    "norm-inverse-missing",
    "1 / sqrt(variance + epsilon) is missing in the gradient of x",
    "dx = dxhat - dxhat.mean(axis=0) - xhat * (dxhat * xhat).mean(axis=0)",
    "multiply by inv_std",
)
NORM_GAMMA_PLACE = Bug(
    "norm-gamma-place",
    "gamma is multiplied into the gradient of x behind the means, and not before them",
    "dx = gamma * inv_std * (dout - dout.mean(axis=-1) - xhat * (dout * xhat).mean(axis=-1))",
    "begin with dxhat = dout * gamma: along the features gamma is not one number",
)
NORM_EPSILON_PLACE = Bug(
    "norm-epsilon-place",
    "epsilon stands outside the root",
    "xhat = (x - mean) / (np.sqrt(var) + eps)",
    "np.sqrt(var + eps)",
)
NORM_EPSILON_VALUE = Bug(
    "norm-epsilon-value",
    "epsilon is {found}, and the reference's is {meant}",
    "xhat = (x - mean) / np.sqrt(var + 1e-5)  # where Keras has 1e-3",
    "take {meant}; or give the reference epsilon={found}, if that is meant",
)
NORM_EPSILON_BACKWARD = Bug(
    "norm-epsilon-backward",
    "epsilon is in forward and not in backward",
    "inv_std = 1 / np.sqrt(var)  # in backward",
    "take the same 1 / np.sqrt(var + eps) in both; best from the cache",
)
NORM_GAMMA_OF_X = Bug(
    "norm-gamma-of-x",
    "gamma's gradient is made of {what} where xhat is meant",
    "dgamma = (dout * x).sum(axis=0)",
    "dgamma = (dout * xhat).sum(axis=0)",
)
NORM_AXIS = Bug(
    "norm-axis",
    "forward normalizes over axis {axes}, and not over axis {meant}",
    "mean = x.mean(axis=0)  # in layer normalization",
    "layer normalization: over the features of each sample (axis -1); batch normalization: over "
    "all but the channels",
)
NORM_AXIS_BACKWARD = Bug(
    "norm-axis-backward",
    "backward takes its means over another axis than forward",
    "dx = inv_std * (dxhat - dxhat.mean(axis=0) - ...)  # in layer normalization",
    "take both means over the axes over which forward takes mean and variance",
)
NORM_INFERENCE = Bug(
    "norm-inference",
    "at inference the statistics of the batch are used, and not the moving ones",
    "def forward(x, training): xhat = (x - x.mean(0)) / np.sqrt(x.var(0) + eps)",
    "at inference take running_mean and running_var",
)
NORM_MOMENTUM = Bug(
    "norm-momentum",
    "momentum has the other convention: {momentum} is the share of the new {statistic}, and in "
    "Keras it is that of the old",
    "running_mean = (1 - momentum) * running_mean + momentum * mean",
    "running_mean = momentum * running_mean + (1 - momentum) * mean; or give 1 - momentum",
)

# Embedding.
EMBEDDING_REPEATS = Bug(
    "embedding-repeats",
    "where an index occurs several times, only the last of its gradients counts",
    "dW[indices] += dout",
    "np.add.at(dW, indices, dout)",
)

# Recurrence.
GATE_ORDER = Bug(
    "gate-order",
    "backward has the gates in another order than forward: {order}",
    "dz = np.hstack([di, df, do, dg])  # where forward has i, f, g, o",
    "stack the gates' deltas as forward splits them",
)
HARD_SIGMOID = Bug(
    "hard-sigmoid",
    "the hard sigmoid stands where the sigmoid is meant{where_it_is}",
    "i = np.clip(0.2 * z + 0.5, 0, 1)",
    "1 / (1 + np.exp(-z)); Keras's recurrent_activation is the sigmoid",
)
DH_NEXT = Bug(
    "dh-next-dropped",
    "what comes back from the next time step to h is dropped",
    "for t in reversed(range(T)): dh = dout[:, t]",
    "dh = dout[:, t] + dh_next",
)
DC_NEXT = Bug(
    "dc-next-dropped",
    "what comes back from the next time step to c is dropped",
    "dc = dh * o * (1 - np.tanh(c)**2)",
    "dc = dc_next + dh * o * (1 - tanh(c)^2), with dc_next = dc * f of the step above",
)
PATH_MISSING = Bug(
    "path-missing",
    "what comes back to {array} through {through} is missing",
    "dh_next = dh * z + dz @ Uz.T + dr @ Ur.T  # and not through the candidate: r * (dg @ Ug.T)",
    "{array} goes several ways: add what comes back on each of them",
)
GATE_DELTA_MISSING = Bug(
    "gate-delta-missing",
    "nothing comes back through {gate}: its delta is missing",
    "dz = np.hstack([di, df, dg, 0 * do])",
    "work out the delta of each gate",
)
FORGET_GATE_MISSING = Bug(
    "forget-gate-missing",
    "what goes back to the c of the step before is not multiplied by the forget gate",
    "dc_next = dc",
    "dc_next = dc * f",
)
OTHER_TIME = Bug(
    "wrong-time-index",
    "backward takes {taken} where {meant} belongs",
    "df = dc * c[t]; dU += h[t].T @ dz  # and not those of t - 1",
    "keep in the cache what forward used at that place: {meant}",
)
CELL_FUNCTION_MISSING = Bug(
    "cell-function-missing",
    "c stands where {function}(c) is meant{where_it_is}",
    "h = o * c  # where o * np.tanh(c) is meant; or do = dh * c",
    "h = o * tanh(c); in backward, do = dh * tanh(c), and dc += dh * o * (1 - tanh(c)^2)",
)
SLOPE_OF_OTHER_GATE = Bug(
    "slope-of-other-gate",
    "the derivative of {gate} is taken from {other}",
    "df = dc * c_prev * i * (1 - i)",
    "each gate's own: df = dc * c_prev * f * (1 - f)",
)
STEP_LEFT_OUT = Bug(
    "step-left-out",
    "backward leaves out the {which} time step",
    "for t in range(steps - 1, 0, -1): ...",
    "go through all steps: for t in reversed(range(steps))",
)
TRUNCATED = Bug(
    "truncated",
    "backpropagation through time is cut off after {steps} steps",
    "for s in range(max(0, t - 4), t + 1): ...",
    "go back to the first time step",
)
STATE_NOT_RESET = Bug(
    "state-not-reset",
    "the state is not reset: a second call begins where the first ended",
    "def forward(self, x): h = self.h; ...; self.h = h",
    "begin each call with zeros (or with the h0 that is given)",
)
MASK_IGNORED = Bug(
    "mask-ignored",
    "the mask is ignored{where_it_is}",
    "for t in range(T): h = step(x[:, t], h)",
    "where the mask is 0, keep the state: h = np.where(mask[:, t, None], step(x[:, t], h), h)",
)
STEPS_OVERWRITTEN = Bug(
    "gradient-overwritten",
    "the gradient is overwritten from time step to time step: only {which} counts",
    "for t in reversed(range(T)): dWx = x[:, t].T @ dz",
    "start from zeros, and add: dWx += ...",
)
GRU_RESET = Bug(
    "gru-reset-missing",
    "the reset gate is not applied{where_it_is}",
    "g = np.tanh(x @ Wx + h @ Wh)",
    "g = np.tanh(x @ Wx + r * (h @ Wh))  # reset_after=True; else (r * h) @ Wh",
)
GRU_RESET_KERNEL = Bug(
    "gru-reset-missing",
    "the reset gate is missing in the gradient of the candidate's recurrent kernel",
    "dU_g = h.T @ dg  # where forward has (r * h) @ U_g",
    "dU_g = (r * h).T @ dg; with reset_after=True h.T @ (r * dg)",
)
GRU_SECOND_BIAS = Bug(
    "gru-second-bias",
    "the recurrent bias has the same gradient as the other one: in the candidate, where it is "
    "added before the reset gate, the factor r is left out",
    "db = np.stack([dz.sum(0), dz.sum(0)])  # with reset_after the candidate's part is another",
    "the candidate's part is summed with the reset gate: np.sum(dg * r, axis=0)",
)
GRU_RESET_PLACE = Bug(
    "gru-reset-place",
    "the reset gate is applied {found} the recurrent kernel, and in the reference {meant} it",
    "g = np.tanh(x @ Wx + (r * h) @ Wh)  # with reset_after=True, Keras's default",
    "move it, or give the reference the other reset_after",
)
GRU_UPDATE = Bug(
    "gru-update-swapped",
    "the update gate has its two shares exchanged: z belongs to the old state",
    "h = (1 - z) * h + z * g",
    "h = z * h + (1 - z) * g",
)
GRU_UPDATE_BACKWARD = Bug(
    "gru-update-delta",
    "the update gate goes wrong in backward: {what}",
    "dz = dh * (g - h) * z * (1 - z)  # where forward has h_new = z * h + (1 - z) * g",
    "of h_new = z * h + (1 - z) * g: dz = dh * (h - g), dg = dh * (1 - z), dh_prev = dh * z",
)

# Attention.
ATTENTION_SCALE = Bug(
    "attention-scale",
    "the division by sqrt(d) is missing{where_it_is}",
    "scores = q @ k.T",
    "scores = q @ k.T / np.sqrt(d), d being the size of a head, in forward and in backward",
)
ATTENTION_AXIS = Bug(
    "attention-axis",
    "softmax runs over the queries where it should run over the keys",
    "a = softmax(scores, axis=1)  # of scores (batch, queries, keys)",
    "softmax(scores, axis=-1)",
)
ATTENTION_MASK = Bug(
    "attention-mask-after",
    "the mask is applied after softmax: the shares of what is left do not add up to 1",
    "a = softmax(scores) * mask",
    "a = softmax(np.where(mask, scores, -1e9))",
)
ATTENTION_TRANSPOSED = Bug(
    "attention-transposed",
    "the {what} are not transposed as they should be in {where}",
    "dk = dscores @ q  # and not dscores.transpose(0, 2, 1) @ q",
    "of scores = q @ k.T: dq = dscores @ k, dk = dscores.T @ q; of out = a @ v: dv = a.T @ dout",
)
ATTENTION_HEADS = Bug(
    "attention-heads",
    "the heads are not split: forward computes one head",
    "a = softmax(q @ k.T / np.sqrt(d)); out = a @ v",
    "reshape to (batch, time, heads, d), and attend in each head by itself",
)
SOFTMAX_FORM = Bug(
    "softmax-backward",
    "softmax's derivative is written wrong: {form}",
    "dscores = a * (da - da.sum(axis=-1, keepdims=True))",
    "dscores = a * (da - (da * a).sum(axis=-1, keepdims=True)), with the sum over the axis over "
    "which forward normalises",
)
SOFTMAX_BY_DIAGONAL = Bug(
    "softmax-diagonal",
    "softmax is differentiated by its diagonal alone",
    "dscores = da * a * (1 - a)",
    "dscores = a * (da - (da * a).sum(axis=-1, keepdims=True))",
)
BRANCH_OVERWRITTEN = Bug(
    "branch-overwritten",
    "x goes several ways, and only the gradient of {which} counts",
    "dx = dq @ Wq.T; dx = dk @ Wk.T; dx = dv @ Wv.T",
    "add what comes back on each way: dx += ...",
)

# Dropout.
DROPOUT_UNSCALED = Bug(
    "dropout-scale-missing",
    "dropout without its scale 1/(1 - rate): what is kept is not divided by the share kept",
    "out = x * mask",
    "out = x * mask / (1 - rate), and the same in backward",
)
DROPOUT_BACKWARD_UNSCALED = Bug(
    "dropout-scale-missing",
    "dropout's scale 1/(1 - rate) is in forward and not in backward",
    "dx = dout * mask  # where forward has x * mask / (1 - rate)",
    "dx = dout * mask / (1 - rate)",
)
DROPOUT_MASK = Bug(
    "dropout-mask-missing",
    "dropout's mask is in forward and not in backward",
    "dx = dout",
    "keep the mask of forward: dx = dout * mask / (1 - rate)",
)
DROPOUT_RATE = Bug(
    "dropout-rate",
    "the rate is the share that is kept: {kept:.0%} are kept, and {meant:.0%} should be",
    "mask = rng.random(x.shape) < rate",
    "keep 1 - rate of the elements: mask = rng.random(x.shape) >= rate",
)
