"""See conftest.py of this folder."""

from tests.e2e.test_graphs import *  # noqa: F403 - every test, and its fixtures

# They speak of processes.
test_every_replica_is_a_process_of_its_own = None
