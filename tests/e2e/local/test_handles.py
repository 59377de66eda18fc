"""See conftest.py of this folder."""

from tests.e2e.test_handles import *  # noqa: F403 - every test, and its fixtures

# They speak of processes.
test_sequential_calls_alternate_over_two_replicas = None
test_handles_nested_in_constructor_arguments = None
test_handle_in_another_process = None
