"""The masks in a ``.keras`` file that Keras hands to layers by itself, told from all others.

Keras writes down the operations that compute them (``NotEqual`` and ``Any`` of what is masked,
``LogicalOr`` where layers are added, ``ConvertToTensor`` behind attention; where layers are joined,
``Concatenate`` of masks as wide as what they are about) and gives their result
to layers as an argument ``mask``. A network here makes its masks anew, so these are left out; any
other mask stays, to be refused.
"""

from typing import Any, cast

from numpy_impl.files.keras_config import Config
from numpy_impl.layers import LAYERS

# The layer, the number of its call, and the number of what that returned.
Leaf = tuple[str, int, int]
# The JSON of a layer or operation, and the group that holds its weights.
Entry = tuple[Config, str]
_LIKE = ("ZerosLike", "OnesLike")
_OPERATIONS = ("NotEqual", "Any", "LogicalOr", "ConvertToTensor", "ExpandDims", *_LIKE)


def _is_operation(entry: Config) -> bool:
    """Return whether an entry may be a part of a mask; a layer has the name of one of them."""
    name, module = entry["class_name"], str(entry.get("module"))
    return name in _OPERATIONS or (name == "Concatenate" and module.startswith("keras.src.ops"))


def tensors(value: Any) -> list[Leaf]:
    """Return the layer, call and output of each tensor in an argument."""
    if isinstance(value, list):
        return [leaf for part in cast(list[Any], value) for leaf in tensors(part)]
    if isinstance(value, dict):
        entry = cast(Config, value)
        if entry.get("class_name") == "__keras_tensor__":
            name, node, place = entry["config"]["keras_history"]
            return [(str(name), int(node), int(place))]
        return [leaf for part in entry.values() for leaf in tensors(part)]
    return []


def without_masks(entries: list[Entry], outputs: list[str]) -> list[Entry]:
    """Return a model's entries without the masks that Keras hands to layers by itself.

    The operations that compute these are left out as well.

    Args:
        entries: Its layers and operations.
        outputs: The names of those that the model's outputs come from.
    """
    masks = _Masks([entry for entry, _ in entries])
    left = [
        ({**entry, "inbound_nodes": [masks.stripped(node) for node in entry["inbound_nodes"]]}, own)
        for entry, own in entries
    ]
    operations = {e["name"]: e for e, _ in left if _is_operation(e)}
    waiting = [*outputs, *(n for e, _ in left if e["name"] not in operations for n in _taken(e))]
    while waiting:
        # What something else takes is none of them, nor is what that takes.
        waiting += _taken(operations.pop(waiting.pop(), {}))
    return [(entry, own) for entry, own in left if entry["name"] not in operations]


def _taken(entry: Config) -> list[str]:
    nodes = entry.get("inbound_nodes", [])
    return [name for node in nodes for name, *_ in tensors([node["args"], node["kwargs"]])]


