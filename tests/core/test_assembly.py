"""How an engine is put together, by entry points and by hand."""

from pathlib import Path

import pytest
from tests.dst import plugged
from tests.dst.given import World, message
from tests.dst.virtual import LoopClock, virtually

import mailcore
from mailcore.assembly import Assembled, Tuning, assembled
from mailcore.discovery import configured, found
from mailcore.engine import Pace
from mailcore.errors import SettingsError, StoreUnavailableError
from mailcore.lifecycle import Status
from mailcore.ports import Configured
from mailcore.testing import ScriptedProvider

FAKE = {"kind": "fake", "api_key": "right"}


@pytest.fixture(autouse=True)
def _plugged_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Offer fakes under the groups in which the core looks for adapters; their `default` system comes first."""
    plugged.plug_in(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    plugged.OPENED.clear()


@virtually
async def test_a_program_sends_with_three_lines() -> None:
    """`open` finds the parts, runs the engine, and closes everything in the end."""
    async with mailcore.open("fake:", providers=[FAKE], queue="fake:", default_from="Shop <a@shop.example>") as mail:
        added = await mail.submit(message(from_=None))
        settled = await mail.wait(added.email.id)

    assert settled.status is Status.SENT
    assert [one.closed for one in plugged.OPENED] == [1, 1, 1]


@virtually
async def test_a_store_with_a_clock_is_reached_before_anything_begins() -> None:
    """Its server's time is everybody's: without it nothing could be accepted or claimed."""
    async with mailcore.open("clocked:", providers=[FAKE], queue="fake:") as mail:
        (store,) = (one for one in plugged.OPENED if isinstance(one, plugged.ClockedStore))
        reached = store.reached

    assert reached == 1
    assert mail.ports.clock is store.clock


@virtually
async def test_a_queue_between_processes_wakes_the_engine_while_the_program_runs() -> None:
    """Its wake-ups are handed to the engine, which has slots for them, until the context is left."""
    async with mailcore.open("fake:", providers=[FAKE], queue="waking:") as mail:
        added = await mail.submit(message())
        settled = await mail.wait(added.email.id)

    assert settled.settled_at == settled.created_at
    (queue,) = (one for one in plugged.OPENED if isinstance(one, plugged.WakingQueue))
    assert not hasattr(queue, "admit")


@virtually
async def test_a_program_may_only_submit() -> None:
    """With `run="submit"` sending is left to workers elsewhere."""
    async with mailcore.open("fake:", providers=[FAKE], queue="fake:", run="submit") as mail:
        added = await mail.submit(message())
        waited = await mail.wait(added.email.id, timeout=60)

    assert waited.status is Status.QUEUED


@virtually
async def test_what_was_opened_is_closed_when_a_later_part_is_wrong() -> None:
    """A wrong setting leaves no store, queue or provider open."""
    with pytest.raises(SettingsError, match="api_key"):
        async with mailcore.open("fake:", providers=[FAKE, {"kind": "fake", "name": "b"}], queue="fake:"):
            pass

    assert [one.closed for one in plugged.OPENED] == [1, 1, 1]


@virtually
async def test_an_error_inside_closes_everything_too() -> None:
    """A program that fails leaves nothing open."""
    with pytest.raises(StoreUnavailableError):
        async with mailcore.open("fake:", providers=[FAKE], queue="fake:"):
            raise StoreUnavailableError("x")

    assert [one.closed for one in plugged.OPENED] == [1, 1, 1]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"store": "nosuch:"}, "no stores entry is called 'nosuch'; there are: clocked, fake, missing,"),
        ({"store": "missing:"}, "pip install 'mailcore-engine.missing.'"),
        ({"store": "unhealthy:"}, "can share the providers' health"),
        ({"queue": "nosuch:"}, "no queues entry"),
        ({"providers": [{"kind": "nosuch", "name": "x"}]}, "^providers.x.kind: no providers entry"),
        ({"providers": [{"kind": "fake", "api_key": "wrong"}]}, "api_key"),
        ({"providers": [{**FAKE, "weight": 0}]}, "provider 'fake'.*weight"),
        ({"providers": [{**FAKE, "name": "x", "max_per_second": "fast"}]}, "provider 'x'.*max_per_second"),
        ({"providers": [FAKE, FAKE]}, "two providers are called 'fake'"),
        ({"default_from": "nobody"}, "default_from"),
    ],
)
def test_a_wrong_setting_is_named(changes: dict[str, object], said: str) -> None:
    """Each error names the setting and what to do about it."""

    @virtually
    async def scenario() -> None:
        with pytest.raises(SettingsError, match=said):
            async with mailcore.open(**{"store": "fake:", "queue": "fake:", "providers": [FAKE], **changes}):
                pass

    scenario()


def test_ready_providers_are_taken_as_they_are() -> None:
    """A Configured is not made again."""
    ready = Configured(provider=ScriptedProvider("p1"))

    assert configured(ready, LoopClock()) is ready


def test_a_providers_share_is_read_from_its_settings() -> None:
    """`weight` and `max_per_second` are ours, the rest is the provider's."""
    made = configured({**FAKE, "name": "eu", "weight": 80, "max_per_second": 2.5}, LoopClock())

    assert (made.provider.name, made.weight, made.max_per_second) == ("eu", 80, 2.5)


def test_what_is_offered_is_loaded() -> None:
    """Entry points name the parts."""
    assert found("mailcore.stores", "fake") is plugged.open_store


def test_mailer_and_engine_share_their_parts() -> None:
    """Both see the same providers, and the slots are the engine's."""
    ports = World((ScriptedProvider("p1"),)).ports

    made = assembled(ports, Tuning(pace=Pace(slots=7)))

    assert isinstance(made, Assembled)
    assert made.mailer.roster is made.engine.courier.roster
    assert (made.mailer.roster.slots, made.engine.free) == (7, 7)


def test_a_queue_of_this_process_is_connected() -> None:
    """A queue that delivers here hands its wake-ups to the engine."""
    queue = plugged.ConnectedQueue()

    made = World((ScriptedProvider("p1"),), queue=queue)

    assert queue.offer == made.engine.offer
