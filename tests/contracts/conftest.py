"""On production's event loop, as the adapters' tests; and a broker that mailcore does not ship only if it is asked for."""

import os

from tests.adapters.conftest import pytest_asyncio_loop_factories as pytest_asyncio_loop_factories

collect_ignore = [] if "MAILCORE_TEST_AMQP" in os.environ else ["test_rabbitmq.py"]
