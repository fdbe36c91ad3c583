"""An outbox for your program's tests, and fakes of every port that pass the same contracts as the real adapters.

The contract suites for an adapter of your own are in `mailcore.testing.contracts` (they need pytest).
"""

from mailcore.testing.manual_clock import ManualClock, draws, ids
from mailcore.testing.memory_health import MemoryHealth
from mailcore.testing.memory_queue import MemoryQueue
from mailcore.testing.memory_store import MemoryStore
from mailcore.testing.outbox import Outbox
from mailcore.testing.scripted_provider import ScriptedProvider

__all__ = ["ManualClock", "MemoryHealth", "MemoryQueue", "MemoryStore", "Outbox", "ScriptedProvider", "draws", "ids"]
