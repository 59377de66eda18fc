"""See conftest.py of this folder."""

from tests.e2e.test_drivers import *  # noqa: F403 - every test, and its fixtures

# It speaks to the gRPC door.
test_client_of_the_door_reads_the_stream_of_a_graph = None
