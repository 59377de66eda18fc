"""What every type checker sees, mypy without the plugin and pyright alike.

The class is not decorated but made a deployment under another name, so that annotations can name it. A call of the
handle itself is typed; so is a method that is named by itself in ``options(method_name=...)``.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from typing import assert_type

import mesh
from mesh.dag import ClassNode, FunctionNode
from mesh.drivers import DAGDriver


class PriceList:
    def __init__(self, factor: float = 1.0) -> None:
        self.factor = factor

    def __call__(self, article: str) -> float:
        return len(article) * self.factor

    async def name(self, article: str, *, upper: bool = False) -> str:
        return article.upper() if upper else article

    async def history(self, article: str) -> AsyncGenerator[int, None]:
        yield len(article)

    def past(self, article: str) -> Iterator[int]:
        yield len(article)


Prices = mesh.deployment(PriceList)
Cheap = mesh.deployment(num_replicas=2)(PriceList)


class Shop:
    def __init__(self, prices: mesh.DeploymentHandle[PriceList]) -> None:
        self.prices = prices

    async def __call__(self, article: str) -> str:
        assert_type(await self.prices(article), float)
        assert_type(self.prices.remote(article), mesh.DeploymentResponse[float])
        assert_type(self.prices.remote(article).result(), float)
        assert_type(await (await self.prices.remote(article)), float)
        name = self.prices.options(method_name=PriceList.name)
        assert_type(await name(article, upper=True), str)
        assert_type(name.remote(article), mesh.DeploymentResponse[str])
        async for item in self.prices.options(method_name=PriceList.history)(article):
            assert_type(item, int)
        for item in self.prices.options(method_name=PriceList.past).remote(article):
            assert_type(item, int)
        return article

    def stream(self, article: str) -> mesh.DeploymentResponseGenerator[int]:
        return self.prices.options(method_name=PriceList.past).remote(article)

    async def mistakes(self) -> None:
        await self.prices(1)  # error: arg-type
        self.prices.remote("tea", 2)  # error: call-arg
        await self.prices.options(method_name=PriceList.name)("tea", lower=True)  # error: call-overload
        response = self.prices.remote("tea")
        response + 1  # error: operator
        response[0]  # error: index
        float(response)  # error: arg-type
        response.real  # error: attr-defined
        for _ in response:  # error: attr-defined
            pass
        ref = await response
        ref * 2  # error: operator
        total: float = ref  # error: assignment
        assert total


@mesh.deployment
async def double(number: int) -> int:
    return number * 2


def nodes(handle: mesh.DeploymentHandle) -> None:
    assert_type(Prices.bind(2.0), ClassNode[PriceList])
    assert_type(Cheap.options(name="Cheap").bind(), ClassNode[PriceList])
    assert_type(mesh.deployment(Shop).bind(Prices.bind()), ClassNode[Shop])
    assert_type(mesh.run(Prices.bind()), mesh.DeploymentHandle[PriceList])
    assert_type(mesh.run(double.bind(1)).remote(3).result(), int)
    double_node: FunctionNode = double.bind(1)
    mesh.run(DAGDriver.options(name="driver").bind(double_node)).predict.remote(1).result().anything()
    handle.any_method.remote(1).result().anything()
    for _ in handle.any_method.remote(1):
        pass
    handle.any_method.remote(1) + 1  # error: operator
    Prices.options(num_replica=1)  # error: call-arg
    Prices.binds()  # error: attr-defined
    mesh.run(double.bind(1)).remote("3")  # error: call-overload
