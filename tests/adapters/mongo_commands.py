"""What a store says to its server, written down for tests."""

from collections.abc import Iterator
from typing import Any

from pymongo import monitoring

Command = dict[str, Any]


class Commands(monitoring.CommandListener):
    """Every command, and what the answers held.

    Attributes:
        sent: The commands, oldest first.
        found: How many documents the answers to finds held.
    """

    def __init__(self) -> None:
        self.sent: list[Command] = []
        self.found = 0

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        """Write a command down."""
        self.sent.append(dict(event.command))

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        """Count what was found."""
        cursor = event.reply.get("cursor", {})
        self.found += len(cursor.get("firstBatch", cursor.get("nextBatch", [])))

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        """Leave a failure to whoever asked."""

    def named(self, *names: str) -> list[Command]:
        """Return the commands of some kinds; a command's first key is its kind."""
        return [command for command in self.sent if next(iter(command)) in names]

    def filters(self) -> Iterator[tuple[str, Command]]:
        """Yield every filter with the collection that it is for."""
        for command in self.sent:
            name = next(iter(command))
            if name == "find":
                yield command["find"], command["filter"]
            for part in command.get("updates", []) + command.get("deletes", []):
                yield command[name], part["q"]

    def forget(self) -> None:
        """Start anew."""
        self.sent.clear()
        self.found = 0
