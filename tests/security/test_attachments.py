"""An attachment is bytes with a label; the label never becomes a place."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PLACES = {"open", "Path", "PurePath", "joinpath", "write_bytes", "write_text", "NamedTemporaryFile", "mkstemp"}


def places_of_names(source: str) -> list[int]:
    """Return the lines where something called a file name is made a path of."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call) and called(node) in PLACES]
    return [call.lineno for call in calls if any(is_file_name(part) for part in ast.walk(call))]


def called(call: ast.Call) -> str:
    """Return the name that a call is made by."""
    return getattr(call.func, "id", None) or getattr(call.func, "attr", "")


def is_file_name(node: ast.AST) -> bool:
    """Tell whether an expression is an attachment's name."""
    return "filename" in {getattr(node, "id", None), getattr(node, "attr", None)}


@pytest.mark.parametrize("package", ["mailcore", "mailadapters", "mailapps"])
def test_no_code_makes_a_path_of_a_file_name(package: str) -> None:
    """Whatever an author calls a file, no file of ours is opened, written or joined to by that name."""
    files = list(Path("src", package).rglob("*.py"))

    found = {str(path): places_of_names(path.read_text(encoding="utf-8")) for path in files}

    assert len(files) > 10
    assert {path: lines for path, lines in found.items() if lines} == {}


def test_a_path_that_is_made_of_a_file_name_would_be_found() -> None:
    """The search above knows what it looks for."""
    assert places_of_names("Path(folder) / attachment.filename\nopen(attachment.filename)\nshow(filename)") == [2]
