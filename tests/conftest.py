"""What all tests may ask for: real servers, started when the first test needs them."""

pytest_plugins = ["tests.servers.fixtures"]
