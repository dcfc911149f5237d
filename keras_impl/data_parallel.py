"""Data parallel training: several processes, each with its part of every batch, on JAX.

Every process has the whole network. Of a batch of B samples each of N processes computes the
gradients of B / N, and Keras's ``DataParallel`` has JAX add them up, on processors through gloo. So
all take the same step, and it is the step of one process with the whole batch but for the order in
which the sums are formed (Goyal et al. (2017), "Accurate, Large Minibatch SGD", section 2).
"""

import re
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import keras
import numpy as np

# Seconds. JAX's own are 100 for a process that is silent, and 300 for one that does not come.
SILENT, COMING, ENDING = 15, 120, 600
_HERE = ("127.0.0.1", "localhost", "[::1]")
# What gloo and JAX's coordination service say of a process that has gone.
_LOST = re.compile(r"gloo|heartbeat|coordination ?service|connection (closed|reset)", re.IGNORECASE)


@dataclass(frozen=True)
class Group:
    """The processes that train together, as one of them sees it.

    Attributes:
        processes: How many there are.
        process: Which this is, from 0.
    """

    processes: int
    process: int

    def part(self, batch: np.ndarray) -> np.ndarray:
        """Return this process's part of a batch's indices.

        Raises:
            ValueError: The batch cannot be divided evenly.
        """
        size, rest = divmod(len(batch), self.processes)
        if rest:
            raise ValueError(
                f"Expected batches of a size that {self.processes} divides. Received: {len(batch)}"
            )
        return batch[self.process * size : (self.process + 1) * size]

    def is_same(self, number: int) -> bool:
        """Return whether every process calls this with the same number, of 32 bits; all wait."""
        utils: Any = import_module("jax.experimental.multihost_utils")
        every = utils.process_allgather(np.array([number], np.uint32))
        return len(np.unique(np.asarray(every))) == 1


@contextmanager
def joined(coordinator: str, processes: int, process: int) -> Generator[Group, None, None]:
    """Join the other processes; in the block Keras trains in all of them together.

    Nothing may have been computed with JAX before, and a process can join once.

    Args:
        coordinator: HOST:PORT, where process 0 listens and the others find it.
        processes: How many there are.
        process: Which this is, from 0.

    Raises:
        RuntimeError: They do not all come within two minutes.
    """
    jax: Any = import_module("jax")
    if jax.config.jax_platforms == "cpu":
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
    host = coordinator.rpartition(":")[0]
    jax.distributed.initialize(
        coordinator,
        processes,
        process,
        # By itself process 0 would listen to every machine.
        coordinator_bind_address=coordinator if host in _HERE and process == 0 else None,
        heartbeat_timeout_seconds=SILENT,
        initialization_timeout=COMING,
        # A process that is done waits for process 0, which still saves.
        shutdown_timeout_seconds=ENDING,
    )
    # Every process reads its own part, so that Keras has nothing to divide.
    with keras.distribution.DataParallel(auto_shard_dataset=False).scope():
        yield Group(processes, process)


def is_lost(error: BaseException) -> bool:
    """Return whether an error says that another process has gone."""
    return bool(_LOST.search(str(error)))
