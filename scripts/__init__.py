"""The commands: they parse options, call the packages below, and show what comes back.

The commands: ``train``, ``whatami``, ``browse``, ``draw``, ``demo``, ``reproduce``, ``accuracy``,
``parity_mnist``, ``benchmark``, ``ship``, ``notebooks``.

Training: ``recipes`` holds how each document trains its network and ``samples`` on what,
``engines`` the two engines behind one door, ``session`` one training, ``run_files`` what it leaves
behind, ``plots`` its pictures, ``calibration`` whether scores mean what they say.

Asking: ``model_files`` is a saved model ready to be asked, ``pictures`` what an argument names,
``looking`` a picture turned into what a network is given, ``answers`` what it says,
``answer_formats``, ``answer_plots``, ``seen_files`` how that is shown, ``counting`` the progress;
``draw_server``, ``draw_engines`` and ``page`` are the page.

Showing: ``reproduce`` runs the five write-ups and fills their pages, ``benchmarks`` measures
the NumPy engine beside others, ``site`` turns ``docs`` into a site.

``cli`` is what all commands share, ``loading`` what comes before their imports. No formula of a
network stands here.
"""

from scripts.loading import end_on_interrupt

end_on_interrupt()
