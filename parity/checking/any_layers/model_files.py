"""Whether a reference is a Keras model of any layers, and the model of a .keras file."""

from pathlib import Path
from typing import Any

from parity.candidate import Candidate
from parity.checking.model.network import resolve


def is_of_any_layers(candidate: Candidate, reference: Any) -> bool:
    """Return whether a candidate is compared with a reference as a model of any layers.

    A chain of dense layers is not, unless ``forward`` is alone and holds its weights itself, or
    says which layers it returns: its bounds follow from its formulas.
    """
    if not hasattr(reference, "_flatten_layers") or candidate.forward is None:
        return False
    told = candidate.get_weights is None or candidate.layer_map is not None
    if candidate.forward_alone and told:
        return True
    try:
        resolve(reference)
    except (ValueError, TypeError, AttributeError, NotImplementedError):
        return True
    return False


def is_file(reference: Any) -> bool:
    """Return whether it is the path of a .keras file."""
    return isinstance(reference, str | Path) and Path(reference).suffix == ".keras"


def keras_model(reference: Any) -> Any:
    """Return the model, read from its file where it is one.

    Raises:
        ValueError: There is no such file, or no model in it that Keras can read safely.
    """
    if not is_file(reference):
        return reference
    from keras_impl import keras

    try:
        # Code in a file (a Lambda's) is not run: safe_mode is Keras's default.
        return keras.saving.load_model(reference, compile=False)
    except Exception as error:  # whatever h5py, zipfile or Keras says of it
        reason = f"{type(error).__name__}: {error}".partition("\n")[0]
        raise ValueError(f"expected a .keras file. Received: {reference}: {reason}") from error
