"""What is checked before a change lands: `nox -s tests`, or `nox` for everything.

Every session installs what it needs, with uv where there is one and with pip where there is none.
"""

from pathlib import Path

import nox

nox.needs_version = ">=2026.10"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.sessions = ["lint", "types", "imports", "commits", "wheel", "lowest", "docs", "tests"]

PROJECT = nox.project.load_toml("pyproject.toml")
EXTRAS = "[embedded,mongo,redis,dramatiq,sqs,otel,testing]"
EVERYTHING = f".{EXTRAS}"
OF_THE_WHEEL = [  # what depends on how the wheel was packed: entry points, modules, assets, examples
    "tests/apps/api/test_docs_page.py",
    "tests/apps/test_cli_letters.py",
    "tests/apps/test_cli_timeline.py",
    "tests/apps/test_container.py",
    "tests/apps/test_settings.py",
    "tests/contracts/test_sqlite.py",
    "tests/core/test_assembly.py",
    "tests/core/test_validation.py",
    "tests/docs/test_examples.py",
]
OF_THE_DRIVERS = [
    "tests/adapters/providers",
    "tests/adapters/test_dramatiq_queue.py",
    "tests/apps/api/test_accepting.py",
    "tests/apps/api/test_refusing.py",
    "tests/apps/test_cli_letters.py",
    "tests/apps/test_container.py",
    "tests/contracts",
]


def group(name: str) -> list[str]:
    """Return the requirements of one dependency group."""
    return nox.project.dependency_groups(PROJECT, name)


@nox.session
def lint(session: nox.Session) -> None:
    """Lint and format check, and dependencies: used ones declared, declared ones used, all of them locked."""
    session.install(*group("lint"))
    session.run("uv", "lock", "--check", silent=True)
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
    """Build the wheel twice and try it where there is no checkout: the core alone, the command line, then tests."""
    session.install("pip", "build[uv]")
    first, second = (built(session, number) for number in ("first", "second"))
    session.run("python", "tools/check_wheel.py", str(first), str(second))
    session.install("--force-reinstall", str(first))
    with session.chdir(first.parent):
        session.run("python", "-c", "import mailcore")
        session.install(f"mailcore-engine[embedded] @ {first.as_uri()}")
        session.run("mailcore", "--help")
    session.install(f"mailcore-engine{EXTRAS} @ {first.as_uri()}", *group("test"))
    session.run("python", "-P", "-c", "import mailcore; assert 'site-packages' in mailcore.__file__")
    session.run("pytest", "-q", "-n", "auto", *(session.posargs or OF_THE_WHEEL))


def built(session: nox.Session, name: str) -> Path:
    """Return a wheel, built into a folder of its own."""
    folder = Path(session.create_tmp()).resolve() / name
    for old in folder.glob("*.whl"):
        old.unlink()
    session.run("python", "-m", "build", "--installer", "uv", "--wheel", "--outdir", str(folder), silent=True)
    (path,) = folder.glob("*.whl")
    return path


@nox.session
def lowest(session: nox.Session) -> None:
    """Run what meets the drivers on the lowest versions that pyproject.toml allows; `-- tests` runs everything."""
    session.install("--resolution", "lowest-direct", "-e", EVERYTHING, *group("test"))
    session.run("pytest", "-q", "-n", "auto", *(session.posargs or OF_THE_DRIVERS))


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
def screenshots(session: nox.Session) -> None:
    """Take the pictures of the documentation anew, in a real Chromium."""
    session.install("-e", EVERYTHING, *group("test"))
    session.run("python", "tools/take_screenshots.py")


@nox.session
def bench(session: nox.Session) -> None:
    """Measure, each figure beside a bare floor of the same run; nothing passes or fails by it."""
    session.install("-e", EVERYTHING, *group("test"))
    session.run("python", "-m", "tests.bench", *session.posargs)


@nox.session
def mutation(session: nox.Session) -> None:
    """Change the core one operator at a time and see whether its quick tests notice; `-- retry` for one module."""
    session.install("-e", EVERYTHING, *group("test"), *group("mutation"))
    session.run("python", "tools/mutate.py", session.create_tmp(), *session.posargs)


@nox.session
def licences(session: nox.Session) -> None:
    """Write docs/reference/licences.md from what an installation brings along."""
    session.install("-e", EVERYTHING, "packaging")
    session.run("python", "tools/licences.py")


@nox.session
def sbom(session: nox.Session) -> None:
    """List what an installation brings along, with versions and hashes, in CycloneDX: dist/sbom.json."""
    session.install(*group("lint"))
    Path("dist").mkdir(exist_ok=True)
    export = ["uv", "export", "--frozen", "--no-dev", "--all-extras", "--quiet"]
    session.run(*export, "--format", "cyclonedx1.5", "--output-file", "dist/sbom.json", silent=True)


@nox.session
def audit(session: nox.Session) -> None:
    """Look the locked versions up among known weaknesses. No gate: it asks the internet, and knows more every day."""
    session.install(*group("lint"), "pip-audit>=2.9,<3")
    locked = str(Path(session.create_tmp()).resolve() / "locked.txt")
    export = ["uv", "export", "--frozen", "--no-dev", "--all-extras", "--quiet", "--no-emit-project"]
    session.run(*export, "--output-file", locked, silent=True)
    session.run("pip-audit", "--require-hashes", "--disable-pip", "--requirement", locked)


@nox.session
def chaos(session: nox.Session) -> None:
    """Run the fault campaign on real processes, within an hour, and write its report; `-- --rows P1,R3` for a part.

    The rows with wrong clocks need libfaketime: `apt-get install faketime`.
    """
    session.install("-e", EVERYTHING, *group("test"))
    session.run("python", "-m", "tests.chaos", *(session.posargs or ["--report"]))
