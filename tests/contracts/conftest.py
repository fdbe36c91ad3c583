"""As the adapters' tests, on production's event loop; a broker that mailcore does not ship only if it is asked for."""

import os

from tests.adapters import conftest

pytest_asyncio_loop_factories = conftest.pytest_asyncio_loop_factories

collect_ignore = [] if "MAILCORE_TEST_AMQP" in os.environ else ["test_rabbitmq.py"]
