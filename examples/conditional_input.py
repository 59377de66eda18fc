"""Conditional input: a part of the input decides which price is taken, in two forms.

``graph``       both quotes are made, at the same time, and the last node takes one: right when quotes are cheap
``one_branch``  a deployment decides first and calls one of the two through its handle: right when they are not

Run one:   meshctl run examples.conditional_input:graph
Ask it:    python -m examples.conditional_input_client
"""

from typing import Any

import mesh
from mesh.dag import InputNode
from mesh.drivers import DAGDriver
from mesh.http_adapters import json_request


@mesh.deployment
class Carrier:
    """Quotes the price of carrying a parcel."""

    def __init__(self, base: float, per_kg: float) -> None:
        self.base = base
        self.per_kg = per_kg

    def quote(self, weight_kg: float) -> float:
        return self.base + self.per_kg * weight_kg


@mesh.deployment
def choose(by_ship: float, by_air: float, speed: str) -> dict[str, Any]:
    return {"speed": speed, "price": by_air if speed == "express" else by_ship}


@mesh.deployment
class Choose:
    """Asks only the carrier that is wanted."""

    def __init__(self, ship: mesh.DeploymentHandle, aeroplane: mesh.DeploymentHandle) -> None:
        self.ship = ship
        self.aeroplane = aeroplane

    async def price(self, parcel: dict[str, Any]) -> dict[str, Any]:
        carrier = self.aeroplane if parcel["speed"] == "express" else self.ship
        return {"speed": parcel["speed"], "price": await carrier.quote(parcel["weight_kg"])}


ship = Carrier.options(name="Ship").bind(base=4, per_kg=0.5)
aeroplane = Carrier.options(name="Aeroplane").bind(base=9, per_kg=3)

with InputNode() as parcel:
    weight = parcel["weight_kg"]
    chosen = choose.bind(ship.quote.bind(weight), aeroplane.quote.bind(weight), parcel["speed"])
    graph = DAGDriver.bind(chosen, http_adapter=json_request)

with InputNode() as parcel:
    one_branch = DAGDriver.bind(Choose.bind(ship, aeroplane).price.bind(parcel), http_adapter=json_request)
