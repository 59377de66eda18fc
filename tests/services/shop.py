"""A small application with a function that builds it; config files speak of it."""

from __future__ import annotations

from pydantic import BaseModel
from starlette.requests import Request

import mesh
from mesh.dag import ClassNode


@mesh.deployment(num_replicas=2)
class Prices:
    def of(self, article: str) -> int:
        print("asked for", article)
        return 3


@mesh.deployment
class Shop:
    def __init__(self, prices: mesh.DeploymentHandle, greeting: str = "Hello") -> None:
        self.prices = prices
        self.greeting = greeting

    async def __call__(self, request: Request) -> list[object]:
        return [self.greeting, await self.prices.of("tea")]


node = Shop.bind(Prices.bind())


class Arguments(BaseModel):
    greeting: str
    times: int = 1


def build(arguments: Arguments) -> ClassNode:
    return Shop.bind(Prices.bind(), arguments.greeting * arguments.times)
