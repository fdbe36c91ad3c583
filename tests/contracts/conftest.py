"""The suites in mailcore.testing.contracts are tests: pytest shows what their assertions compared."""

import pytest

pytest.register_assert_rewrite("mailcore.testing.contracts")
