"""Settings of the whole suite (this file also puts ``tests/`` on the path, for ``support``)."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "offing", derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("offing")


def pytest_addoption(parser):
    parser.addoption("--update-golden", action="store_true", help="write the golden files anew (see the diff)")


@pytest.fixture
def update_golden(request):
    return request.config.getoption("--update-golden")
