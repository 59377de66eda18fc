"""See conftest.py of this folder."""

from tests.e2e.test_websockets import *  # noqa: F403 - every test, and its fixtures
