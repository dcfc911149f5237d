"""Update rules that are wrong: which form of a rule is which bug."""

from parity.bounds.updates.rule import UpdateForm
from parity.checking.bugs.table import OTHER_OPTIMIZER, UPDATE_SIGN, Bug, Severity

NO_ROOT = Bug(
    "rmsprop-no-root",
    "{optimizer} without the root",
    "W -= learning_rate * dW / (v + epsilon)",
    "divide by sqrt(v + epsilon)",
)
RHO_SWAPPED = Bug(
    "rmsprop-rho-swapped",
    "{optimizer} with rho and 1 - rho swapped",
    "v = (1 - rho) * v + rho * dW**2",
    "v = rho * v + (1 - rho) * g^2",
)
NO_CORRECTION = Bug(
    "adam-no-correction",
    "{optimizer} without bias correction",
    "W -= learning_rate * m / (np.sqrt(v) + epsilon)",
    "divide m by 1 - beta_1^t and v by 1 - beta_2^t, t counted from 1",
)

CONSTANT_CORRECTION = Bug(
    "adam-correction-without-power",
    "{optimizer}'s bias correction without the power t: by 1 - beta in every step",
    "m_hat = m / (1 - beta_1); v_hat = v / (1 - beta_2)",
    "divide m by 1 - beta_1^t and v by 1 - beta_2^t, t counted from 1",
)
ONE_CORRECTION = Bug(
    "adam-one-correction",
    "{optimizer}'s bias correction of one of the two averages alone",
    "m_hat = m / (1 - beta_1**t); W -= learning_rate * m_hat / (np.sqrt(v) + epsilon)",
    "divide m by 1 - beta_1^t and v by 1 - beta_2^t, both",
)
CROSSED_CORRECTION = Bug(
    "adam-crossed-correction",
    "{optimizer}'s bias corrections crossed: m by beta_2, v by beta_1",
    "m_hat = m / (1 - beta_2**t); v_hat = v / (1 - beta_1**t)",
    "divide m by 1 - beta_1^t and v by 1 - beta_2^t",
)
LATE_CORRECTION = Bug(
    "adam-count",
    "{optimizer} counts its steps wrong: the first is corrected as if it were the second",
    "t = 1; ...; t += 1; m_hat = m / (1 - beta_1**t)",
    "let t be 1 in the first step",
)
OTHER_BETA = Bug(
    "adam-other-beta",
    "{optimizer} corrects both averages by the same beta",
    "m_hat = m / (1 - beta_1**t); v_hat = v / (1 - beta_1**t)",
    "divide m by 1 - beta_1^t and v by 1 - beta_2^t",
)
COUNT_PER_LAYER = Bug(
    "adam-count",
    "{optimizer} counts up t for each layer in place of each step",
    "for layer in layers: t += 1; layer.m_hat = layer.m / (1 - beta_1**t)",
    "count t up once a step, before the loop over the layers",
)
STATE_START = Bug(
    "state-start",
    "{optimizer}'s averages do not start at 0",
    "m = dW if m is None else beta_1 * m + (1 - beta_1) * dW  # or v = np.ones_like(W)",
    "start them at 0: np.zeros_like(W)",
)
STALE_STATE = Bug(
    "state-from-before",
    "{optimizer} steps by its averages from before, which do not have this gradient yet",
    "W -= learning_rate * m / (np.sqrt(v) + epsilon); m = ...; v = ...",
    "update the averages first, then the weights",
)
COUNT_PER_ARRAY = Bug(
    "adam-count",
    "{optimizer} counts up t for each array of weights in place of each step",
    "for W, dW in zip(weights, gradients): t += 1; m_hat = m / (1 - beta_1**t)",
    "count t up once a step, before the loop over the weights",
)
CORRECTION_KEPT = Bug(
    "adam-correction-kept",
    "{optimizer}'s bias correction is written back into its averages, and so corrected over again",
    "m = beta_1 * m + (1 - beta_1) * dW; m /= 1 - beta_1**t  # the next step starts from this m",
    "put the corrected averages under names of their own (m_hat = m / (1 - beta_1^t)); not m /= "
    "and not m_hat = m; m_hat /= ..., which is the same array",
)
AVERAGE_GROWS = Bug(
    "average-added",
    "{optimizer}'s average is added to itself: it grows by its share in every step",
    "cache += rho * cache + (1 - rho) * dW**2",
    "assign it: cache = rho * cache + (1 - rho) * dW * dW",
)
ROOTLESS = Bug(
    "no-root",
    "{optimizer} without the root",
    "W -= learning_rate * m_hat / (v_hat + epsilon)",
    "divide by sqrt(v) + epsilon",
)
EPSILON_APART = Bug(
    "epsilon-apart",
    "{optimizer} adds epsilon to the quotient: every weight moves by epsilon besides",
    "W -= learning_rate * m_hat / np.sqrt(v_hat) + epsilon",
    "put the divisor in brackets: learning_rate * m_hat / (np.sqrt(v_hat) + epsilon)",
)
BETAS_SWAPPED = Bug(
    "adam-betas-swapped",
    "{optimizer}'s beta_1 and beta_2 are exchanged: m is averaged with beta_2, v with beta_1",
    "m = beta_2 * m + (1 - beta_2) * dW; v = beta_1 * v + (1 - beta_1) * dW**2",
    "m = beta_1 * m + (1 - beta_1) * g and v = beta_2 * v + (1 - beta_2) * g^2",
)
LION_AVERAGE = Bug(
    "lion-average",
    "{optimizer}'s average is used otherwise: {found}{parts}",
    "step = np.sign(beta_1 * m + (1 - beta_1) * dW); m = beta_1 * m + (1 - beta_1) * dW",
    "step by sign(beta_1 * m + (1 - beta_1) * g) with the m from before, and then let m be "
    "beta_2 * m + (1 - beta_2) * g",
)
OTHER_SHARE = Bug(
    "average-share",
    "the shares of an average of {optimizer} do not add up to 1: the new gradient's is another "
    "than 1 minus the old average's",
    "v = beta_2 * v + (1 - beta_1) * dW**2  # 1 - beta_2 is meant",
    "m = beta_1 * m + (1 - beta_1) * g and v = beta_2 * v + (1 - beta_2) * g^2",
)
AVERAGE_UNUSED = Bug(
    "average-unused",
    "{optimizer} takes the gradient where its average m is meant",
    "W -= learning_rate * dW / (np.sqrt(v_hat) + epsilon)",
    "step by the corrected average: learning_rate * m_hat / (np.sqrt(v_hat) + epsilon)",
)
POWER_OF_REST = Bug(
    "adam-power-of-rest",
    "{optimizer}'s bias correction by (1 - beta)^t in place of 1 - beta^t",
    "m_hat = m / (1 - beta_1) ** t",
    "divide m by 1 - beta_1^t and v by 1 - beta_2^t, t counted from 1",
)
SQUARE_OF_AVERAGE = Bug(
    "square-of-average",
    "{optimizer} averages the squares of m in place of the gradient's",
    "v = beta_2 * v + (1 - beta_2) * m**2",
    "v = beta_2 * v + (1 - beta_2) * g^2",
)
SIZES_FOR_SQUARES = Bug(
    "sizes-for-squares",
    "{optimizer} sums the sizes of the gradients in place of their squares",
    "cache += np.abs(dW); W -= learning_rate * dW / (np.sqrt(cache) + epsilon)",
    "cache += dW * dW",
)
VELOCITY_FROM_BEFORE = Bug(
    "velocity-from-before",
    "the weights move by the velocity from before, which does not have this step's gradient yet",
    "W += v; v = momentum * v - learning_rate * dW",
    "update the velocity first: v = momentum * v - learning_rate * dW; W += v",
)
GRADIENT_TWICE = Bug(
    "gradient-besides",
    "the gradient is taken off twice: in the velocity, and once more besides it",
    "v = momentum * v - learning_rate * dW; W += v; W -= learning_rate * dW",
    "add the velocity alone: W += v",
)
OLD_VELOCITY_ADDED = Bug(
    "nesterov-sign",
    "Nesterov's old velocity has the wrong sign: it is added where it is to be taken off",
    "W += momentum * v_before + (1 + momentum) * v",
    "W += -momentum * v_before + (1 + momentum) * v",
)
STATE_NOT_KEPT = Bug(
    "state-not-kept",
    "the optimizer's state is not kept: {optimizer} starts from 0 in every call",
    "def step(x, y, learning_rate): m, v = 0, 0; m = beta_1 * m + (1 - beta_1) * dW; ...",
    "keep the averages from call to call (self.m, or an argument that is returned)",
)
STATE_SHARED = Bug(
    "state-shared",
    "{names} share one state of {optimizer}: each goes on from what the one before has left there",
    "v = self.velocity[W.shape]  # or np.zeros in a list times n: [[0.0] * inputs] * units",
    "give each array, and each row, a state of its own: key it by a name or a place, not by shape",
)
AHEAD_ADDED = Bug(
    "look-ahead-kept",
    "Nesterov's look-ahead is not taken back: the whole velocity is added on top of it",
    "W += mu * v; g = gradient(W); v = mu * v - learning_rate * g; W += v",
    "add it to the weights from before: W = W_before + v; or else W -= learning_rate * g alone",
)
RAW_MOMENTUM = Bug(
    "momentum-of-gradient",
    "momentum adds the last gradient in place of a velocity: nothing older is remembered",
    "W -= learning_rate * dW + momentum * last_dW; last_dW = dW",
    "keep a velocity: v = momentum * v - learning_rate * dW; W += v",
)
VELOCITY_ADDED = Bug(
    "velocity-added",
    "the velocity is added to itself: it grows by its share in every step",
    "v += momentum * v - learning_rate * dW; W += momentum * v - learning_rate * dW",
    "assign it: v = momentum * v - learning_rate * dW",
)
ACCUMULATOR_OF_WEIGHTS = Bug(
    "accumulator-of-weights",
    "{optimizer}'s accumulator sums the squares of the weights in place of the gradients'",
    "cache_b += b**2; b -= learning_rate * db / (np.sqrt(cache_b) + epsilon)",
    "add the square of the gradient: cache_b += db * db",
)
DECAY_SIGN = Bug(
    "weight-decay-sign",
    "{optimizer}'s weight decay has the wrong sign: it makes the weights grow",
    "W -= learning_rate * (m_hat / (np.sqrt(v_hat) + epsilon) - weight_decay * W)",
    "take it off: W -= learning_rate * (... + weight_decay * W)",
)
STEP_LEAVES = Bug(
    "step-leaves",
    "the step leaves {names} as they are",
    "for k in range(len(weights) - 1): weights[k] -= learning_rate * gradients[k]",
    "update every array of weights",
)
TENSORS_DIFFER = Bug(
    "other-update",
    "the step updates {names} in another way than the rest, and none that is known here",
    "for W, v in zip(kernels, cache): ...  # and the biases with another cache",
    "update all arrays by one formula: the others follow {optimizer}",
    symptom=True,
)
UPDATE_REPEATED = Bug(
    "update-repeated",
    "the update is repeated {times} times a step, with already updated weights{how}",
    "for i in range(len(x)): ...; W1 -= learning_rate * x.T @ delta1  # in the samples' loop",
    "take the update out of the loop, behind it",
)
STEP_LINE = Bug(
    "one-change",
    "one change mends the step, in {place}",
    "for W in weights: t += 1; ...  # line 41 of adam.py: with t += 1 before the loop every step "
    "is the declared one",
    'where "{old}" stands, write {new}',
)
STATE_CROSSED = Bug(
    "state-crossed",
    "{name} goes on from the state of {other} in place of its own",
    "vb2 = momentum * vb1 - learning_rate * db2",
    "give each array its own state: vb2 = momentum * vb2 - learning_rate * db2",
)
# Ways in which a step departs from what is declared.
EPSILON_PLACE = Bug(
    "epsilon-place",
    "{optimizer} has epsilon in another place than declared: {found}{parts}",
    "W -= learning_rate * dW / (np.sqrt(v) + epsilon)  # Keras: np.sqrt(v + epsilon)",
    "make it {declared}",
)
EPSILON_SIZE = Bug(
    "epsilon-size",
    "{optimizer} has another epsilon than declared: {found}{parts}",
    "np.sqrt(v_hat) + 1e-8  # 1e-7 is declared",
    "make it {declared}",
)
DECAY_ENTERS = Bug(
    "weight-decay-enters",
    "{optimizer}'s weight decay enters otherwise than declared: it is {found}{parts}",
    "dW = dW + weight_decay * W; m = beta_1 * m + (1 - beta_1) * dW  # AdamW is declared",
    "make it {declared}: Keras's is W -= learning_rate * weight_decay * W, before the step",
)
DECAY_MISSING = Bug(
    "weight-decay-missing",
    "{optimizer} lacks the weight decay that is declared{parts}",
    "W -= learning_rate * m_hat / (np.sqrt(v_hat) + epsilon)  # AdamW is declared",
    "take learning_rate * weight_decay * W off besides",
)
MOMENTUM_CONVENTION = Bug(
    "momentum-convention",
    "momentum of another convention than declared: {found}{parts}",
    "v = momentum * v + (1 - momentum) * dW; W -= learning_rate * v",
    "make it {declared}: Keras's is v = momentum * v - learning_rate * dW; W += v",
)
MOMENTUM_MISSING = Bug(
    "momentum-missing",
    "the momentum that is declared has no effect{parts}: each step is a plain one",
    "def step(x, y, learning_rate): velocity = [np.zeros_like(w) for w in weights]; ...",
    "keep the velocity beside the weights, from one step to the next, and add it to them",
)
NESTEROV = Bug(
    "nesterov-form",
    "momentum of another form than declared: {found}{parts}",
    "v = momentum * v - learning_rate * dW; W += v  # with nesterov=True declared",
    "make it {declared}: Nesterov's is W += momentum * v - learning_rate * dW",
)
ACCUMULATOR_START = Bug(
    "accumulator-start",
    "{optimizer}'s accumulator starts at {found}, which is not what is declared{parts}",
    "cache = np.zeros_like(W)  # Keras starts at 0.1",
    "make it {declared}: start at its initial_accumulator_value",
)
CLIPPING_KIND = Bug(
    "clipping-kind",
    "gradients are clipped otherwise than declared: by {found}{parts}",
    "dW = np.clip(dW, -1, 1)  # with clipnorm=1 declared",
    "make it {declared}: clipnorm scales each array to its norm, clipvalue cuts each element",
)
SCHEDULE_COUNT = Bug(
    "schedule-count",
    "the learning rate goes otherwise than by the declared schedule: {found}{parts}",
    "learning_rate = schedule(epoch)  # Keras counts batches",
    "count steps, from 0: learning_rate = schedule(step)",
)
SCHEDULE_AHEAD = Bug(
    "schedule-ahead",
    "the schedule is one step ahead: iterations start at 0{parts}",
    "self.t += 1; learning_rate = schedule(self.t); W -= learning_rate * dW",
    "take the rate before you count: learning_rate = schedule(t), and t += 1 behind the step",
)
SCHEDULE_BEHIND = Bug(
    "schedule-behind",
    "the schedule is one step behind: the first step's rate is there twice{parts}",
    "W -= self.learning_rate * dW; self.learning_rate = schedule(self.t); self.t += 1",
    "learning_rate = schedule(t), t being the number of steps before this one, and then the step",
)
RATE_OTHER = Bug(
    "rate-other-than-declared",
    "steps go at another learning rate than is declared: {found}{parts}",
    "W -= 0.1 * dW  # SGD(learning_rate=0.01) is declared",
    "make it {declared}, or declare the rate that you mean",
)
OPTION_NOT_CHECKED = Bug(
    "option-not-checked",
    "optimizer option {option} is not checked",
    "optimizer=keras.optimizers.SGD(0.01, loss_scale_factor=8.0)",
    "declare it without the option, or leave the optimizer out",
    Severity.UNCERTAIN,
    "{title}.",
)
SET_WEIGHTS_RESTARTS = Bug(
    "set-weights-restarts",
    "unknown: a step is another after set_weights than after the step before, and those that go "
    "on are no update that is known here",
    "def set_weights(arrays): self.W, self.b = arrays; self.m = self.v = 0; self.t = 0",
    "let set_weights leave the optimizer's state as it is, or let get_weights return the network's "
    "own arrays, so that weights can be written into these",
    Severity.UNCERTAIN,
)

