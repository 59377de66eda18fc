"""How often calls are run again."""

from __future__ import annotations

from mesh.router.retry_budget import CALLS_PER_RETRY, RETRIES, RetryBudget


def _spent() -> RetryBudget:
    budget = RetryBudget()
    while budget.allows(1, 0):
        pass
    return budget


def test_first_retry_of_a_call_is_always_allowed() -> None:
    budget = _spent()
    assert all(budget.allows(0, 0) for _ in range(1000))


def test_further_retries_are_bounded() -> None:
    budget = RetryBudget()
    assert sum(budget.allows(1, 0) for _ in range(1000)) == RETRIES


def test_calls_that_were_sent_pay_for_further_retries() -> None:
    budget = _spent()
    assert sum(budget.allows(3, sent) for sent in range(1, 1001)) == 1000 // CALLS_PER_RETRY


def test_what_is_not_spent_is_not_kept_for_ever() -> None:
    budget = RetryBudget()
    assert sum(budget.allows(1, 1_000_000) for _ in range(1000)) == RETRIES
