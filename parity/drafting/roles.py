"""What names usually mean in networks that people write themselves."""

import re
from collections.abc import Iterable, Sequence
from typing import Literal

from parity.drafting.functions import Function

# What a parameter is for.
Role = Literal[
    "x", "y", "output", "rate", "once", "pairs", "size", "off", "upstream", "grads", "parameters",
    "cache",
]  # fmt: skip
# The first that fits counts; all are compared in lower case.
_ROLES: dict[Role, str] = {
    "x": r"x|xs|xi|x_?(train|batch|data|in|input|b|i|sample)|inputs?(_?(list|data|s|vector|array|"
    r"batch))?|data|images?|features?|samples?|a0",
    "y": r"y|ys|yi|t|y_?(true|train|batch|data|b|i|real)|targets?(_?(list|data|vector|output))?|"
    r"labels?|l|lab|truths?|actuals?|expected(_?output)?|desired(_?output)?|ground_?truth|one_?hot(_?y)?",
    "output": r"o|p|out|outputs?|y_?hat|y_?pred(icted)?|preds?|predictions?|predicted|al|probs?|"
    r"probabilities|scores|results?|final_?outputs?|output_?activations?|a_?out",
    "rate": r"lr|l_?rate|learn(ing)?_?rate|eta|alpha|step_?size|rate",
    "once": r"(n_?|num_?|max_?)?(epochs?|iter(ation)?s?|iters?|steps|cycles)",
    "pairs": r"(mini_?)?batch|training_?data|train_?data|data_?set",
    "size": r"(mini_?)?batch_?size",
    "off": r"verbose|print_?(cost|loss)|show|plot|shuffle|train(ing)?|is_?train(ing)?|debug",
    "upstream": r"g|d_?out(put)?s?|grad(ient)?|grad_?out(put)?|out(put)?_?grad(ient)?|upstream|"
    r"(loss|output)_?(grad(ient)?|error)|error|delta|d_?values|d_?(?![wb])[a-z]{1,2}\d?|d_?loss|"
    r"d_?(logits|scores|probs|preds?|hidden|y_?hat|cost)|accum_?grad",
    "grads": r"grads|gradients|derivatives|d_?params|d_?parameters|updates",
    "parameters": r"params?|parameters?|weights|theta|model|network|net",
    "cache": r"caches?|memory|(forward_?)?cache|activations|zs?",
}
# Of longer names: what is in them, unless another of their words says otherwise.
_NOT_DATA = r"^(?!.*(size|dim|num|count|shape|layer|hidden|error|grad|delta|weight|^d_|^n_))"
_LONG: dict[Role, str] = {
    "once": r"(^|_)(iterations?|epochs?|iters?)$",
    "y": _NOT_DATA + r".*(target|label|(train|set|true|sample|data|desired|expected)\w*_out)",
    "x": _NOT_DATA + r".*(input|feature|(^|_)(img|image|pixels|row|sample)s?$)",
    "rate": r"learn\w*rate|(^|_)(lr|eta)$",
}
_COMPILED: dict[Role, re.Pattern[str]] = {
    name: re.compile(pattern) for name, pattern in _ROLES.items()
}

# Names of functions, the best first.
FORWARD = (
    "forward", "forward_propagation", "forward_prop", "forward_pass", "forward_propagate",
    "forwardpropagation", "forwardprop", "forward_propogation", "feedforward", "feed_forward",
    "l_model_forward", "propagate_forward", "predict_proba", "predict_probs", "probs", "query",
    "think", "__call__", "call", "run", "predict", "output", "compute_output", "infer",
    "evaluate", "activate", "forward_propagate_all", "model", "probabilities", "scores", "logits",
)  # fmt: skip
BACKWARD = (
    "gradients", "gradient", "compute_gradients", "compute_gradient", "get_gradients", "grads",
    "grad", "calc_gradients", "backward", "backprop", "back_prop", "backpropagation",
    "backward_propagation", "backward_prop", "backward_pass", "back_propagation",
    "backpropagate", "back_propagate", "backwardprop", "backwardpropagation", "l_model_backward",
    "backward_propagate", "backward_propagate_error", "propagate_backward", "back", "backwards",
    "bprop", "loss_and_grads", "loss_and_grad", "value_and_grad", "loss_grad", "grad_loss",
)  # fmt: skip
UPDATE = (
    "update_mini_batch", "train_step", "training_step", "train_on_batch", "train_batch", "step",
    "sgd_step", "update", "update_parameters", "update_params", "update_weights", "apply_gradients",
    "optimize", "apply_grads", "gradient_descent_step", "partial_fit",
)  # fmt: skip
STEP = (
    *UPDATE, *BACKWARD, "learn", "train", "train_one", "train_network", "fit", "sgd",
    "gradient_descent",
)  # fmt: skip
# These train for long, by their own plan; only where nothing else can be asked.
WHOLE_TRAININGS = ("train", "train_network", "fit", "sgd", "gradient_descent", "learn")
LOSS = (
    "loss", "compute_loss", "loss_function", "cost", "compute_cost", "cost_function", "calc_loss",
    "get_loss", "cross_entropy", "cross_entropy_loss", "categorical_crossentropy", "mse",
    "mse_loss", "mean_squared_error", "objective", "calculate_loss", "binary_cross_entropy",
    "total_loss", "total_cost", "criterion", "nll", "nll_loss", "negative_log_likelihood",
    "ce_loss", "bce_loss", "hinge_loss", "huber_loss", "softmax_loss",
)  # fmt: skip
_LOSS_SLOPE = re.compile(
    r"d_?(loss|cost|mse|cross_?entropy|ce|bce)|(\w*(loss|cost|mse|squared_error|entropy|ce))_?"
    r"(prime|derivative|deriv|grad|gradient|backward|d)|(d|grad)_?\w*(loss|mse|entropy)"
)
_LAYER_LIST = re.compile(r"_?(layers|modules|net|network|stack|model|sequence)")
_GRADIENT_MARK = re.compile(
    r"^(g(?=[wb]\d*$)|d_?l_?d_?|d_?j_?d_?|d_?loss_?d?_?|gradients?_?(of_?)?|grads?_?|g_|delta_?|nabla_?|d_?)|"
    r"(_?gradients?|_?grads?|_?delta|_?deriv(ative)?)$"
)


