"""What system tests share."""
import pytest

import programs


@pytest.fixture
def dashboard(tmp_path):
    """A dashboard without a password on a port of its own."""
    with programs.Dashboard(tmp_path / "dashboard") as running:
        yield running
        assert running.stop() == 0, running.log_text()
