"""See conftest.py of this folder."""

import pytest

from tests.e2e.test_http_client import *  # noqa: F403 - every test, and its fixtures

# The code under test is here in this process, and leaves it to others to close the files of a form.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")
# It holds the loop of a replica, which here is that of the bridge.
test_each_piece_leaves_before_the_generator_computes_on = None
