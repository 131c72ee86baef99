"""Builders and stand-ins that tests of several packages share. Open nothing."""
