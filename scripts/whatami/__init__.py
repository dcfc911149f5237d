"""Ask a trained network which digit a picture shows: ``python -m scripts.whatami``.

``pictures`` is what an argument names, ``looking`` a picture turned into what a network is given,
``reading`` a number cut apart, ``answers`` what the network says, ``explaining`` which pixels made
it say so, ``asking`` all of it as a function; ``formats``, ``plots`` and ``seen_files`` how that is
shown, ``counting`` the progress.
"""
