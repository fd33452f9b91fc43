"""The window of these tests is kept from one to the next."""

import pytest


@pytest.fixture
def viewer(lent_viewer):
    """A real viewer, as new; not shown."""
    return lent_viewer()
