"""See conftest.py of this folder."""

from tests.e2e.test_applications import *  # noqa: F403 - every test, and its fixtures
