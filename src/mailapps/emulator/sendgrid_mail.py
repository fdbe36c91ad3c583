"""The body of SendGrid's `POST /v3/mail/send` as types: a field of another type is a bare "Bad Request" there."""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field


class Party(Struct, frozen=True, forbid_unknown_fields=True):
    """An address in a request."""

    email: str = ""
    name: str | None = None


class Part(Struct, frozen=True, forbid_unknown_fields=True):
    """One body of a message."""

    type: str = ""
    value: str = ""


class Enclosure(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An attachment in a request."""

    content: str | None = None
    filename: str | None = None
    type: str | None = None
    disposition: str | None = None
    content_id: str | None = None


class Personalization(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One envelope of a request."""

    from_: Party | None = field(default=None, name="from")
    to: list[Party] | None = None
    cc: list[Party] | None = None
    bcc: list[Party] | None = None
    subject: str | None = None
    headers: dict[str, str] | None = None
    custom_args: dict[str, str] | None = None
    substitutions: dict[str, str] | None = None
    dynamic_template_data: dict[str, Any] | None = None
    send_at: int | None = None


class Switch(Struct, frozen=True):
    """A setting that is on or off, by a real boolean."""

    enable: bool = False


class MailSettings(Struct, frozen=True):
    """The settings of the sending itself; only the sandbox matters here."""

    sandbox_mode: Switch | None = None


class Mail(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /v3/mail/send`. A field of another type is a bare "Bad Request"."""

    personalizations: list[Personalization] | None = None
    from_: Party | None = field(default=None, name="from")
    reply_to: Party | None = None
    reply_to_list: list[Party] | None = None
    subject: str | None = None
    content: list[Part] | None = None
    attachments: list[Enclosure] | None = None
    template_id: str | None = None
    headers: dict[str, str] | None = None
    categories: list[str] | None = None
    custom_args: dict[str, str] | None = None
    send_at: int | None = None
    batch_id: str | None = None
    asm: dict[str, Any] | None = None
    ip_pool_name: str | None = None
    mail_settings: MailSettings | None = None
    tracking_settings: dict[str, Any] | None = None

    @property
    def in_sandbox(self) -> bool:
        """The message is checked and then thrown away."""
        sandbox = self.mail_settings and self.mail_settings.sandbox_mode
        return bool(sandbox and sandbox.enable)
