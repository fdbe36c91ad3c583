"""What all tests may ask for: real servers, started when the first test needs them."""

import pytest

# The suites in mailcore.testing.contracts are tests: pytest shows what their assertions compared.
# It must be told before anything imports them, and other tests take their examples.
pytest.register_assert_rewrite("mailcore.testing.contracts")

pytest_plugins = ["tests.servers.fixtures"]
