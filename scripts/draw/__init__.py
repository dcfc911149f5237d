"""Draw a digit in the browser, and see what both engines make of it: ``python -m scripts.draw``.

``page`` is what the browser shows, ``server`` gives it its files and scores over HTTP, ``engines``
computes these, ``saving`` keeps what is drawn.
"""
