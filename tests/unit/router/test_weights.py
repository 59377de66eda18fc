"""What a place in the queue of a replica costs beside the others."""

from __future__ import annotations

import pytest

from mesh.router.weights import ALIKE, MOST_BY_SILENCE, SHORTEST_S, SILENT, Seen, usual_service_time_s, weight


def _weights(*seen: Seen) -> list[float]:
    usual_s = usual_service_time_s(seen)
    return [weight(one, usual_s) for one in seen]


FAST = Seen(0.005, 0.0)


@pytest.mark.parametrize(
    ("seen", "weights"),
    [
        pytest.param([], [], id="nobody"),
        pytest.param([Seen(0, 0), Seen(0, 9)], [1, 1], id="nothing is known of any: all are alike"),
        pytest.param([FAST, Seen(0.005 * ALIKE, 0)], [1, 1], id="a factor that is noise"),
        pytest.param([FAST, FAST, FAST, Seen(0.2, 0)], [1, 1, 1, 40], id="one is slow"),
        pytest.param([FAST, Seen(0.2, 0), Seen(0.2, 0), Seen(0.2, 0)], [1, 40, 40, 40], id="one is not slow"),
        pytest.param([FAST, Seen(0, 0)], [1, 1], id="one that has not said yet is taken for usual"),
        pytest.param([FAST, Seen(0, 0.08)], [1, 16], id="it has not said yet, and is silent for long"),
        pytest.param([FAST, Seen(0.005, 0.08)], [1, 16], id="one has become silent"),
        pytest.param([FAST, Seen(0.005, 60)], [1, MOST_BY_SILENCE], id="silent for very long: perhaps one long call"),
        pytest.param([FAST, Seen(0.005, 0.005 * SILENT)], [1, 1], id="a silence such as any long call makes"),
        pytest.param([FAST, Seen(0.2, 0.05)], [1, 40], id="a slow one is not less slow because it was silent for less"),
        pytest.param(
            [Seen(1e-6, 0), Seen(SHORTEST_S * ALIKE * 0.99, 0)], [1, 1], id="what is very short is the machine's"
        ),
    ],
)
def test_weights(seen: list[Seen], weights: list[float]) -> None:
    assert _weights(*seen) == pytest.approx(weights)


def test_of_many_the_shortest_is_luck_and_not_the_measure() -> None:
    many = [Seen(0.01, 0), *[Seen(0.1, 0)] * 15]
    assert _weights(*many) == pytest.approx([0.1, *[1.0] * 15])


def test_where_all_have_become_slow_all_are_alike() -> None:
    assert _weights(*[Seen(0.2, 0.1)] * 4) == [1.0] * 4
