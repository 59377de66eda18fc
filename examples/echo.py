"""Echo: one class, three nodes, each a deployment of its own when it is run.

Run one:   meshctl run examples.echo:quiet
Ask it:    python -m examples.echo_client
"""

from starlette.requests import Request

import mesh


@mesh.deployment
class Echo:
    """Gives back what it is told, in its own manner."""

    def __init__(self, repeat: int = 1, loud: bool = False) -> None:
        self.repeat = repeat
        self.loud = loud

    async def __call__(self, request: Request) -> str:
        text = request.query_params.get("say", "hello")
        return " ".join([text.upper() if self.loud else text] * self.repeat)


quiet = Echo.bind()
loud = Echo.bind(loud=True)
canyon = Echo.bind(3)
