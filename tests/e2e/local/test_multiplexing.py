"""See conftest.py of this folder."""

from tests.e2e.test_multiplexing import *  # noqa: F403 - every test, and its fixtures

# They speak of processes.
test_the_door_takes_the_model_from_metadata = None
