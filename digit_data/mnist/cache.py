"""MNIST from Keras's cache folder, filled from where Keras itself downloads, without Keras.

Keras's own loader compares a hash first and deletes a file that differs when the download fails;
here a file that is there is read as it is, and a download is checked before it takes the file's
place.
"""

import hashlib
import http.client
import os
import tempfile
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from digit_data.mnist.checks import DatasetError

__all__ = ["cached_mnist", "keras_cache"]

URL = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz"
SHA256 = "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"
TIMEOUT_SECONDS = 30
LARGEST_DOWNLOAD = 2**25  # the file is 11.5 MB


def keras_cache() -> Path:
    """Return Keras's place for MNIST: ``datasets/mnist.npz`` in ``$KERAS_HOME`` or ``~/.keras``."""
    home = os.environ.get("KERAS_HOME") or Path.home() / ".keras"
    return Path(home) / "datasets" / "mnist.npz"


def cached_mnist(notice: Callable[[str], None]) -> Path:
    """Return the path of the cached archive, downloaded first if it is not there.

    Args:
        notice: called with one line before a download begins.

    Returns:
        The path of ``mnist.npz``.

    Raises:
        DatasetError: it is not there and cannot be downloaded, or the download is not the file
            Keras publishes.
    """
    target = keras_cache()
    if target.exists():
        return target
    notice(f"downloading MNIST (11.5 MB) from {URL} to {target}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # Beside the target, because a rename is atomic only within one file system.
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            part = Path(folder) / target.name
            with (
                urllib.request.urlopen(URL, timeout=TIMEOUT_SECONDS) as response,
                part.open("wb") as file,
            ):
                digest = _copy(response, file)
            if digest != SHA256:
                raise DatasetError(
                    f"{URL}: expected SHA-256 {SHA256}, received {digest}; nothing was kept"
                )
            part.replace(target)
    except (OSError, http.client.HTTPException) as error:  # URLError and timeouts are OSErrors
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DatasetError(
            f"MNIST: expected {target} or a network, received neither ({reason}); "
            "name a copy with --data PATH or in the environment variable MNIST_PATH"
        ) from error
    return target


def _copy(source: BinaryIO, target: BinaryIO) -> str:
    """Copy a bounded stream and return its SHA-256 in hexadecimal."""
    digest, size = hashlib.sha256(), 0
    while piece := source.read(2**16):
        digest.update(piece)
        target.write(piece)
        size += len(piece)
        if size > LARGEST_DOWNLOAD:
            raise DatasetError(
                f"{URL}: expected at most {LARGEST_DOWNLOAD} bytes, received more; nothing was kept"
            )
    return digest.hexdigest()
