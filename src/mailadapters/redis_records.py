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

_END: Final = b"\n"
"""What ends the token at the beginning of a record."""

_encoder: Final = msgspec.msgpack.Encoder()

REPLACE: Final = """
local now = redis.call('HGET', KEYS[1], ARGV[1]) or ''
if (string.match(now, '^[^\\n]*') or '') ~= ARGV[2] then return now end
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
            token: A text of one line that no other write has.
        """
        return Record(health, (*self.writes[1 - WRITES :], token))


class UnreadableRecordError(HealthUnavailableError):
    """A record was written by another release and is not understood."""


_decoder: Final = msgspec.msgpack.Decoder(Record)


def octets_of(record: Record) -> bytes:
    """Return a record as bytes."""
    return record.token.encode() + _END + _encoder.encode(record)


def record_of(octets: bytes) -> Record:
    """Return the record of these bytes; of none, the one that is not in Redis.

    Raises:
        UnreadableRecordError: This release does not understand it.
    """
    if not octets:
        return Record()
    try:
        return _decoder.decode(octets.partition(_END)[2])
    except (msgspec.DecodeError, RecursionError) as error:
        raise UnreadableRecordError("a provider's health in Redis was written by another release") from error
