"""A provider's health as Redis keeps it, and the one script that changes it.

A record begins with the token of its last write, by which the script tells whether it is still the one that a
change was made from. The tokens of the writes before it are kept for a while: who did not hear whether his write
was done finds his token there.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct

from mailcore.errors import HealthUnavailableError
from mailcore.health import Health

WRITES: Final = 32
"""How many writes are remembered."""

_TOKEN: Final = 24
_encoder: Final = msgspec.msgpack.Encoder()

REPLACE: Final = f"""
local now = redis.call('HGET', KEYS[1], ARGV[1])
if (now and string.sub(now, 1, {_TOKEN}) or '') ~= ARGV[2] then return now or '' end
if ARGV[3] ~= '' then redis.call('HSET', KEYS[1], ARGV[1], ARGV[3]) end
return false
"""
"""Write a record, if there is one to write and the present one has the expected token; else return the present one.

Where there is no record both its token and its bytes are empty.
"""


class Record(Struct, frozen=True):
    """A health, and the tokens of its latest writes, the newest last; without any it is not in Redis."""

    health: Health = Health()
    writes: tuple[str, ...] = ()

    @property
    def token(self) -> str:
        """The token of the last write; empty if there is none."""
        return self.writes[-1] if self.writes else ""

    def followed(self, health: Health, token: str) -> Record:
        """Return the record that comes after this one.

        Args:
            health: What it holds.
            token: 24 characters that no other write has.
        """
        return Record(health, (*self.writes[1 - WRITES :], token))


class UnreadableRecordError(HealthUnavailableError):
    """A record was written by another release and is not understood."""


_decoder: Final = msgspec.msgpack.Decoder(Record)


def octets_of(record: Record) -> bytes:
    """Return a record as bytes."""
    return record.token.encode() + _encoder.encode(record)


def record_of(octets: bytes) -> Record:
    """Return the record of these bytes; of none, the one that is not in Redis.

    Raises:
        UnreadableRecordError: This release does not understand it.
    """
    if not octets:
        return Record()
    try:
        return _decoder.decode(octets[_TOKEN:])
    except (msgspec.DecodeError, RecursionError) as error:
        raise UnreadableRecordError("a provider's health in Redis was written by another release") from error
