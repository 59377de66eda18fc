from __future__ import annotations

import pytest

from mesh.engine.backoff import Backoff

QUICK, LONG = 0.1, 3.0


@pytest.mark.parametrize(
    ("lives_s", "delays_s"),
    [
        pytest.param([LONG], [0.0], id="the first end is followed at once"),
        pytest.param([QUICK], [0.0], id="one quick end too"),
        pytest.param([QUICK] * 8, [0, 0.1, 0.2, 0.4, 0.8, 1.6, 2, 2], id="quick ends in a row wait longer and longer"),
        pytest.param([QUICK, QUICK, LONG, QUICK], [0, 0.1, 0, 0.1], id="a life that lasted begins anew"),
        pytest.param([QUICK] * 2000, None, id="the delay never grows beyond its limit"),
    ],
)
def test_delays(lives_s: list[float], delays_s: list[float] | None) -> None:
    backoff, found = Backoff(), []
    for lived_s in lives_s:
        backoff, delay_s = backoff.after_end(lived_s)
        found.append(delay_s)

    assert max(found) <= 2.0
    assert delays_s is None or found == delays_s
