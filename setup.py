"""Which folders are installed, and as what; all else about the project is in pyproject.toml.

``scripts`` becomes the package ``digits_parity``: many projects have a folder of the first name,
and an installed one would get in its way. ``tools`` and ``tests`` are not installed.
"""

from setuptools import find_packages, setup

AS_THEY_ARE = ("digit_data", "keras_impl", "numpy_impl", "parity", "terminal_io")

others = find_packages(include=[*AS_THEY_ARE, *(f"{name}.*" for name in AS_THEY_ARE)])
commands = find_packages(include=["scripts", "scripts.*"])
setup(
    packages=[
        *others,
        *(name.replace("scripts", "digits_parity", 1) for name in commands),
    ],
    package_dir={"digits_parity": "scripts"},
)
