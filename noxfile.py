"""The five words of the project: setup, check, test, docs, bench. They run in the environment nox was started from.

python -m pip install -e ".[dev]" && nox -s check test docs
"""

import nox

nox.options.default_venv_backend = "none"  # the interpreter at hand: what CI uses is what you use
nox.options.sessions = ["check", "test", "docs"]


@nox.session
def setup(session):
    """Install the project with everything its developers use."""
    session.run("python", "-m", "pip", "install", "-e", ".[dev]")


@nox.session
def check(session):
    """Look at the code without running it, and at who imports whom."""
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")
    session.run("codespell")
    session.run("pytest", "tests/test_layers.py")


@nox.session
def test(session):
    """Run the tests; what is given after -- goes to pytest."""
    session.run("pytest", *session.posargs)


@nox.session
def docs(session):
    """Build the documentation; a warning is an error."""
    session.run("sphinx-build", "-W", "--keep-going", "-q", "-b", "html", "docs", "docs/_build/html")


@nox.session
def bench(session):
    """Compare the speed with a textbook SimPy model, and the reading of recordings with pandas, each in one run."""
    session.run("python", "benchmarks/offload.py", *(session.posargs or ["--json"]))
    if not session.posargs:
        session.run("python", "benchmarks/traces.py")
