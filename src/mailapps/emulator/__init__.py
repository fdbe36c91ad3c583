"""A provider emulator: speaks the providers' wire formats, fails on command, and shows what it took.

Point a provider's `base_url` at it and nothing leaves the machine:

- SendGrid: ``http://127.0.0.1:8025/sendgrid`` (`POST /v3/mail/send` below it)
- Mailgun: ``http://127.0.0.1:8025/mailgun/v3`` (`POST /{domain}/messages` below it)

A name may carry a label (``/sendgrid-eu``): an account of the same kind with faults and records of its own.
The inbox is at ``/``, the scripts and records are below ``/emulator/``.
"""

from mailapps.emulator.server import EmulatorSettings, Running, emulator_app, run, running_emulator, serve
from mailapps.emulator.world import Emulator

__all__ = ["Emulator", "EmulatorSettings", "Running", "emulator_app", "run", "running_emulator", "serve"]
