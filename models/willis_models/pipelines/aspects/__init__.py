"""ASPECTS from non-contrast CT: regions, the state of each with its evidence, the score."""

from __future__ import annotations
