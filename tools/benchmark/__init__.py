"""What ``scripts.benchmark`` is made of: the works, who does them, and the report.

Every contender runs in a process of its own (``worker``), as Keras has one backend a process, and
all processes take turns (``rounds``), so that a busy machine disturbs them alike.
"""
