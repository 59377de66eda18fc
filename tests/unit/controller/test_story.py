"""What people are told of what has happened."""

from __future__ import annotations

from mesh.controller.events import Applied, Deleted, Ended, Event, RolledBack, Said, Scaled, Silent, apply
from mesh.controller.reconcile import reconcile
from mesh.controller.rows import story_changes, story_from_rows
from mesh.controller.state import Condition, MeshState, ReplicaEvent
from mesh.controller.story import KEPT, KEPT_PER_DEPLOYMENT, Entry, Story, continued
from tests.unit.controller.test_reconcile import application, deployment


class Told:
    """A controller without anything around it, and the story of what happens to it."""

    def __init__(self) -> None:
        self.state = MeshState()
        self.story = Story()
        self.now_s = 0.0
        self.line = 0

    def happens(self, *events: Event) -> list[tuple[str, str]]:
        """What is told of it: what, and the first line of why."""
        before, told = self.state, self.story.told
        self.now_s += 10
        for event in events:
            self.state = apply(self.state, event, self.now_s)
        self.state = reconcile(self.state, self.now_s).state
        self.story = continued(self.story, before, self.state, events, self.now_s)
        return [(entry.what, entry.message.partition("\n")[0]) for entry in self.story.after(told)]

    def says(self, word: ReplicaEvent, **said: object) -> list[tuple[str, str]]:
        """What is told when the only live replica says that."""
        self.line += 1
        (replica,) = (replica for replica in self.state.replicas.values() if replica.live)
        return self.happens(Said(replica.replica_id, self.line, word, pid=7, **said))  # type: ignore[arg-type]


def test_the_life_of_a_deployment() -> None:
    told = Told()
    happened = told.happens(Applied(application(deployment("A"))))
    (replica,) = told.state.replicas.values()
    key = replica.revision
    assert happened == [
        ("applied", "A"),
        ("wished for", f"revision {key}, replicas: 1"),
        ("serving", f"revision {key}"),
        ("launched", f"rank 0, revision {key}"),
    ]
    assert told.says(ReplicaEvent.SAID_STARTING) == [("starting", "pid 7, its object is being built")]
    assert told.says(ReplicaEvent.SAID_READY) == [
        ("complete", "all that is wished for runs"),
        ("ready", "pid 7, after 20.0 s"),
    ]
    assert told.says(ReplicaEvent.SAID_READY) == []
    sick = Condition(failed_checks=2, check_failure="RuntimeError: sick")
    assert told.says(ReplicaEvent.SAID_READY, condition=sick) == [("check failed", "in a row: 2")]
    assert told.happens(Scaled("app", "A", 2))[0] == ("scaled", "from 1 to 2 replicas")
    ended = told.happens(Ended(replica.replica_id, "was ended by SIGKILL"))
    assert ("ended", "was ended by SIGKILL; nobody had told it to") in ended
    assert told.happens(Deleted("app"))[0] == ("deleted", "")


def test_an_update_that_fails_and_the_way_back() -> None:
    told = Told()
    told.happens(Applied(application(deployment("A"))))
    told.says(ReplicaEvent.SAID_READY)
    told.happens(Applied(application(deployment("A", version="2"))))
    for _ in range(3):
        new = next(r for r in told.state.replicas.values() if r.state.value == "starting")
        said = Said(new.replica_id, 9, ReplicaEvent.SAID_FAILED, failure="ValueError: no model\nTraceback ...")
        assert ("failed", "ValueError: no model") in told.happens(said)
        happened = told.happens(Ended(new.replica_id, "ended with exit code 1"))
        assert ("ended", "ended with exit code 1") in happened
    given_up = [entry for entry in told.story.entries if entry.what == "given up"]
    assert "did not start 3 times\nValueError: no model" in given_up[0].message
    assert told.happens(RolledBack("app"))[0] == ("rolled back", "A")


def test_why_a_replica_has_gone_is_told_although_it_ended_in_the_same_moment() -> None:
    told = Told()
    told.happens(Applied(application(deployment("A"))))
    (starting,) = told.state.replicas
    said = Said(starting, 9, ReplicaEvent.SAID_FAILED, failure="ValueError: no model\nTraceback ...")
    assert told.happens(said, Ended(starting, "ended with exit code 1"))[:2] == [
        ("failed", "ValueError: no model"),
        ("ended", "ended with exit code 1"),
    ]
    told.happens()
    (running,) = told.state.replicas
    told.says(ReplicaEvent.SAID_READY)
    silent = Silent(running, told.line, 30.0)
    *_, draining, ended = told.happens(silent, Ended(running, "was ended by SIGKILL"))
    assert (draining[0], ended) == ("draining", ("ended", "was ended by SIGKILL"))
    assert "has said nothing for 30 s" in draining[1]


def test_only_the_newest_are_remembered_and_no_deployment_displaces_the_others() -> None:
    def entry(number: int, name: str) -> Entry:
        return Entry(number, 0.0, "app", name, "", "ended", "")

    quiet, loud = entry(1, "quiet"), tuple(entry(number, "loud") for number in range(2, 500))
    told = Told()
    told.story = Story((quiet, *loud), 499)
    told.happens(Applied(application(deployment("A"))))
    kept = [one.deployment for one in told.story.entries]
    assert (kept[0], kept.count("loud")) == ("quiet", KEPT_PER_DEPLOYMENT)
    told.story = Story(tuple(entry(number, str(number)) for number in range(2000)), 2000)
    told.happens(Deleted("app"))
    assert len(told.story.entries) == KEPT


def test_the_story_outlives_the_controller_and_no_number_is_used_twice() -> None:
    told = Told()
    told.happens(Applied(application(deployment("A"))))
    again = story_from_rows({key: row for key, row in story_changes(Story(), told.story).items() if row is not None})
    assert again.entries == told.story.entries
    assert again.told > told.story.told
    assert story_from_rows({("mesh", ""): b""}).told > told.story.told, "also when none of it was stored"
    assert story_from_rows({}) == Story(), "a mesh that begins"


def test_only_what_is_new_or_forgotten_is_written() -> None:
    kept, new = Entry(2, 0.0, "app", "A", "", "ready", ""), Entry(3, 0.0, "app", "A", "", "ended", "")
    forgotten = Entry(1, 0.0, "app", "A", "", "launched", "")
    changes = story_changes(Story((forgotten, kept), 2), Story((kept, new), 3))
    assert {key[1][-1]: row is None for key, row in changes.items()} == {"1": True, "3": False}
