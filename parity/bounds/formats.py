"""Number formats: how many digits each keeps, where it ends, and the numbers that it holds.

A number ``f 2^e`` with ``1/2 <= |f| < 1`` is rounded to the nearest multiple of ``2^(e - digits)``,
to the even one of two that are as near; that is off by at most ``u = 2^-digits`` of the number.

References: IEEE 754-2019, section 3.6 (binary16, 32, 64); NVIDIA (2020), "NVIDIA A100 Tensor Core
GPU architecture" (bfloat16, TensorFloat-32).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from numpy_impl.types import Array


@dataclass(frozen=True)
class Format:
    """A binary floating-point format.

    Attributes:
        name: As Keras has it.
        digits: Binary digits that are kept, with the one before the point.
        tiny: The most that a result loses where it is too small for all digits. Of most formats it
            is the smallest normal number, as what is below that may be flushed to 0; of float16,
            whose smallest normal number is 6e-5, nobody does so, and it is half of the last place.
        least: The exponent of the smallest number, 2^least.
        largest: The largest number.
        cut_off: Whether sums that were made in float32 may be stored by leaving digits out, which
            is off by up to 2u. TensorFlow's products of bfloat16 do so on processors that have no
            instructions for that format, and round to the nearest on others.
    """

    name: str
    digits: int
    tiny: float
    least: int
    largest: float
    cut_off: bool = False

    @property
    def unit(self) -> float:
        """The unit roundoff u."""
        return 2.0**-self.digits

    @property
    def is_low(self) -> bool:
        """Whether it has fewer digits than float32."""
        return self.digits < 24

    @property
    def overflows(self) -> bool:
        """Whether ordinary numbers of float32 may be too large for it."""
        return self.largest < 1e6

    def spacing(self, number: float) -> float:
        """Return the unit in the last place of a number."""
        exponent = int(np.frexp(number)[1]) if number else self.least
        return 2.0 ** max(exponent - self.digits, self.least)

    def rounded(self, array: Array) -> Array:
        """Return the nearest numbers of this format, in the dtype of ``array``.

        What is beyond the largest becomes infinite.
        """
        array = np.asarray(array)
        _, exponent = np.frexp(array)
        last = np.maximum(exponent - self.digits, self.least)
        near = np.ldexp(np.round(np.ldexp(array, -last)), last)
        return np.where(np.abs(near) > self.largest, np.copysign(np.inf, near), near)


def _as_numpy_has_it(dtype: type[np.floating[Any]]) -> Format:
    info = np.finfo(dtype)
    least = int(np.log2(float(info.smallest_subnormal)))
    return Format(np.dtype(dtype).name, info.nmant + 1, float(info.tiny), least, float(info.max))


FLOAT64, FLOAT32 = _as_numpy_has_it(np.float64), _as_numpy_has_it(np.float32)
FLOAT16 = Format("float16", 11, 2.0**-25, -24, 65504.0)
BFLOAT16 = Format("bfloat16", 8, FLOAT32.tiny, -133, (2 - 2.0**-7) * 2.0**127, cut_off=True)
# What a card's matrix products take of float32's numbers.
TENSORFLOAT32 = Format("tensorfloat32", 11, FLOAT32.tiny, -136, (2 - 2.0**-10) * 2.0**127)

FORMATS = {f.name: f for f in (FLOAT64, FLOAT32, FLOAT16, BFLOAT16)}


def format_of(dtype: Any) -> Format:
    """Return the format of a dtype, or of its name; NumPy has no name for bfloat16."""
    return FORMATS[dtype if isinstance(dtype, str) else np.dtype(dtype).name]
