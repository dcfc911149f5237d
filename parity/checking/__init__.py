"""Check anybody's own from-scratch network: is it right, and if not, which layer and which bug?

``checker`` shows the order of the stages: ``forward``, ``backward``, ``verdict``. Below them are
four rooms: ``model`` (what a network is), ``asking`` (all that runs the user's code), ``bugs``
(the table of bugs and the hypotheses that belong to it) and ``explain`` (which bug brings the
difference down to rounding).
"""
