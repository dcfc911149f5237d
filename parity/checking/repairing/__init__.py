"""One change of a line of the user's own code with which its gradients are right, if there is one.

Only the code that was handed over is run, as it is and with small changes, all in memory: no file
is written, and every function has its own code again afterwards.
"""
