"""Which simulated studies of the test heads have been seen; a study is its head and a number."""

from __future__ import annotations

FIRST_TEST_NUMBER = 8300
"""The first study of the next judgement. Numbers from 7000 on are for judging only; 8000 to
8219 judged version 0.1.0, and whatever is chosen by them needs new ones."""
LOOKED_AT = "7000 to 7019"
"""Studies of the test heads that somebody saw while version 0.1.0 was made."""
