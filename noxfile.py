"""What is checked before a change lands: `nox -s tests`, or `nox` for everything.

Every session installs what it needs, with uv where there is one and with pip where there is none.
"""

from pathlib import Path

import nox

nox.needs_version = ">=2026.10"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.sessions = ["lint", "types", "imports", "commits", "wheel", "docs", "tests"]

PROJECT = nox.project.load_toml("pyproject.toml")
EVERYTHING = ".[embedded,mongo,redis,dramatiq,sqs,otel,testing]"


def group(name: str) -> list[str]:
    """Return the requirements of one dependency group."""
    return nox.project.dependency_groups(PROJECT, name)


@nox.session
def lint(session: nox.Session) -> None:
    """Lint and format check, and dependencies: used ones declared, declared ones used."""
    session.install(*group("lint"))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("deptry", "src", silent=True)  # it tells of every package that is not installed here


@nox.session
def types(session: nox.Session) -> None:
    """Type check src with mypy and pyright, both strict."""
    session.install("-e", EVERYTHING, *group("types"))
    session.run("mypy")
    session.run("pyright", "--pythonpath", str(Path(session.bin) / "python"))


@nox.session
def imports(session: nox.Session) -> None:
    """Check the import arrows."""
    session.install("-e", EVERYTHING, *group("imports"))
    session.run("lint-imports", "--no-cache", "--no-logo")


@nox.session
def commits(session: nox.Session) -> None:
    """Check that every commit message is a Conventional Commit; a range may be given."""
    session.install(*group("commits"))
    session.run("cz", "check", "--rev-range", *(session.posargs or ["HEAD"]))


@nox.session
def wheel(session: nox.Session) -> None:
    """Build the wheel and try it where there is no checkout: the core alone, then the command line."""
    built = Path(session.create_tmp()).resolve()
    for old in built.glob("*.whl"):
        old.unlink()
    session.install("pip")
    session.run("pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(built), ".")
    (path,) = built.glob("*.whl")
    session.chdir(built)
    session.install("--force-reinstall", str(path))
    session.run("python", "-c", "import mailcore")
    session.install(f"mailcore-engine[embedded] @ {path.as_uri()}")
    session.run("mailcore", "--help")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation; a warning is an error. The tests run its examples."""
    session.install(*group("docs"))
    session.run("zensical", "build", "--clean", "--strict")


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests, a process for each core; what follows `--` goes to pytest."""
    session.install("-e", EVERYTHING, *group("test"))
    session.run("pytest", "-q", "-n", "auto", *session.posargs)


@nox.session
def schema(session: nox.Session) -> None:
    """Hold the API against its description with many requests: `-- 2000` for each route, others each time."""
    session.install("-e", EVERYTHING, *group("test"))
    examples = session.posargs[0] if session.posargs else "500"
    env = {"SCHEMA_EXAMPLES": examples}
    session.run("pytest", "-q", "--timeout", "0", "tests/apps/api/test_against_schema.py", env=env)


@nox.session
def mutants(session: nox.Session) -> None:
    """Take every guard of the core away in turn and search for what breaks; `-- --pin` keeps the seeds."""
    session.install("-e", EVERYTHING, *group("test"))
    session.run("python", "-m", "tests.dst.hunt", *session.posargs)


@nox.session
def dst(session: nox.Session) -> None:
    """Run the simulations over many seeds: `-- 10000` walks and a tenth as many worlds."""
    session.install("-e", EVERYTHING, *group("test"))
    session.run("python", "-m", "tests.dst.many", *(session.posargs or ["10000"]))


@nox.session
def simulate(session: nox.Session) -> None:
    """Play every strategy in every made-up outage and write the table of docs/explanation/choosing-a-provider.md."""
    session.install("-e", EVERYTHING)
    session.run("python", "tools/compare_strategies.py")


@nox.session
def bench(session: nox.Session) -> None:
    """Measure, each figure beside a bare floor of the same run; nothing passes or fails by it."""
    session.install("-e", EVERYTHING, *group("test"))
    session.run("python", "-m", "tests.bench", *session.posargs)