def role(name: str) -> Role | Literal[""]:
    """Return what a parameter of this name is for; "" if nobody knows."""
    lower = name.lower().strip("_")
    for key, pattern in _COMPILED.items():
        if pattern.fullmatch(lower):
            return key
    for key, words in _LONG.items():
        if re.search(words, lower):
            return key
    return ""


_NUMBERS = (
    (r"lam(bd|bda)?|lmbda|reg\w*|l2\w*|weight_?decay|wd", "0.1"),
    (r"momentum|mu|beta_?1?|gamma|rho|decay_?rate", "0.9"),
    (r"beta_?2", "0.999"),
    (r"keep\w*", "0.8"),
    (r"eps(ilon)?", "1e-8"),
)


def number(name: str) -> str:
    """Return a number for a parameter whose name is that of a usual option; "" for others."""
    lower = name.lower().strip("_")
    return next((text for pattern, text in _NUMBERS if re.fullmatch(pattern, lower)), "")


def is_many(name: str) -> bool:
    """Whether a parameter of this name takes several samples."""
    return re.fullmatch(r"X\w*|xs|\w*(batch|data|samples|list|set|examples|rows)", name) is not None


def takes(function: Function, wanted: Role) -> bool:
    """Whether a function has a parameter of this role."""
    return any(role(parameter.name) == wanted for parameter in function.parameters)


def named(functions: Iterable[str], vocabulary: tuple[str, ...]) -> list[str]:
    """Return the functions of a vocabulary, the best first; capitals do not matter."""
    rank = {name: k for k, name in enumerate(vocabulary)}

    def place(name: str) -> int:
        lower = name.lower() if name.startswith("__") else name.lower().strip("_")
        bare = re.sub(r"_?(fn|func|function|value)$", "", lower)
        return min(rank.get(lower, len(rank)), rank.get(bare, len(rank)))

    return sorted((f for f in functions if place(f) < len(rank)), key=place)


def is_loss_slope(name: str) -> bool:
    """Whether it is the name of a loss function's derivative, such as mse_prime."""
    return _LOSS_SLOPE.fullmatch(name.lower().strip("_")) is not None


def is_layer_list(name: str) -> bool:
    """Whether a list of this name is likely one of layers."""
    return _LAYER_LIST.fullmatch(name.lower()) is not None


def plain(name: str) -> str:
    """Return a weight's name so that W1, w1, weights1 and weights_1 are the same."""
    text = name.lower().strip("_")
    for pattern, letter in ((r"(weight|kernel)s?|^ws$", "w"), (r"bias(es)?|^bs$", "b")):
        text = re.sub(pattern, letter, text)
    return text.replace("_", "")


def is_weight(name: str) -> bool:
    """Whether a name is one of those that weights and biases have: W1, b, Wxh, weights, bias2."""
    return re.fullmatch(r"[wb][a-z]{0,2}\d{0,2}|theta\d*|syn\d+", plain(name)) is not None


def is_constant(name: str) -> bool:
    """Whether a module's variable is a constant by its capitals, and no weight: TAUS."""
    return re.fullmatch(r"[A-Z][A-Z_\d]{2,}", name) is not None and not is_weight(name)


def gradient_of(weight: str, names: Iterable[str]) -> str | None:
    """Return which of some names is the gradient of a weight: dW1 of W1, nabla_b of biases."""
    for name in names:
        lower = name.lower().strip("_")
        bare = _GRADIENT_MARK.sub("", lower)
        if bare != lower and plain(weight) in (plain(bare), plain(bare).rstrip("s")):
            return name
    return None


def best_output(names: Sequence[str]) -> str:
    """Return which of the things that a forward pass gives is the output of the last layer."""
    candidates = [n for n in names if n and role(n) != "cache" and not n.lower().startswith("z")]
    for name in candidates:
        if role(name) == "output":
            return name
    numbered = [n for n in candidates if re.fullmatch(r"\D+\d+", n)]
    if numbered:
        return max(numbered, key=lambda n: int(re.sub(r"\D", "", n)))
    activations = [n for n in names if n.lower() == "activations"]
    return (candidates or activations or [*names, ""])[-1]
