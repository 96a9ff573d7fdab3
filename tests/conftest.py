"""Settings of the whole suite (this file also puts ``tests/`` on the path, for ``support``)."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

from simulator import cli

settings.register_profile(
    "offing", derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("offing")


def pytest_addoption(parser):
    parser.addoption("--update-golden", action="store_true", help="write the golden files anew (see the diff)")


@pytest.fixture
def update_golden(request):
    return request.config.getoption("--update-golden")


@pytest.fixture
def write(tmp_path):
    """Write a text, or bytes, to a file whose name says nothing of its format, and return where it is."""

    def write(content, name="a trace of ours"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.fixture
def offing(capsys, tmp_path, monkeypatch):
    """Call ``offing ...`` and return exit code, standard output and standard error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def call(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            cli.main(list(arguments))
        out, err = capsys.readouterr()
        return int(end.value.code or 0), out, err

    return call
