"""A client of our own HTTP API: what a command asks, and what it says when the service is not there or refuses."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import IO, Any, Final, Self

import httpx
import msgspec

from mailapps.cli.exits import CommandError, UnreachableError, UsageError
from mailapps.cli.options import Reach
from mailapps.settings_sources import where
from mailcore.secret import Secret

TIMEOUT_S: Final = 30.0
UNAUTHORIZED: Final = 401
_REFUSED: Final = 400
_LINES: Final = "application/x-ndjson"
_OF_GATEWAYS: Final = frozenset({502, 503, 504})

Json = dict[str, Any]


def problem_of(detail: str, code: str = "") -> Json:
    """Return what is wrong with a whole as the API says what is wrong with its parts."""
    return {"pointer": "", "code": code, "detail": detail}


class RefusedError(CommandError):
    """The service answered, and the answer is no.

    Attributes:
        status: Of HTTP.
        problems: Every part that is wrong, or the one reason: pointer, code, detail.
        retryable: The same request may succeed later.
        retry_after: The header of that name; empty if there was none.
    """

    def __init__(self, text: str, status: int, *, problems: Sequence[Json] = (), retryable: bool = False) -> None:
        """Keep the text, a line for each part that is wrong."""
        super().__init__(text)
        self.status = status
        self.problems = tuple(problems) or (problem_of(text),)
        self.retryable = retryable
        self.retry_after = ""


class Service:
    """The running service, for commands that ask it a few things one after the other."""

    def __init__(self, reach: Reach) -> None:
        """Find out where it is; nothing goes over the network yet."""
        self.url, headers = address_of(reach)
        self._client = httpx.Client(base_url=self.url, headers=headers, timeout=TIMEOUT_S, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def get(self, path: str, query: Mapping[str, Any] | None = None) -> Json:
        """Return what is there.

        Raises:
            UnreachableError: Nobody answers.
            RefusedError: The answer is no.
        """
        return self._ask(self._client.build_request("GET", path, params=query))

    def post(self, path: str, body: object = None, headers: Mapping[str, str] | None = None) -> Json:
        """Ask for something to be done; raises as `get` does."""
        return self._ask(self._client.build_request("POST", path, json=body, headers=headers))

    def put(self, path: str, body: object) -> Json:
        """Have something be as the body says; raises as `get` does."""
        return self._ask(self._client.build_request("PUT", path, json=body))

    def delete(self, path: str) -> Json:
        """Have something gone; raises as `get` does."""
        return self._ask(self._client.build_request("DELETE", path))

    def copy(self, path: str, out: IO[bytes]) -> None:
        """Write the lines that are there as they come.

        Raises:
            UnreachableError: Nobody answers.
            RefusedError: The answer is no.
            CommandError: It broke off in the middle.
        """
        begun = False
        try:
            with self._client.stream("GET", path) as answer:
                if not answer.headers.get("content-type", "").startswith(_LINES):
                    answer.read()
                    answer_of(answer)
                    raise _of_another(answer)
                begun = True
                out.writelines(answer.iter_bytes())
        except httpx.TransportError as error:
            if begun:
                said = f"the answer of {self.url} broke off ({type(error).__name__}): some lines are missing; try again"
                raise CommandError(said) from error
            raise unreachable(self.url, error) from error

    def _ask(self, request: httpx.Request) -> Json:
        """Make one request."""
        try:
            return answer_of(self._client.send(request))
        except httpx.TransportError as error:
            raise unreachable(self.url, error) from error


def address_of(reach: Reach) -> tuple[str, dict[str, str]]:
    """Return the service's URL and the headers of every request.

    Raises:
        SettingsError: The settings that say so are wrong.
        UsageError: The URL or the key is none.
    """
    # A key that a settings file keeps is for the service of that file, not for any that --url names.
    bound, key = where(reach.config, os.environ, read_file=not reach.url)
    url = (reach.url or bound).rstrip("/")
    if not _is_url(url):
        raise UsageError(f"--url: expected a URL such as http://127.0.0.1:8000, got {url[:40]}")
    return url, _authorization(_given(reach.key) or key)


def _is_url(text: str) -> bool:
    """Whether a text is a URL that can be asked."""
    try:
        return httpx.URL(text).scheme in {"http", "https"} and bool(httpx.URL(text).host)
    except httpx.InvalidURL:
        return False


def _given(key: str | None) -> Secret | None:
    """Return the key of the command line."""
    try:
        return Secret(key) if key else None
    except ValueError as error:
        raise UsageError(f"--key: {error}") from None


def _authorization(key: Secret | None) -> dict[str, str]:
    """Return the header that shows a key."""
    return {"Authorization": f"Bearer {key.reveal()}"} if key else {}


def answer_of(response: httpx.Response) -> Json:
    """Return the JSON of an answer.

    Raises:
        RefusedError: The answer is no; its text names every part that is wrong.
    """
    try:
        said = msgspec.json.decode(response.content, type=Json)
    except ValueError:
        refusal = _of_another(response)
    else:
        if response.status_code < _REFUSED:
            return said
        refusal = _refusal(response.status_code, said)
    refusal.retry_after = response.headers.get("retry-after", "")
    raise refusal


def _of_another(response: httpx.Response) -> RefusedError:
    """Return an answer that is not mailcore's as an error; a reverse proxy's says that mailcore is away for now."""
    away = response.status_code in _OF_GATEWAYS
    text = f"{response.url.host} answered {response.status_code}, but not as mailcore does"
    return RefusedError(text, response.status_code if away else 0, retryable=away)


def _refusal(status: int, problem: Json) -> RefusedError:
    """Return an answer that refuses as an error."""
    if status == UNAUTHORIZED:
        ended = str(problem.get("detail", "")).startswith("this key is")  # and not: none was shown, or a wrong one
        asks = "the service asks for its key: set MAILCORE_ADMIN_KEY, or give --key"
        return RefusedError(str(problem["detail"]) if ended else asks, status)
    whole = problem_of(str(problem.get("detail") or problem.get("title")), str(problem.get("code", "")))
    problems: list[Json] = problem.get("errors") or [whole]
    text = "\n".join(said_of(one) for one in problems)
    return RefusedError(text, status, problems=problems, retryable=bool(problem.get("retryable")))


def said_of(problem: Json) -> str:
    """Return a problem in one line: where it is, if it is about a part, and what is wrong.

    A parameter of a query is the option that it came from.
    """
    kind, colon, name = str(problem.get("pointer") or "").partition("query:")
    where = f"--{name.replace('_', '-')}" if colon and not kind else kind
    return ": ".join(filter(None, (where, str(problem.get("detail") or ""))))


def unreachable(url: str, error: httpx.TransportError) -> UnreachableError:
    """Return what to say when nobody answers."""
    return UnreachableError(
        f"no mailcore answers at {url} ({type(error).__name__}): start it by `mailcore up`, or name another by --url"
    )
