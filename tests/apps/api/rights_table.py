"""Every route, what it needs of its caller, and what a stranger with that right gets: the table of who may what."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.apps.api.world import message

from mailcore.keys import Scope

OPERATE = "operate"
"""What only an `admin` key of the tenant `default` and the key of the settings may do."""


@dataclass(frozen=True)
class Row:
    """What a route answers.

    Attributes:
        needs: A scope, or `OPERATE`, or None for a route that is open to all.
        own: To a key that may, of the tenant that has the dead letter.
        foreign: To a key that may, of another tenant.
        body: What is sent.
    """

    needs: Scope | str | None
    own: int = 200
    foreign: int = 200
    body: dict[str, Any] | None = field(default=None, hash=False)


TABLE: dict[tuple[str, str], Row] = {
    ("GET", "/api/dead-letters"): Row(Scope.READ),
    ("POST", "/api/dead-letters/redrive"): Row(Scope.ADMIN, body={"lane": "transactional"}),
    ("POST", "/api/dead-letters/{email_id}/redrive"): Row(Scope.ADMIN, foreign=404),
    ("POST", "/api/email"): Row(Scope.SEND, own=201, foreign=201, body=message()),
    ("POST", "/api/emails"): Row(Scope.SEND, own=201, foreign=201, body=message()),
    ("GET", "/api/emails"): Row(Scope.READ),
    ("POST", "/api/emails/cancel"): Row(Scope.ADMIN, body={"lane": "transactional"}),
    ("GET", "/api/emails/{email_id}"): Row(Scope.READ, foreign=404),
    ("POST", "/api/emails/{email_id}/cancel"): Row(Scope.SEND, own=409, foreign=404),
    ("GET", "/api/emails/{email_id}/content"): Row(Scope.CONTENT, foreign=404),
    ("POST", "/api/emails/{email_id}/resolve"): Row(Scope.ADMIN, own=409, foreign=404, body={"as": "sent"}),
    ("POST", "/api/erasures"): Row(Scope.ADMIN, body={"recipient": "ann@example.com"}),
    ("GET", "/api/keys"): Row(Scope.ADMIN),
    ("POST", "/api/keys"): Row(Scope.ADMIN, own=201, foreign=201, body={"scopes": ["send"]}),
    ("POST", "/api/keys/{key_id}/rotate"): Row(Scope.ADMIN, own=201, foreign=404, body={}),
    ("DELETE", "/api/keys/{key_id}"): Row(Scope.ADMIN, foreign=404),
    ("PUT", "/api/lanes/{lane}/pause"): Row(OPERATE, body={"paused": False}),
    ("GET", "/api/providers"): Row(OPERATE),
    ("PUT", "/api/providers/{name}/mode"): Row(OPERATE, body={"mode": "auto"}),
    ("POST", "/api/route/explain"): Row(Scope.SEND, body=message()),
    ("GET", "/api/suppressions"): Row(Scope.READ),
    ("POST", "/api/suppressions"): Row(Scope.SEND, body={"suppressions": [{"address": "eve@example.com"}]}),
    ("GET", "/api/suppressions/export"): Row(Scope.READ),
    ("DELETE", "/api/suppressions/{address}"): Row(Scope.ADMIN, foreign=404),
    ("GET", "/api/switches"): Row(OPERATE),
    ("GET", "/docs"): Row(None),
    ("GET", "/docs/{name}"): Row(None),
    ("GET", "/health/live"): Row(None),
    ("GET", "/health/ready"): Row(None),
    ("GET", "/metrics"): Row(OPERATE),
    ("GET", "/schema/openapi.json"): Row(None),
}
