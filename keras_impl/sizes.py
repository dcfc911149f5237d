"""How many weights a model would have, found out without making them."""

import math
from importlib import import_module
from typing import Any

import keras


def count_weights(config: str) -> int:
    """Return the number of weights of the model that a JSON text describes.

    Its variables get no values, so that a text of few words cannot ask for all memory. Keras keeps
    such variables in a list, and would give them values when any later scope ends; they are taken
    off it again.

    Raises:
        Exception: Whatever Keras raises on a text that describes no model.
    """
    state: Any = import_module("keras.src.backend.common.global_state")
    pending = "uninitialized_variables"
    before = list(state.get_global_attribute(pending) or [])
    stateless: Any = keras.StatelessScope
    try:
        with stateless(initialize_variables=False):
            model: Any = keras.models.model_from_json(config)
            return sum(math.prod(weight.shape) for weight in model.weights)
    finally:
        state.set_global_attribute(pending, before)
