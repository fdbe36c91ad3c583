"""The commands of API keys, against a real service: what they print, and how they end."""

from __future__ import annotations

import json

import pytest
from tests.apps.conftest import Mailcore, Service

from mailapps.cli.exits import Exit


def test_a_key_is_made_used_rotated_and_revoked(mailcore: Mailcore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The life of a key, by the command line alone; its secret is printed once."""
    monkeypatch.setenv("COLUMNS", "200")
    code, out, _ = mailcore("keys", "create", "--scope", "read", "--scope", "send", "--name", "web shop")
    key = out.splitlines()[0]
    key_id = f"key_{key.split('_')[2]}"

    used = mailcore("list", "--key", key)
    new = json.loads(mailcore("keys", "rotate", key_id, "--json")[1])
    revoked = mailcore("keys", "revoke", key_id)
    listed = mailcore("keys", "list")[1]
    after = mailcore("list", "--key", key)

    assert (code, f"{key_id}, send and read, tenant default." in out, used[0]) == (Exit.OK, True, Exit.OK)
    assert (new["name"], new["scopes"], new["key"] != key) == ("web shop", ["send", "read"], True)
    assert revoked[:2] == (Exit.OK, f"{key_id}: revoked\n")
    rows = {line.split()[0]: line.split()[1] for line in listed.splitlines()[1:]}
    assert (rows[key_id], rows[new["id"]]) == ("revoked", "active")
    assert key not in listed
    assert (after[0], "this key is revoked" in after[2]) == (Exit.FAILED, True)


def test_a_key_has_a_cap_of_e_mails_a_day(mailcore: Mailcore, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is made with one and listed with it; one that cannot be meant is a wrong usage."""
    monkeypatch.setenv("COLUMNS", "200")
    made = json.loads(mailcore("keys", "create", "--scope", "send", "--daily", "4321", "--json")[1])

    listed = {line.split()[0]: line for line in mailcore("keys", "list")[1].splitlines()}

    assert (made["daily"], "4321" in listed[made["id"]].split()) == (4321, True)
    assert mailcore("keys", "create", "--scope", "send", "--daily", "0")[0] == Exit.USAGE


def test_a_key_that_is_not_for_it_is_told_what_is(mailcore: Mailcore) -> None:
    """The scope that is missing stands in the error."""
    key = json.loads(mailcore("keys", "create", "--scope", "read", "--json")[1])["key"]

    code, _, err = mailcore("keys", "list", "--key", key)

    assert (code, "this needs a key with the scope `admin`" in err) == (Exit.FAILED, True)


def test_a_key_without_a_scope_is_a_wrong_usage(mailcore: Mailcore) -> None:
    """Nothing is made by a command that says too little."""
    code, out, _ = mailcore("keys", "create")

    assert (code, out) == (Exit.USAGE, "")


def test_every_part_of_a_wrong_key_is_told(mailcore: Mailcore) -> None:
    """A line for each."""
    code, _, err = mailcore("keys", "create", "--scope", "send", "--sender", "nodots", "--tenant", "Not/So")

    assert code == Exit.FAILED
    assert [line.split(":")[0] for line in err.splitlines()] == ["mailcore", "  /senders/0"]


def test_no_secret_of_a_key_is_in_a_log(mailcore: Mailcore, service: Service) -> None:
    """Neither of one that opens nor of one that does not (I40)."""
    key = json.loads(mailcore("keys", "create", "--scope", "read", "--json")[1])["key"]
    wrong = f"{key[:-4]}XXXX"

    mailcore("list", "--key", key)
    mailcore("list", "--key", wrong)

    assert key.split("_")[3][:-4] not in service.log + service.said
