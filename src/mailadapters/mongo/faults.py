"""What the driver's errors mean for whoever runs mailcore: each of pymongo's classes with its sentence.

Their texts are left out where they may repeat a document or a filter, for that may hold addresses.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from bson import errors as bson_errors
from pymongo import errors

from mailcore.errors import StoreUnavailableError

DRIVER: Final = (errors.PyMongoError, bson_errors.BSONError, OverflowError, UnicodeEncodeError)
"""Everything that a call of the driver raises."""
ONE_CALLS_ALONE: Final = (
    errors.DocumentTooLarge,
    errors.BulkWriteError,
    bson_errors.BSONError,
    OverflowError,
    UnicodeEncodeError,
)
"""What one document of many may be to blame for."""
LOST: Final = (errors.ConnectionFailure, errors.ExecutionTimeout, errors.BulkWriteError)
"""After these a write may have happened."""
DUPLICATE_KEY: Final = 11000
REFUSED: Final[Mapping[int, str]] = MappingProxyType(
    {
        13: "its user may not do this: grant the role readWrite",
        18: "it does not know this user and password: see the store's URL",
        8000: "it does not know this user and password: see the store's URL",
        11600: "it is shutting down",
        91: "it is shutting down",
    }
)
"""What the server's own codes mean, as far as somebody can do something about them."""

_BUG: Final = "mailcore used the driver wrongly; please report this"
_SETTINGS: Final = "the store's URL or one of its options is wrong"
_LARGE: Final = "the e-mail is larger than a document may be"
_CONTENT: Final = "the e-mail cannot be written as BSON"
WHY: Final[Mapping[type[Exception], str]] = MappingProxyType(
    {
        errors.PyMongoError: "the driver failed",
        errors.ConnectionFailure: "it cannot be reached",
        errors.AutoReconnect: "the connection was lost",
        errors.NetworkTimeout: "it did not answer in time",
        errors.ServerSelectionTimeoutError: "it cannot be reached, or has no primary just now",
        errors.WaitQueueTimeoutError: "all connections are in use: raise maxPoolSize",
        errors.NotPrimaryError: "it is not the primary any more",
        errors.ProtocolError: "it answered what no MongoDB would",
        errors.ConfigurationError: _SETTINGS,
        errors.InvalidURI: _SETTINGS,
        errors.InvalidName: _SETTINGS,
        errors.OperationFailure: "it refused the command",
        errors.ExecutionTimeout: "it did not finish in time",
        errors.WriteConcernError: "it wrote, but most of the replica set has not confirmed that",
        errors.WTimeoutError: "it wrote, but most of the replica set has not confirmed that in time",
        errors.WriteError: "it refused to write",
        errors.DuplicateKeyError: "it has a unique index that is not mailcore's",
        errors.BulkWriteError: "it refused to write, or most of the replica set has not confirmed it",
        errors.ClientBulkWriteException: "it refused to write",
        errors.CursorNotFound: "it forgot a list while it was read: try again",
        errors.DocumentTooLarge: _LARGE,
        errors.InvalidOperation: "the store is closed",
        errors.CollectionInvalid: _BUG,
        errors.EncryptionError: "encryption on the client failed: see autoEncryption in the store's URL",
        errors.EncryptedCollectionError: "encryption on the client failed: see autoEncryption in the store's URL",
        bson_errors.BSONError: _CONTENT,
        bson_errors.InvalidBSON: "it answered what is not BSON",
        bson_errors.InvalidStringData: _CONTENT,
        bson_errors.InvalidDocument: _CONTENT,
        bson_errors.InvalidId: _BUG,
        OverflowError: _CONTENT,
        UnicodeEncodeError: _CONTENT,
    }
)


def unavailable(error: Exception, where: str) -> StoreUnavailableError:
    """Return what an error of the driver is to mailcore, with what to do about it."""
    why = next(WHY[kind] for kind in type(error).__mro__ if kind in WHY)
    detail = type(error).__name__
    if isinstance(error, errors.OperationFailure):
        why = REFUSED.get(error.code or 0, why)
        detail += f", code {error.code}"
    elif isinstance(error, errors.ConnectionFailure):
        detail += f": {str(error)[:300]}"
    return StoreUnavailableError(f"{where}: {why} ({detail})")
