"""What a reference is: the kind and the options of a Keras layer."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from parity.checking.layer.attention import ATTENTION, MULTI_HEAD_ATTENTION
from parity.checking.layer.convolution import AVERAGE_POOLING, CONV, MAX_POOLING
from parity.checking.layer.dense import ACTIVATION, DENSE
from parity.checking.layer.dropout import DROPOUT
from parity.checking.layer.embedding import EMBEDDING
from parity.checking.layer.kind import FUNCTIONS, Kind, Options
from parity.checking.layer.normalization import BATCH_NORMALIZATION, LAYER_NORMALIZATION
from parity.checking.layer.recurrence import GRU, LSTM, SIMPLE_RNN

KINDS: dict[str, Kind] = {
    "Dense": DENSE,
    "Activation": ACTIVATION,
    "ReLU": ACTIVATION,
    "Softmax": ACTIVATION,
    "Conv1D": CONV,
    "Conv2D": CONV,
    "MaxPooling1D": MAX_POOLING,
    "MaxPooling2D": MAX_POOLING,
    "AveragePooling1D": AVERAGE_POOLING,
    "AveragePooling2D": AVERAGE_POOLING,
    "BatchNormalization": BATCH_NORMALIZATION,
    "LayerNormalization": LAYER_NORMALIZATION,
    "Embedding": EMBEDDING,
    "SimpleRNN": SIMPLE_RNN,
    "LSTM": LSTM,
    "GRU": GRU,
    "Attention": ATTENTION,
    "MultiHeadAttention": MULTI_HEAD_ATTENTION,
    "Dropout": DROPOUT,
    "dot_product_attention": ATTENTION,
}
# What the names of layers say that their config does not.
_IMPLIED: dict[str, dict[str, Any]] = {
    "ReLU": {"activation": "relu"},
    "Softmax": {"activation": "softmax"},
    "dot_product_attention": {"scaled": True, "several": True},
}
# Options that change what a layer computes, with the one value that is known here.
_ONLY: dict[str, Any] = {
    "use_scale": False, "score_mode": "dot", "groups": 1, "max_value": None, "negative_slope": 0.0,
    "threshold": 0.0, "rms_scaling": False, "go_backwards": False, "stateful": False,
    "zero_output_for_mask": False, "mask_zero": False, "time_major": False, "lora_rank": None,
    "num_query_groups": None, "output_shape": None, "noise_shape": None, "renorm": False,
    "flash_attention": None,
}  # fmt: skip


@dataclass(frozen=True)
class Reference:
    """A reference.

    Attributes:
        kind: Its kind.
        options: The formula's.
        name: Keras's name of it.
        config: Of the Keras layer; empty for a function.
        layer: The user's layer, or the function.
    """

    kind: Kind
    options: Options
    name: str
    config: Mapping[str, Any]
    layer: Any

    @property
    def words(self) -> str:
        """What it is, in words."""
        return f"Keras's {self.name}"

    def made(self, config: Mapping[str, Any]) -> Any:
        """Return another layer of this kind."""
        make: Any = self.layer.from_config
        return make(config)


def resolve(reference: Any, given: Options) -> Reference:
    """Return what a reference is.

    Args:
        reference: A Keras layer, or ``keras.ops.dot_product_attention``.
        given: Options from beside it: "mask", "indices".

    Raises:
        TypeError: It is nothing that is known here.
        ValueError: It has an option that is not known here.
    """
    bases = [kind.__name__ for kind in type(reference).__mro__]
    names = [*bases, getattr(reference, "__name__", "")]
    name = next((name for name in names if name in KINDS), None)
    if name is None:
        raise TypeError(
            f"Expected a Keras layer of one of the kinds {', '.join(KINDS)}. "
            f"Received: {type(reference).__name__}"
        )
    config: dict[str, Any] = reference.get_config() if name in bases else {}
    for option, only in _ONLY.items():
        if config.get(option, only) != only:
            raise ValueError(
                f"Expected {name} with {option}={only!r}. Received: {config[option]!r}"
            )
    options = KINDS[name].options({**config, **_IMPLIED.get(name, {})})
    for option in ("activation", "recurrent_activation"):
        if options.get(option, "linear") not in FUNCTIONS:
            raise ValueError(
                f"Expected {name} with {option} one of {', '.join(FUNCTIONS)}. "
                f"Received: {options[option]!r}"
            )
    return Reference(KINDS[name], {**options, **given}, name, config, reference)
