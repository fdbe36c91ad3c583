"""What is not run unless it is asked for: a broker that mailcore does not ship."""

import os

collect_ignore = [] if "MAILCORE_TEST_AMQP" in os.environ else ["test_rabbitmq.py"]
