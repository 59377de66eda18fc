"""What the controller publishes: after every step, to whoever watches."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from mesh.clock import Clock
from mesh.controller import views
from mesh.controller.policies import Question
from mesh.controller.state import MeshState
from mesh.controller.story import Story
from mesh.controller.watch import Watch
from mesh.v1 import controller_pb2, endpoint_pb2

DeploymentKey = tuple[str, str]


class Publisher:
    """The watches of one controller, and what they give.

    ``endpoints`` by (application, deployment), ``orders`` by replica_id; ``routes``, ``states``
    and ``stories`` have the one key "".
    """

    def __init__(self, run_directory: str, clock: Clock) -> None:
        self._run_directory = run_directory
        self._clock = clock
        self._version = 0
        self._questions: Mapping[str, Question] = {}
        self._phases: dict[DeploymentKey, tuple[controller_pb2.Phase, float]] = {}
        self.endpoints: Watch[DeploymentKey, endpoint_pb2.EndpointSet] = Watch(
            lambda known, key: views.unknown_endpoint_set(known, *key)
        )
        self.routes: Watch[str, tuple[endpoint_pb2.Route, ...]] = Watch(lambda known, key: ())
        self.orders: Watch[str, views.Orders] = Watch(lambda known, key: views.Orders(None))
        self.stories: Watch[str, Story] = Watch(lambda known, key: Story())
        self.states: Watch[str, tuple[MeshState, int, str]] = Watch(lambda known, key: (MeshState(), 0, ""))

    def publish(
        self,
        state: MeshState,
        revision: int,
        questions: Mapping[str, Question] = MappingProxyType({}),
        trouble: str = "",
    ) -> None:
        """From now on the watchers see this state, stored under that revision, and replicas these questions.

        ``trouble`` is what the controller itself has, such as a store that cannot be written.
        """
        if self.states.latest("") == (state, revision, trouble):
            if questions != self._questions:
                self._publish_orders(state, questions)
            return
        # In this order: who sees that a deployment runs calls it at once, and who sees a route asks behind it.
        self._publish_endpoints(views.endpoint_sets(state, self._run_directory))
        self._note_phases(views.phases(state))
        self.routes.publish({"": views.routes(state)})
        self.states.publish({"": (state, revision, trouble)})
        self._publish_orders(state, questions)

    def status(self, state: MeshState, revision: int, trouble: str) -> controller_pb2.Status:
        """A state as people see it now."""
        now_s = self._clock.now_s()
        since = {key: since_s for key, (_, since_s) in self._phases.items()}
        found = views.status(state, revision, self._run_directory, now_s, since)
        found.trouble = trouble
        return found

    def _note_phases(self, phases: dict[DeploymentKey, controller_pb2.Phase]) -> None:
        """Since when each application, as (name, ""), and each deployment is in its phase."""
        now_s, before = self._clock.now_s(), self._phases
        self._phases = {
            key: before[key] if key in before and before[key][0] == phase else (phase, now_s)
            for key, phase in phases.items()
        }

    def _publish_orders(self, state: MeshState, questions: Mapping[str, Question]) -> None:
        self._questions = questions
        self.orders.publish(views.orders(state, questions))

    def _publish_endpoints(self, sets: dict[DeploymentKey, endpoint_pb2.EndpointSet]) -> None:
        self._version += 1
        for key, endpoint_set in sets.items():
            latest = self.endpoints.latest(key)
            endpoint_set.version = latest.version  # equal but for the version = unchanged
            if endpoint_set != latest:
                endpoint_set.version = self._version
        self.endpoints.publish(sets)
