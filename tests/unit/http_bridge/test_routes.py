"""Which deployment answers for a path."""

from __future__ import annotations

import pytest

from http_bridge.routes import Routes
from mesh.v1.endpoint_pb2 import Route


def routes(*prefixes: str) -> Routes:
    return Routes(Route(prefix=prefix, application="app", deployment=f"at {prefix}") for prefix in prefixes)


@pytest.mark.parametrize(
    ("prefixes", "path", "answers", "taken"),
    [
        pytest.param(["/hello"], "/hello", "/hello", "/hello", id="the prefix itself"),
        pytest.param(["/hello"], "/hello/", "/hello", "/hello", id="the prefix with a slash"),
        pytest.param(["/hello"], "/hello/a/b/c/d", "/hello", "/hello", id="far below the prefix"),
        pytest.param(["/hello"], "/hellox", None, None, id="half a segment is none"),
        pytest.param(["/hello"], "/", None, None, id="above the prefix"),
        pytest.param(["/a", "/a/b"], "/a/b/c", "/a/b", "/a/b", id="the longest prefix wins"),
        pytest.param(["/a", "/a/b"], "/a/bc", "/a", "/a", id="the longest by whole segments"),
        pytest.param(["/", "/a"], "/b/c", "/", "", id="the root takes nothing of the path"),
        pytest.param(["/", "/a"], "/a", "/a", "/a", id="the root comes last"),
        pytest.param(["/"], "/", "/", "", id="the root alone"),
        pytest.param(["/a/b/c"], "/a/b", None, None, id="part of a prefix"),
        pytest.param(["/a"], "//a", None, None, id="an empty segment is a segment"),
        pytest.param(["/", "/a"], "", "/", "", id="an empty path is the root's"),
        pytest.param([], "/a", None, None, id="no routes"),
    ],
)
def test_the_longest_prefix_answers(prefixes: list[str], path: str, answers: str | None, taken: str | None) -> None:
    match = routes(*prefixes).match(path)
    assert (match and match.route.prefix, match and match.taken) == (answers, taken)


def test_a_path_with_countless_segments_costs_no_more_than_the_deepest_prefix() -> None:
    class Counting(dict[str, Route]):
        lookups = 0

        def get(self, prefix: str, default: object = None) -> Route | None:  # type: ignore[override]
            self.lookups += 1
            return super().get(prefix)

    known = routes("/", "/a", "/a/b")
    known._by_prefix = Counting(known._by_prefix)
    match = known.match("/x" * 200_000)
    assert match is not None
    assert match.route.prefix == "/"
    assert known._by_prefix.lookups == 2


def test_the_table_names_the_deployments_in_the_order_of_their_prefixes() -> None:
    assert list(routes("/b", "/", "/a").table().items()) == [("/", "at /"), ("/a", "at /a"), ("/b", "at /b")]
