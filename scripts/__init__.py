"""The commands: they parse options, call the packages below, and show what comes back.

``train``, ``whatami``, ``draw``, ``browse``, ``demo``, ``export`` and ``reproduce`` are commands,
each run as ``python -m scripts.NAME``; one that has modules of its own is a folder with them.

What several of them share: ``recipes`` holds how each document trains its network and ``samples``
on what, ``engines`` the two engines behind one door, ``run_files`` what a training leaves behind,
``plots`` its pictures, ``calibration`` whether scores mean what they say, ``model_files`` a saved
model ready to be asked. ``starting`` is how commands are started, ``pytest_plugin`` the fixture
that pytest finds. No formula of a network stands here.

Installed, this folder is the package ``digits_parity``; so every import of one of its modules by
another is relative. What other programs are meant to call is ``digits_parity.read``: the package
has a name that nobody else has, where ``digits`` is what many call a module of theirs.
"""

from typing import TYPE_CHECKING, Any

from .starting import end_on_interrupt

if TYPE_CHECKING:
    from digit_data.pictures.examine import ImageError

    from .whatami.answers import Answer
    from .whatami.asking import read

__all__ = ["Answer", "ImageError", "read"]

end_on_interrupt()


def __getattr__(name: str) -> Any:
    # Late: whoever starts a command imports this package first, and shall not wait for pictures.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .whatami import asking

    return getattr(asking, name)
