"""See conftest.py of this folder."""

from tests.e2e.test_streams import *  # noqa: F403 - every test, and its fixtures

# They speak of processes.
test_replica_that_dies_breaks_the_stream = None
