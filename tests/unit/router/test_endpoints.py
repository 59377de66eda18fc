"""Situations of a full endpoint set that meets the present one."""

from __future__ import annotations

import pytest

from mesh.router.endpoints import Change, Endpoint, compare

A, B, C = (Endpoint(f"Model#{letter}", f"unix:{letter}") for letter in "abc")


def _present(*endpoints: Endpoint) -> dict[str, object]:
    return {endpoint.replica_id: object() for endpoint in endpoints}


@pytest.mark.parametrize(
    ("present", "wanted", "change"),
    [
        pytest.param((), (), Change((), (), ()), id="nothing stays nothing"),
        pytest.param((), (A, B), Change((A, B), (), ()), id="the first set adds all"),
        pytest.param((A, B), (A, B), Change((), ("Model#a", "Model#b"), ()), id="the same set changes nothing"),
        pytest.param((A, B), (B, A), Change((), ("Model#b", "Model#a"), ()), id="another order changes nothing"),
        pytest.param((A, B), (B, C), Change((C,), ("Model#b",), ("Model#a",)), id="one is replaced"),
        pytest.param((A, B), (), Change((), (), ("Model#a", "Model#b")), id="an empty set removes all"),
        pytest.param((), (A, A), Change((A,), (), ()), id="a repeated replica counts once"),
    ],
)
def test_compare(present: tuple[Endpoint, ...], wanted: tuple[Endpoint, ...], change: Change) -> None:
    assert compare(_present(*present), wanted) == change


def test_replica_ids_are_what_counts() -> None:
    """An id is never used twice, so the address of a known one cannot have changed."""
    moved = Endpoint(A.replica_id, "unix:elsewhere")
    assert compare(_present(A), [moved]) == Change((), (A.replica_id,), ())


def test_set_that_comes_again_after_it_was_applied_changes_nothing() -> None:
    first = compare({}, (A, B))
    assert compare(_present(*first.added), (A, B)).added == ()
