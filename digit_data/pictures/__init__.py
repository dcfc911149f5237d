"""Any picture of a digit -> what a network of 784 or 64 inputs expects.

``examine`` goes through the steps, each in a module of its own: ``files`` (a file to a Pillow
picture), ``grey`` (a picture to brightness), ``polarity`` (ink bright, paper dark), ``ink`` (paper,
light and noise taken away), ``pieces`` and ``groups`` (which ink is which digit), ``rows`` and
``cuts`` (numbers), ``fitting`` (size, stroke width and place as the data sets have them).
"""