# The forms of parity.checking.model.rules that are bugs; the others are conventions.
BUGS: dict[UpdateForm, Bug] = {
    "m-by-beta_1": LION_AVERAGE,
    "m-by-beta_2": LION_AVERAGE,
    "m-exchanged": LION_AVERAGE,
    "m-first": LION_AVERAGE,
    "no-root": NO_ROOT,
    "swapped": RHO_SWAPPED,
    "uncorrected": NO_CORRECTION,
    "constant": CONSTANT_CORRECTION,
    "m-alone": ONE_CORRECTION,
    "v-alone": ONE_CORRECTION,
    "crossed": CROSSED_CORRECTION,
    "late": LATE_CORRECTION,
    "by-beta_1": OTHER_BETA,
    "by-beta_2": OTHER_BETA,
    "per-array": COUNT_PER_ARRAY,
    "per-array-down": COUNT_PER_ARRAY,
    "per-layer": COUNT_PER_LAYER,
    "per-layer-down": COUNT_PER_LAYER,
    "from-gradient": STATE_START,
    "from-one": STATE_START,
    "stale": STALE_STATE,
    "restarted": STATE_NOT_KEPT,
    "restarted-uncorrected": STATE_NOT_KEPT,
    "restarted-first": STATE_NOT_KEPT,
    "kept-corrected": CORRECTION_KEPT,
    "m-kept-corrected": CORRECTION_KEPT,
    "v-kept-corrected": CORRECTION_KEPT,
    "grows": AVERAGE_GROWS,
    "m-grows": AVERAGE_GROWS,
    "v-grows": AVERAGE_GROWS,
    "epsilon-apart": EPSILON_APART,
    "rootless": ROOTLESS,
    "exchanged": BETAS_SWAPPED,
    "unweighted": OTHER_SHARE,
    "m-unweighted": OTHER_SHARE,
    "v-unweighted": OTHER_SHARE,
    "m-share-of-v": OTHER_SHARE,
    "v-share-of-m": OTHER_SHARE,
    "gradient-for-m": AVERAGE_UNUSED,
    "power-of-rest": POWER_OF_REST,
    "square-of-m": SQUARE_OF_AVERAGE,
    "of-sizes": SIZES_FOR_SQUARES,
    "before": VELOCITY_FROM_BEFORE,
    "and-gradient": GRADIENT_TWICE,
    "nesterov-plus": OLD_VELOCITY_ADDED,
    "raw": RAW_MOMENTUM,
    "raw-rate": RAW_MOMENTUM,
    "added": VELOCITY_ADDED,
    "of-weights": ACCUMULATOR_OF_WEIGHTS,
}
# What is said of an update after several steps, on more than one batch and set of weights.
OF_UPDATE = (
    *BUGS.values(),
    *(STATE_SHARED, STATE_CROSSED, AHEAD_ADDED, STEP_LEAVES, OTHER_OPTIMIZER, UPDATE_SIGN),
    STEP_LINE,
    *(DECAY_SIGN, DECAY_ENTERS, DECAY_MISSING, EPSILON_PLACE, EPSILON_SIZE, MOMENTUM_CONVENTION),
    MOMENTUM_MISSING,
    *(NESTEROV, ACCUMULATOR_START, CLIPPING_KIND, SCHEDULE_COUNT, SCHEDULE_AHEAD, SCHEDULE_BEHIND),
    RATE_OTHER,
)
