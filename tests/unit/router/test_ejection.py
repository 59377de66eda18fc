"""Which replicas are left alone because they fail."""

from __future__ import annotations

import pytest

from mesh.router.ejection import CUTS, ERRORS, FIRST_EJECTION_S, LONGEST_EJECTION_S, Standing, ejection_s, to_be_ejected

WELL = Standing(0, 0, False)
CUT = Standing(CUTS, 0, False)
RAISES = Standing(0, ERRORS, False)
OUT = Standing(0, 0, True)


@pytest.mark.parametrize(
    ("standings", "ejected"),
    [
        pytest.param([], [], id="nobody"),
        pytest.param([CUT], [], id="the only one stays, whatever it does"),
        pytest.param([WELL, CUT], [1], id="one that cannot be reached"),
        pytest.param([WELL, Standing(CUTS - 1, 0, False)], [], id="a single cut is no reason"),
        pytest.param([WELL, RAISES, WELL], [1], id="one that raises while others do not"),
        pytest.param([RAISES, RAISES, RAISES], [], id="all raise: it is what they are asked"),
        pytest.param([Standing(0, ERRORS - 1, False), RAISES], [], id="the others raise nearly as often"),
        pytest.param([CUT, CUT, CUT, WELL], [0, 1], id="never more than half"),
        pytest.param([OUT, CUT, CUT, WELL], [1], id="those that are out count"),
        pytest.param([OUT, OUT, CUT, WELL], [], id="half are out already"),
        pytest.param([CUT, Standing(9, 0, False), WELL], [1], id="of several the one that fails most"),
        pytest.param([CUT, CUT], [0], id="none can be reached: one stays"),
    ],
)
def test_to_be_ejected(standings: list[Standing], ejected: list[int]) -> None:
    assert to_be_ejected(standings) == ejected


def test_each_ejection_is_longer_up_to_a_limit() -> None:
    assert [ejection_s(times) for times in (0, 1, 2)] == [FIRST_EJECTION_S, 2 * FIRST_EJECTION_S, 4 * FIRST_EJECTION_S]
    assert ejection_s(10_000) == LONGEST_EJECTION_S
