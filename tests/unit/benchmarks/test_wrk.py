"""What wrk prints is read, and failed requests are no figures."""

from __future__ import annotations

import pytest

from benchmarks.wrk import parse

PRINTED = """Running 2s test @ http://127.0.0.1:8000/
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     6.51ms    2.21ms  37.98ms   89.07%
    Req/Sec     9.95k     1.40k   11.96k    75.00%
  Latency Distribution
     50%  812.00us
     75%    7.23ms
     90%    8.43ms
     99%    1.20s
  19811 requests in 2.00s, 2.49MB read
{more}Requests/sec:   9893.67
Transfer/sec:      1.25MB
"""


def test_figures() -> None:
    load = parse(PRINTED.format(more=""))
    assert load.requests == 19811
    assert load.figures == {
        "requests/s": 9893.67,
        "p50 ms": pytest.approx(0.812),
        "p99 ms": pytest.approx(1200),
    }


@pytest.mark.parametrize(
    "failed", ["Non-2xx or 3xx responses: 3", "Socket errors: connect 0, read 2, write 0, timeout 0"]
)
def test_failed_requests_fail_the_round(failed: str) -> None:
    with pytest.raises(RuntimeError, match=failed):
        parse(PRINTED.format(more=f"  {failed}\n"))


def test_what_is_not_understood_is_shown() -> None:
    with pytest.raises(RuntimeError, match="unable to connect"):
        parse("unable to connect to 127.0.0.1:1 Connection refused\n")
