"""The judges of `tests/support` explain a failed assert as tests do."""

import pytest

pytest.register_assert_rewrite("kerasbn_testing.judging")
