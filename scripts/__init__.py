"""The commands: they parse options, call the packages below, and show what comes back.

``train``, ``whatami``, ``draw``, ``browse``, ``demo`` and ``reproduce`` are commands, each run as
``python -m scripts.NAME``; one that has modules of its own is a folder with them.

What several of them share: ``recipes`` holds how each document trains its network and ``samples``
on what, ``engines`` the two engines behind one door, ``run_files`` what a training leaves behind,
``plots`` its pictures, ``calibration`` whether scores mean what they say, ``model_files`` a saved
model ready to be asked. ``starting`` is how commands are started, ``pytest_plugin`` the fixture
that pytest finds. No formula of a network stands here.

Installed, this folder is the package ``digits_parity``; so every import of one of its modules by
another is relative.
"""

from .starting import end_on_interrupt

end_on_interrupt()
