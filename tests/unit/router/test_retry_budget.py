"""How often calls are run again."""

from __future__ import annotations

from mesh.router.retry_budget import ANSWERS_PER_RETRY, RETRIES, RetryBudget


def _spent() -> RetryBudget:
    budget = RetryBudget()
    while budget.allows(1):
        pass
    return budget


def test_first_retry_of_a_call_is_always_allowed() -> None:
    budget = _spent()
    assert all(budget.allows(0) for _ in range(1000))


def test_further_retries_are_bounded() -> None:
    budget = RetryBudget()
    assert sum(budget.allows(1) for _ in range(1000)) == RETRIES


def test_answers_pay_for_further_retries() -> None:
    budget = _spent()
    allowed = 0
    for _ in range(1000):
        budget.answered()
        allowed += budget.allows(3)
    assert allowed == 1000 // ANSWERS_PER_RETRY


def test_what_is_not_spent_is_not_kept_for_ever() -> None:
    budget = RetryBudget()
    for _ in range(100_000):
        budget.answered()
    assert sum(budget.allows(1) for _ in range(1000)) == RETRIES
