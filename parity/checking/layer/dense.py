"""Dense layers and activation layers: ``activation(x W + b)``."""

from collections.abc import Iterator, Mapping

from parity.bounds.dual import Dual
from parity.checking.bugs.layers import KERNEL_UNTRANSPOSED, SOFTMAX_BY_DIAGONAL, SOFTMAX_FORM
from parity.checking.layer.kind import (
    SOFTMAX_FORMS,
    Arrays,
    FormulaSlip,
    Kind,
    Options,
    Role,
    Slips,
    activation,
    activation_slips,
    softmax_bent,
)


def product(x: Dual, kernel: Dual, slips: Slips, how: str) -> Dual:
    """Return ``x @ kernel``; with the slip, differentiated by x as if it were the transpose."""

    def untransposed() -> Dual:
        return x.frozen() @ kernel + x @ kernel.frozen().transpose(1, 0)

    return slips.bent(KERNEL_UNTRANSPOSED, x @ kernel, untransposed, how)


def _activated(z: Dual, options: Options, slips: Slips) -> Dual:
    name = options["activation"]
    return softmax_bent(activation(name, z, slips), z, slips)


def _dense(arrays: Arrays, options: Options, slips: Slips) -> list[Dual]:
    z = product(arrays["x"], arrays["kernel"], slips, "kernel") + arrays["bias"]
    return [_activated(z, options, slips)]


def _dense_slips(sizes: Mapping[str, int], options: Options) -> Iterator[FormulaSlip]:
    if sizes["i"] == sizes["o"]:
        yield FormulaSlip(KERNEL_UNTRANSPOSED, "kernel", {"kernel": "kernel"})
    yield from _activation_slips(sizes, options)


def _activation_slips(sizes: Mapping[str, int], options: Options) -> Iterator[FormulaSlip]:
    if options["activation"] == "softmax":
        yield FormulaSlip(SOFTMAX_BY_DIAGONAL)
        for form in SOFTMAX_FORMS:
            yield FormulaSlip(SOFTMAX_FORM, form, {"form": form})
    yield from activation_slips(options["activation"])


DENSE = Kind(
    inputs=(Role("x", ("b t i", "b i", "i b", "i", "b *i")),),
    weights=(Role("kernel", ("i o", "o i")), Role("bias", ("o",), needed=False)),
    outputs=(("b t o", "b o", "o b", "o"),),
    formula=_dense,
    slips=_dense_slips,
    options=lambda config: {
        "activation": config["activation"],
        "units": config["units"],
        "use_bias": config["use_bias"],
    },
    sizes=lambda options: {"o": int(options["units"])},
)
ACTIVATION = Kind(
    inputs=(Role("x", ("b h w i", "b i", "i b", "b h i", "i")),),
    weights=(),
    outputs=(("b h w i", "b i", "i b", "b h i", "i"),),
    formula=lambda arrays, options, slips: [_activated(arrays["x"], options, slips)],
    slips=_activation_slips,
    options=lambda config: {"activation": config["activation"]},
)
