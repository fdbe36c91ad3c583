"""The import arrows, as contracts in pyproject.toml."""

from importlinter import cli


def test_every_import_follows_the_arrows() -> None:
    """Each module imports only what stands below it, and what decides imports no clock, dice or driver."""
    exit_code = cli.lint_imports(config_filename="pyproject.toml", no_cache=True, no_logo=True)

    assert exit_code == cli.EXIT_STATUS_SUCCESS
