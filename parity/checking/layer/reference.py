"""What a reference is: the kind and the options of a Keras layer."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
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
    "use_scale": False, "score_mode": "dot", "max_value": None, "negative_slope": 0.0,
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


# A layer of which no formula is known: Keras's own computes it.
_ANY = Kind(
    inputs=(), weights=(), outputs=(), formula=lambda arrays, options, slips: [],
    slips=lambda sizes, options: (),
)  # fmt: skip


def resolve(reference: Any, given: Options) -> Reference:
    """Return what a reference is.

    Args:
        reference: A Keras layer, or ``keras.ops.dot_product_attention``.
        given: Options from beside it: "mask", "indices".

    Raises:
        TypeError: It is neither.
    """
    bases = type(reference).__mro__
    own = [kind.__name__ for kind in bases if kind is bases[0] or not _is_keras_s(bases[0])]
    name = next((n for n in [*own, getattr(reference, "__name__", "")] if n in KINDS), None)
    is_layer = any(kind.__name__ == "Layer" and _is_keras_s(kind) for kind in bases)
    if name is None and not is_layer:
        raise TypeError(
            "Expected a Keras layer or model, or keras.ops.dot_product_attention. "
            f"Received: {type(reference).__name__}"
        )
    config: dict[str, Any] = reference.get_config() if name in own else {}
    options = None if name is None else _known(name, config)
    if name is None or options is None:
        return Reference(_ANY, dict(given), _said(reference), {}, reference)
    kind = replace(KINDS[name], **KINDS[name].varied(options))
    return Reference(kind, {**options, **given}, name, config, reference)


def _is_keras_s(kind: type) -> bool:
    return kind.__module__.partition(".")[0] == "keras"


def _known(name: str, config: Options) -> Options | None:
    """Return the options of a formula; None where the layer has one that the formula has not."""
    if any(config.get(option, only) != only for option, only in _ONLY.items()):
        return None
    try:
        options = KINDS[name].options({**config, **_IMPLIED.get(name, {})})
    except ValueError:
        return None
    functions = [options.get(o, "linear") for o in ("activation", "recurrent_activation")]
    known = all(isinstance(f, str) and f in FUNCTIONS for f in functions)
    return options if known else None


def _said(layer: Any) -> str:
    """Return a layer's name with that of the one inside it: "Bidirectional(LSTM)"."""
    inside = [type(each).__name__ for each in getattr(layer, "layers", ())]
    inside += [type(each).__name__ for each in (getattr(layer, "layer", None),) if each is not None]
    return type(layer).__name__ + (f"({', '.join(inside)})" if inside else "")
