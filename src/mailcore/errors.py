"""Every error that mailcore raises on purpose.

    MailError
    ├── InvalidMessageError      the caller's message is wrong; lists every problem
    ├── NoProviderCanCarryError  the message is right, but no configured provider can express it
    ├── SuppressedError          all whom the message is written to are on the suppression list
    ├── CapReachedError          the key, sender or recipient has had as many e-mails as are allowed; wait
    ├── KeyReusedError           one idempotency key, two different messages
    ├── EmailNotFoundError       no e-mail has this id
    ├── ConflictError            the e-mail's status forbids what was asked
    ├── StaleEmailError          somebody else saved this e-mail first
    ├── SettingsError            a setting is missing, unknown or wrong
    └── UnavailableError         a part that we depend on did not answer
        ├── StoreUnavailableError
        ├── QueueUnavailableError
        └── HealthUnavailableError

The tree answers one question: whose fault is it? The first seven are the caller's, StaleEmailError is a
race that the shell settles, SettingsError is the operator's, and UnavailableError is nobody's: try again.
What a provider or the network to it does is never an error here but an Outcome.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Problem(Struct, frozen=True):
    """One thing that is wrong with a message.

    Attributes:
        pointer: Where, as a JSON pointer into the message, such as ``/to/0``.
        code: A word from a closed, documented list.
        detail: What is wrong and how to mend it. Never repeats the caller's input at length.
    """

    pointer: str
    code: str
    detail: str


class MailError(Exception):
    """The root of all errors that mailcore raises on purpose."""


class InvalidMessageError(MailError):
    """The message cannot be accepted as written.

    Attributes:
        problems: Everything that is wrong, in the order of the message's fields; at least one.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        """Keep the problems and say them in one line each."""
        super().__init__("; ".join(f"{problem.pointer}: {problem.detail}" for problem in problems))
        self.problems = tuple(problems)


class NoProviderCanCarryError(MailError):
    """No configured provider can carry this message.

    Attributes:
        reasons: Why not, by the provider's name.
    """

    def __init__(self, reasons: Mapping[str, str]) -> None:
        """Keep the reason of each provider."""
        super().__init__("; ".join(f"{name}: {reason}" for name, reason in reasons.items()) or "no provider")
        self.reasons = dict(reasons)


class SuppressedError(MailError):
    """Nobody whom the message is written to may be written to.

    Attributes:
        problems: Each of them, with the reason; at least one.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        """Keep the problems and say them in one line each."""
        super().__init__("; ".join(f"{problem.pointer}: {problem.detail}" for problem in problems))
        self.problems = tuple(problems)


class CapReachedError(MailError):
    """As many e-mails as are allowed were submitted by this key, came from this domain, or went to this mailbox.

    Attributes:
        pointer: Of the sender, ``/from``, or of the recipient, such as ``/to/0``; empty if the bound is the key's.
        retry_after_s: Whole seconds until there is room again.
    """

    def __init__(self, detail: str, pointer: str, retry_after_s: int) -> None:
        """Keep whose bound it is and how long to wait; the detail says both, and no address."""
        super().__init__(detail)
        self.pointer = pointer
        self.retry_after_s = retry_after_s


class KeyReusedError(MailError):
    """This idempotency key already belongs to an e-mail with another message."""


class EmailNotFoundError(MailError):
    """No e-mail has this id (or its content is gone)."""


class ConflictError(MailError):
    """The e-mail's status forbids what was asked; the text names the status."""


class StaleEmailError(MailError):
    """The stored e-mail is no longer the version that this change was made from."""


class SettingsError(MailError):
    """A setting is missing, unknown or wrong; the text names the key and the remedy."""


class UnavailableError(MailError):
    """Something that mailcore depends on did not answer in time; the same call may work later."""


class StoreUnavailableError(UnavailableError):
    """The store could not take or give an e-mail; for a write, whether it happened is not known."""


class QueueUnavailableError(UnavailableError):
    """The queue could not take a wake-up; the sweep makes up for it."""


class HealthUnavailableError(UnavailableError):
    """The shared health of the providers could not be read or changed."""
