"""What several processes gain, measured and computed: ``python -m tools.scale``.

It times a step with Keras on JAX in one process and in two on this machine, a core for each, and
writes docs/scale/measured.json. The tables of docs/scale.md come from there and from the formulas
below; cog prints them.
"""

import json
import math
import os
import platform
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from numpy_impl import models
from terminal_io import CliError, Parser, run, write_text

MEASURED = Path(__file__).parents[1] / "docs" / "scale" / "measured.json"
NETWORKS = ("64-40-10", "784-30-10", "784-64-10", "784-500-300-10")
TIMED, BATCHES, ROUNDS, STEPS = "784-500-300-10", (100, 1000), 5, 20
FLOAT = 4  # bytes


@dataclass(frozen=True)
class Machines:
    """What one machine computes and what lies between two of them.

    Attributes:
        name: In words.
        speed: Of a product of matrices in float32, in operations a second.
        bandwidth: Of the link, in bytes a second.
        latency: Of a message, in seconds.
    """

    name: str
    speed: float
    bandwidth: float
    latency: float


# Round numbers, for orders of magnitude: 8 and 64 cores of servers, and a card in a data centre.
KINDS = (
    Machines("8 cores, 1 Gbit/s", 5e11, 1.25e8, 1e-4),
    Machines("8 cores, 10 Gbit/s", 5e11, 1.25e9, 5e-5),
    Machines("64 cores, 25 Gbit/s", 4e12, 3.1e9, 2e-5),
    Machines("a card, 400 Gbit/s", 5e13, 5e10, 5e-6),
)


def parameters(network: str) -> int:
    """Return how many weights a network of dense layers has."""
    return models.build(network, np.random.default_rng(0)).parameters.size


def bytes_a_step(count: int, processes: int) -> float:
    """Return what each process sends in a step: ``2 (N - 1) / N`` times the gradients.

    That is a sum of ``count`` numbers in a ring, of which no algorithm sends less.

    Reference: P. Patarasuk, X. Yuan (2009), "Bandwidth optimal all-reduce algorithms".
    """
    return 2 * (processes - 1) / processes * FLOAT * count


def seconds_a_step(count: int, batch: float, processes: int, kind: Machines) -> float:
    """Return how long a step takes: the products of B / N samples, and the sum of the gradients.

    A dense layer multiplies and adds once for each weight and sample forward, and twice backward:
    ``6 P B / N`` operations. The ring has ``2 (N - 1)`` messages one after another.
    """
    computing = 6 * count * batch / processes / kind.speed
    if processes == 1:
        return computing
    sending = bytes_a_step(count, processes) / kind.bandwidth
    return computing + sending + 2 * (processes - 1) * kind.latency


def break_even(count: int, processes: int, kind: Machines) -> float:
    """Return the batch from which on N processes are faster than one.

    ``6 P B / R = 6 P B / (N R) + 8 P (N - 1) / (N W) + 2 (N - 1) L`` gives
    ``B = R (4 / (3 W) + N L / (3 P))``: of a large network its size does not matter.
    """
    own = 4 / (3 * kind.bandwidth)
    return kind.speed * (own + processes * kind.latency / (3 * count))


