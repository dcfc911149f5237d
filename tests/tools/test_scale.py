"""What several processes send and gain, beside a ring that is counted and a step that is timed."""

import pytest

from tools import scale


@pytest.mark.parametrize("processes", [2, 3, 4, 16])
def test_a_ring_sends_so_many_bytes(processes: int):
    count = 48 * processes
    # Each sends a part on, until every part has been at every process: added up, then handed out.
    sent = [0] * processes
    for _ in ("sums", "results"):
        for _ in range(processes - 1):
            for process in range(processes):
                sent[process] += scale.FLOAT * count // processes
    assert sent == [scale.bytes_a_step(count, processes)] * processes


@pytest.mark.parametrize("kind", scale.KINDS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("processes", [2, 4, 16])
def test_at_the_break_even_batch_nothing_is_gained(processes: int, kind: scale.Machines):
    for network in scale.NETWORKS:
        count = scale.parameters(network)
        batch = scale.break_even(count, processes, kind)
        alone = scale.seconds_a_step(count, batch, 1, kind)
        assert scale.seconds_a_step(count, batch, processes, kind) == pytest.approx(alone)
        assert scale.seconds_a_step(count, batch * 2, processes, kind) < 2 * alone
        assert scale.seconds_a_step(count, batch / 2, processes, kind) > alone / 2


def test_the_weights_are_those_of_the_network():
    assert scale.parameters("784-30-10") == 784 * 30 + 30 + 30 * 10 + 10
