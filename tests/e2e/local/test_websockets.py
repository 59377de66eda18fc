"""See conftest.py of this folder."""

from tests.e2e.test_websockets import *  # noqa: F403 - every test, and its fixtures

# It speaks of processes.
test_death_of_the_replica_is_1012 = None
