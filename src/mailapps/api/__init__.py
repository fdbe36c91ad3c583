"""The HTTP API: `create_app` makes it of a Mailer, `serve` runs it."""

from mailapps.api.app import create_app
from mailapps.api.config import ApiConfig

__all__ = ["ApiConfig", "create_app"]
