"""Import Keras without TensorFlow's messages about missing GPUs and CPU instructions.

On whichever backend: Keras asks TensorFlow, if it is installed, as soon as it writes down a layer.

TensorFlow writes some of them from C++ to file descriptor 2 before its own log level is read, so
neither ``TF_CPP_MIN_LOG_LEVEL`` nor Python's logging can silence them. They are caught there, the
known noise is dropped, and everything else is passed on.
"""

import os
import re
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress

_NOISE = re.compile(
    r"^WARNING: All log messages before absl::InitializeLog"
    r"|^[IW]\d{4} "  # absl's prefix of information and warnings
    r"|^\d{4}-\d{2}-\d{2} [\d:.]+: [IW] "  # TensorFlow's own prefix of the same
    r"|^To enable the following instructions"
    r"|^E\d{4} .*(cuda|cuFFT|cuDNN|cuBLAS|computation_placer)",
    re.IGNORECASE,
)


@contextmanager
def without_noise() -> Generator[None, None, None]:
    """Hold back what is written to file descriptor 2; afterwards pass on all but the noise."""
    sys.stderr.flush()
    real = os.dup(2)
    with tempfile.TemporaryFile() as caught:
        os.dup2(caught.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(real, 2)
            os.close(real)
            caught.seek(0)
            for line in caught.read().decode(errors="replace").splitlines():
                if not _NOISE.search(line):
                    print(line, file=sys.stderr)


# Those whose automatic differentiation is used here.
BACKENDS = ("tensorflow", "jax", "torch")
_SETTING = "KERAS_BACKEND"


_EXPECTED = f"expected {_SETTING} to be one of {', '.join(BACKENDS)}, and installed"


def _missing(error: Exception) -> Exception:
    """Return what to raise where Keras cannot be imported."""
    if isinstance(error, ModuleNotFoundError) and (error.name or "").startswith("keras"):
        return error  # it is Keras that is missing
    wanted = os.environ.get(_SETTING)
    reason = f"{wanted}: {error}" if wanted else str(error)
    return ModuleNotFoundError(f"{_EXPECTED}. Received: {reason}", name=_SETTING)


os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
with without_noise():
    try:
        import keras
    except (ModuleNotFoundError, ValueError) as error:
        raise _missing(error) from error
    if keras.backend.backend() not in BACKENDS:
        raise ModuleNotFoundError(
            f"{_EXPECTED}. Received: {keras.backend.backend()}, which differentiates nothing",
            name=_SETTING,
        )
    with suppress(ModuleNotFoundError):
        import tensorflow as tf

        tf.config.list_physical_devices()  # looks for a GPU, and complains if there is none

__all__ = ["BACKENDS", "keras"]
