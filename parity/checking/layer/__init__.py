"""One layer alone: are its forward and backward functions right, and if not, which slip is it?

``checker`` shows the order of the stages. ``theirs`` runs the user's code. Each kind of layer is a
formula that can be computed rightly or with slips: ``dense``, ``convolution``, ``normalization``,
``embedding``, ``recurrence``, ``attention``, ``dropout``. ``reading`` finds out how arrays lie.
"""
