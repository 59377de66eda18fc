"""Greeting by language: a deployment that calls others through their handles.

Run it:    meshctl run examples.greeting:node
Ask it:    python -m examples.greeting_client
"""

from starlette.requests import Request

import mesh


@mesh.deployment
class Greeter:
    """Says hello in one language."""

    def __init__(self, greeting: str) -> None:
        self.greeting = greeting

    def greet(self, name: str) -> str:
        return f"{self.greeting}, {name}!"


@mesh.deployment
class Reception:
    """Passes each visitor on to the greeter of their language."""

    def __init__(self, greeters: dict[str, mesh.DeploymentHandle]) -> None:
        self.greeters = greeters  # the nodes bound below arrive here as handles

    async def __call__(self, request: Request) -> str:
        visitor = await request.json()
        greeter = self.greeters.get(visitor["language"])
        if greeter is None:
            return f"I only speak {', '.join(sorted(self.greeters))}."
        greeting: str = await greeter.greet(visitor["name"])
        return greeting


# Three in four visitors speak Italian, so its greeter gets two replicas.
italian = Greeter.options(name="Italian", num_replicas=2).bind("Buongiorno")
icelandic = Greeter.options(name="Icelandic").bind("Góðan daginn")
node = Reception.bind({"it": italian, "is": icelandic})
