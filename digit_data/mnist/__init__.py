"""MNIST in every format that is about, read without trusting the file.

``reader`` is the door: it tells a file's format from its first bytes. ``npz`` (Keras), ``idx`` (its
authors), ``pickle`` (Nielsen's book) and ``arff`` (OpenML) read one format each, ``cache`` is
Keras's folder and download, and ``checks`` what all of them share.
"""
