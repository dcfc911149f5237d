"""``python -m scripts.reproduce``: the five write-ups, run again, and what their pages say of it.

``documents`` has a package for each: its trainings, tables and pictures. ``results`` is what these
are given and return, ``training`` one training before it begins, ``first_steps`` what its first
steps are held to, ``pages`` what the pages take from all this.
"""

from pathlib import Path

ROOT = Path(__file__).parents[2]
# The pages, and beside each a folder with its results, pictures and first steps.
DOCS = ROOT / "docs" / "documents"