class _Masks:
    """Which mask each tensor comes with, and what each operation computes.

    Either is known by a number; the same number is the same computation.
    """

    def __init__(self, entries: list[Config]) -> None:
        self._numbers: dict[tuple[Any, ...], int] = {}
        self._masks: dict[Leaf, int | None] = {}
        self._computed: dict[Leaf, int | None] = {}
        self._automatic: set[int] = set()
        waiting = [
            (entry, number, node)
            for entry in entries
            for number, node in enumerate(entry["inbound_nodes"])
        ]
        known = {(e["name"], 0) for e in entries if not e["inbound_nodes"]}
        while waiting:
            later: list[tuple[Config, int, Config]] = []
            for entry, number, node in waiting:
                sources = {(n, call) for n, call, _ in tensors([node["args"], node["kwargs"]])}
                if sources <= known:
                    self._enter(entry, number, node)
                    known.add((entry["name"], number))
                else:
                    later.append((entry, number, node))
            if len(later) == len(waiting):
                break  # a circle, or a tensor of nothing: whoever reads the calls says so
            waiting = later

    def stripped(self, node: Config) -> Config:
        """Return a call without its mask, if Keras handed it that by itself."""
        if id(node) not in self._automatic:
            return node
        return {**node, "kwargs": {k: v for k, v in node["kwargs"].items() if k != "mask"}}

    def _number(self, *what: Any) -> int:
        return self._numbers.setdefault(what, len(self._numbers))

    def _enter(self, entry: Config, number: int, node: Config) -> None:
        own: Leaf = (entry["name"], number, 0)
        if _is_operation(entry):
            self._computed[own] = self._operation(entry, node)
            return
        given = node["kwargs"].get("mask")
        first = self._first(entry, node)
        masks = [self._masks.get(leaf) for leaf in first]
        parts = cast(list[Any], given) if isinstance(given, list) else [given]
        found = [self._computed.get(leaf) if leaf else None for leaf in map(_single, parts)]
        others = {k: value for k, value in node["kwargs"].items() if k != "mask"}
        alone = tensors([node["args"], others]) == first
        if alone and given is not None and found == masks and any(m is not None for m in masks):
            self._automatic.add(id(node))
        self._masks[own] = self._handed_on(entry, first, masks)

    def _first(self, entry: Config, node: Config) -> list[Leaf]:
        """Return the tensors in the first argument of a call."""
        kind = LAYERS.get(entry["class_name"])
        names = kind.call_inputs if kind else ()
        if node["args"]:
            return tensors(node["args"][0])
        return tensors(node["kwargs"].get(names[0])) if names else []

    def _operation(self, entry: Config, node: Config) -> int | None:
        """Return what an operation computes, if it may be part of a mask."""
        args: list[Any] = node["args"]
        leaves = tensors(args)
        if entry["class_name"] == "NotEqual":
            number = args[1] if len(args) == 2 else None
            if len(leaves) == 1 and isinstance(number, int | float):
                return self._number("differs", leaves[0], number)
            return None
        if entry["class_name"] in _LIKE:
            fits = len(leaves) == len(args) == 1 and entry["config"].get("dtype") == "bool"
            return self._number(entry["class_name"], leaves[0]) if fits else None
        parts = [self._computed.get(leaf) for leaf in leaves]
        if None in parts or not parts:
            return None
        if entry["class_name"] == "Concatenate":
            return self._number("joined", entry["config"].get("axis"), *parts)
        if len(parts) != len(args):
            return None
        if entry["class_name"] == "ExpandDims":
            fits = len(parts) == 1 and entry["config"].get("axis") == -1
            return self._number("widened", *parts) if fits else None
        if entry["class_name"] == "Any":
            options = {k: entry["config"].get(k) for k in ("axis", "keepdims")}
            fits = len(parts) == 1 and options == {"axis": -1, "keepdims": False}
            return self._number("any", *parts) if fits else None
        if entry["class_name"] == "ConvertToTensor":  # which changes nothing of a tensor
            same = len(parts) == 1 and entry["config"].get("dtype") in (None, "bool")
            return parts[0] if same else None
        return self._number("or", *parts) if len(parts) == 2 else None

    def _handed_on(self, entry: Config, first: list[Leaf], masks: list[int | None]) -> int | None:
        """Return the mask that a layer's output comes with."""
        config, kind = entry["config"], LAYERS.get(entry["class_name"])
        if kind is None or not first:
            return None
        if entry["class_name"] == "Masking":
            return self._number("any", self._number("differs", first[0], config["mask_value"]))
        if config.get("mask_zero"):
            return self._number("differs", first[0], 0)
        if entry["class_name"] == "Concatenate" and any(mask is not None for mask in masks):
            wide = [
                self._number("OnesLike", leaf)
                if mask is None
                else self._number(
                    "or", self._number("widened", mask), self._number("ZerosLike", leaf)
                )
                for leaf, mask in zip(first, masks, strict=True)
            ]
            return self._number("any", self._number("joined", config.get("axis"), *wide))
        if kind.joins_masks and None not in masks:
            total = masks[0]
            for mask in masks[1:]:
                total = self._number("or", total, mask)
            return total
        inner: Config = config.get("layer", {}).get("config", config)
        return masks[0] if kind.passes_mask or inner.get("return_sequences") else None


def _single(value: Any) -> Leaf | None:
    found = tensors(value)
    return found[0] if len(found) == 1 else None