def sizes() -> None:
    """Print the table of what a step sends."""
    print("\n| network | weights | 2 processes | 4 processes | 16 processes |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for name in NETWORKS:
        count = parameters(name)
        each = " | ".join(f"{bytes_a_step(count, n) / 1e3:,.0f} kB" for n in (2, 4, 16))
        print(f"| {name} | {count:,} | {each} |")
    print()


def gains() -> None:
    """Print the table of break-even batches, and of what four machines gain."""
    count = parameters(TIMED)
    print("\n| machines | break-even batch, 2 | 4 | 16 | 4 machines, batch 1,000 | batch 100,000 |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for kind in KINDS:
        batches = " | ".join(f"{math.ceil(break_even(count, n, kind)):,}" for n in (2, 4, 16))
        times = " | ".join(
            f"{seconds_a_step(count, b, 1, kind) / seconds_a_step(count, b, 4, kind):.2g} times"
            for b in (1e3, 1e5)
        )
        print(f"| {kind.name} | {batches} | {times} |")
    print()


def measured() -> None:
    """Print the table of what was measured."""
    found: Any = json.loads(MEASURED.read_text())
    print(f"\nMedians of {found['rounds']} times {found['steps']} steps, {found['machine']}:\n")
    print("| batch | 1 process | 2 processes | efficiency | processor time, 1 | both | work lost |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for row in found["times"]:
        one, two = row["seconds"]
        alone, both = row["busy"]
        print(
            f"| {row['batch']:,} | {one * 1e3:.3g} ms | {two * 1e3:.3g} ms | {one / two / 2:.0%} | "
            f"{alone * 1e3:.3g} ms | {both * 1e3:.3g} ms | {1 - alone / both:.0%} |"
        )
    print()


def _member(process: int, processes: int, place: str, out: Path) -> None:
    """Time the steps as one of the processes, which has one core, and write the times."""
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[process % len(cores)]})
    from keras_impl import data_parallel, keras, losses, training
    from keras_impl import models as keras_models

    several = processes > 1
    with data_parallel.joined(place, processes, process) if several else nullcontext() as group:
        model = keras_models.build(TIMED, np.random.default_rng(0))
        loss = losses.get("categorical_crossentropy")
        training.compile_model(model, loss, keras.optimizers.RMSprop(0.001))
        found: dict[int, list[float]] = {}
        for batch in BATCHES:
            x = np.zeros((batch * STEPS, 784), "float32")
            y = np.eye(10, dtype="float32")[np.arange(len(x)) % 10]
            order = list(np.arange(len(x)).reshape(STEPS, batch))
            moments = [(time.perf_counter(), time.process_time())]

            def ended(epoch: int, logs: Any, moments: Any = moments) -> None:
                moments.append((time.perf_counter(), time.process_time()))

            training.fit(
                model, x, y, epochs=ROUNDS + 1, schedule=lambda epoch, order=order: order,
                on_epoch=ended, part=(lambda batch: batch) if group is None else group.part,
            )  # fmt: skip
            # The first epoch compiles.
            found[batch] = list(np.median(np.diff(moments, axis=0)[1:], axis=0) / STEPS)
        out.write_text(json.dumps(found))


def _timed(processes: int, folder: Path) -> list[dict[str, list[float]]]:
    """Return of each process its seconds a step, and those of its processor, by batch."""
    out = [folder / f"{processes}-{i}.json" for i in range(processes)]
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{one.getsockname()[1]}"
    own = {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "tools.scale", "--member", str(i), str(processes), place,
             str(out[i])],
            env={**os.environ, **own}, stdout=subprocess.DEVNULL,
        )
        for i in range(processes)
    ]  # fmt: skip
    codes = [one.wait() for one in running]
    if any(codes):
        raise CliError(f"{processes} processes: expected times. Received: an error, see above", 1)
    return [json.loads(path.read_text()) for path in out]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""

    def body() -> int:
        parser = Parser(prog="python -m tools.scale", description=__doc__)
        parser.add_argument("--out", type=Path, default=MEASURED, help="default: %(default)s")
        parser.add_argument("--member", nargs=4, help="as the command calls itself")
        args = parser.parse_args(argv)
        if args.member:
            process, processes, place, out = args.member
            _member(int(process), int(processes), place, Path(out))
            return 0
        with tempfile.TemporaryDirectory() as folder:
            times = {n: _timed(n, Path(folder)) for n in (1, 2)}
        busy = f", load {os.getloadavg()[0]:.0f}" if hasattr(os, "getloadavg") else ""
        found = {
            "machine": f"{os.cpu_count()} cores of {platform.machine()}{busy}",
            "rounds": ROUNDS,
            "steps": STEPS,
            "times": [
                {
                    "batch": batch,
                    "seconds": [every[0][str(batch)][0] for every in times.values()],
                    "busy": [sum(one[str(batch)][1] for one in every) for every in times.values()],
                }
                for batch in BATCHES
            ],
        }
        args.out.parent.mkdir(parents=True, exist_ok=True)
        write_text(args.out, json.dumps(found, indent=1) + "\n")
        return 0

    return run("scale", body)


if __name__ == "__main__":
    sys.exit(main())
