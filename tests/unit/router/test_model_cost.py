"""Where a call for a model goes."""

from __future__ import annotations

from mesh.router.model_cost import LOAD_WORTH, model_cost


def test_who_holds_the_model_is_cheaper_up_to_a_point() -> None:
    for waiting, cheaper in ((0, True), (LOAD_WORTH - 1, True), (LOAD_WORTH + 1, False)):
        holder = model_cost("a", "M#1", waiting, holds=True)
        assert (holder < model_cost("a", "M#2", 0, holds=False)) is cheaper


def test_of_those_who_hold_it_the_shorter_queue_wins() -> None:
    assert model_cost("a", "M#1", 1, holds=True) < model_cost("a", "M#2", 2, holds=True)


def test_equals_are_in_the_same_order_for_everybody_and_models_are_spread_over_them() -> None:
    replicas = [f"M#{number}" for number in range(4)]
    first = [min(replicas, key=lambda r: model_cost(f"m{n}", r, 0, holds=False)) for n in range(400)]
    assert all(60 < first.count(replica) < 140 for replica in replicas)
