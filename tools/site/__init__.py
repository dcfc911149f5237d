"""The site of ``docs`` (``make docs``), as far as MkDocs does not make it of itself.

``hooks`` is what ``mkdocs.yml`` names; ``formulas`` makes MathML of LaTeX, ``notebooks`` pages of
notebooks, and ``docstrings`` Markdown of what docstrings have that is none.
"""
