"""What bounds the e-mails that are accepted: the cap of a key, and those that all share for senders and recipients."""

from __future__ import annotations

from mailapps.api.config import ApiConfig
from mailapps.api.rights import Caller
from mailcore.caps import Cap, daily_cap, must_fit, recipient_caps, sender_cap
from mailcore.mailer import Admit
from mailcore.message import Message


def admit_for(config: ApiConfig, caller: Caller, written: Message) -> Admit | None:
    """Return what counts a message of this caller before it is accepted; None if nothing bounds it."""
    if caller.daily is None and config.sender_limit is None and config.recipient_limit is None:
        return None

    async def admit(sound: Message) -> None:
        caps = [*_of_key(caller), *_of_sender(config, sound), *await _of_recipients(config, sound)]
        must_fit(caps, await config.rates.admit_together([cap.bucket for cap in caps]), written)

    return admit


def _of_key(caller: Caller) -> list[Cap]:
    """Return the cap of the caller's key, if it has one."""
    return [] if caller.daily is None else [daily_cap(caller.name, caller.daily)]


def _of_sender(config: ApiConfig, sound: Message) -> list[Cap]:
    """Return the cap of the domain that a message is from, if there is one."""
    return [] if config.sender_limit is None else [sender_cap(sound, config.sender_limit)]


async def _of_recipients(config: ApiConfig, sound: Message) -> list[Cap]:
    """Return the caps of a message's recipients, if there are any.

    Raises:
        StoreUnavailableError: The store that keeps the pepper does not answer.
    """
    if config.recipient_limit is None or config.keyring is None:
        return []
    return recipient_caps(sound, config.recipient_limit, await config.keyring.digesting())
