"""What mypy sees with the plugin: a decorated class is a class and a deployment, and handles know its methods."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator, Iterator
from typing import Any, assert_type

from starlette.requests import Request

import mesh
from mesh.dag import ClassNode, InputNode
from mesh.drivers import DAGDriver


@mesh.deployment
class Prices:
    def __init__(self, factor: float = 1.0) -> None:
        self.factor = factor

    def of(self, article: str, *, count: int = 1) -> float:
        return len(article) * count * self.factor

    async def name(self, article: str) -> str:
        return article

    async def history(self, article: str) -> AsyncGenerator[int, None]:
        yield len(article)

    def past(self, article: str) -> Iterator[int]:
        yield len(article)

    def untyped(self, article):  # type: ignore[no-untyped-def] # as users write it
        return article


@mesh.deployment(num_replicas=2)
class Shop:
    def __init__(self, prices: mesh.DeploymentHandle[Prices], tax: float = 0.1) -> None:
        self.prices = prices
        self.tax = tax

    async def __call__(self, request: Request) -> float:
        return await self.prices.of(request.url.path)

    async def passed_on(self, article: str) -> mesh.DeploymentResponse[float]:
        return self.prices.of.remote(article)

    async def stream_passed_on(self, article: str) -> mesh.DeploymentResponseGenerator[int]:
        return self.prices.history.remote(article)

    def past(self) -> Generator[str, None, None]:
        yield str(self.tax)


@mesh.deployment
class Many:
    def __init__(self, prices: dict[str, mesh.DeploymentHandle[Prices]], other: mesh.DeploymentHandle | None) -> None:
        self.prices = prices
        self.other = other


@mesh.deployment
def double(number: int) -> int:
    return number * 2


async def methods(prices: mesh.DeploymentHandle[Prices], shop: mesh.DeploymentHandle[Shop]) -> None:
    assert_type(await prices.of("tea"), float)
    assert_type(await prices.of("tea", count=2), float)
    assert_type(prices.of.remote("tea"), mesh.DeploymentResponse[float])
    assert_type(prices.of.remote("tea").result(timeout_s=1), float)
    assert_type(await prices.of.remote("tea"), mesh.Ref[float])
    assert_type(await (await prices.of.remote("tea")), float)
    assert_type(await prices.name("tea"), str)
    assert_type(prices.options(method_name="name").remote("tea"), mesh.DeploymentResponse[str])
    assert_type(await prices.options(timeout_s=1).name("tea"), str)
    assert_type(await prices.name.options(timeout_s=1)("tea"), str)
    assert_type(await prices.of(prices.name.remote("tea")), float)
    assert_type(await prices.of(await prices.name.remote("tea")), float)
    assert_type(await shop.passed_on("tea"), float)
    assert_type(await asyncio.gather(prices.of("tea"), prices.name("tea")), tuple[float, str])
    assert_type(mesh.get(prices.of.remote("tea")), float)
    assert_type(mesh.get([prices.of.remote("tea")]), list[float])
    assert_type(await prices.untyped("tea"), Any)

    prices.of(1)  # error: arg-type
    prices.of("tea", number=2)  # error: call-arg
    prices.of.remote()  # error: call-arg
    prices.off("tea")  # error: misc
    prices.of(prices.of.remote("tea"))  # error: arg-type
    await prices("tea")  # error: call-overload, misc


async def streams(prices: mesh.DeploymentHandle[Prices], shop: mesh.DeploymentHandle[Shop]) -> None:
    async for item in prices.history("tea"):
        assert_type(item, int)
    for item in prices.history.remote("tea"):
        assert_type(item, int)
    for item in prices.past.remote("tea"):
        assert_type(item, int)
    async for item in shop.stream_passed_on("tea"):
        assert_type(item, int)
    async for text in shop.past():
        assert_type(text, str)
    async for text in prices.history("tea"):  # error: assignment
        print(text)
    async for item in prices.of("tea"):  # error: attr-defined
        print(item)


async def no_values(prices: mesh.DeploymentHandle[Prices]) -> None:
    response = prices.of.remote("tea")
    response + 1  # error: operator
    response[0]  # error: index
    float(response)  # error: arg-type
    response.real  # error: attr-defined
    response()  # error: operator
    ref = await response
    ref * 2  # error: operator
    for _ in ref:  # error: attr-defined
        pass
    total: float = ref  # error: assignment
    assert total < response  # error: operator


def nodes() -> None:
    assert_type(Shop.bind(Prices.bind(2.0)), ClassNode[Shop])
    assert_type(Shop.options(num_replicas=1).bind(Prices.bind()), ClassNode[Shop])
    assert_type(mesh.run(Shop.bind(Prices.bind(), tax=0.2)), mesh.DeploymentHandle[Shop])
    assert_type(mesh.run(double.bind(1)).remote(3), mesh.DeploymentResponse[int])
    assert_type(Prices.num_replicas, int)
    Many.bind({"a": Prices.bind()}, None)
    Many.bind({"a": Prices.bind()}, Prices.bind())
    with InputNode() as x:
        graph = DAGDriver.bind(Prices.bind().of.bind(x), http_adapter=None)
    mesh.run(graph).predict.remote("tea").result()

    Shop.bind(1)  # error: arg-type
    Shop.bind(Prices.bind(), taxes=0.2)  # error: call-arg
    Prices.bind("2")  # error: arg-type
    Prices.options(num_replica=1)  # error: call-arg
    Prices.binds()  # error: attr-defined
    double.remote(1)  # error: attr-defined


async def unknown(handle: mesh.DeploymentHandle) -> None:
    next(handle.method.remote(1)).anything()
    (await anext(handle.method(1))).anything()
    (await handle.method(1)).anything()
    async for _ in await handle.method.remote(1):
        pass
    for _ in handle.method.remote(1):
        pass
    handle.method.remote(1).result().anything()
    handle.method.remote(1) + 1  # error: operator
