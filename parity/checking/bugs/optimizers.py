"""Update rules that are wrong: which form of a rule is which bug."""

from parity.checking.bugs.table import Bug

EPSILON_OUTSIDE = Bug(
    "rmsprop-epsilon-outside",
    "{optimizer} with epsilon outside the root",
    "W -= learning_rate * dW / (np.sqrt(v) + epsilon)",
    "put epsilon inside, g / sqrt(v + epsilon), as Keras does (PyTorch has it outside)",
)
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

# The forms of parity.checking.model.rules that are bugs; the others are conventions.
BUGS = {
    "outside": EPSILON_OUTSIDE,
    "no-root": NO_ROOT,
    "swapped": RHO_SWAPPED,
    "uncorrected": NO_CORRECTION,
}
