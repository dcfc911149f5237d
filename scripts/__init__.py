"""The commands: they parse options, call the packages below, and show what comes back.

``train`` and ``whatami`` are the commands; ``recipes`` holds how each document trains its network,
``engines`` the two engines behind one door, ``run_files`` what a training leaves behind,
``model_files`` a saved model ready to be asked, ``plots`` the pictures, and ``cli`` what all
commands share. No formula of a network stands here.
"""
