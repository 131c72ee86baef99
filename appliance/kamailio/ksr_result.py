"""How to read what a KSR function returns. Pure.

A function that succeeds or counts answers 1 or -1, both true in Python; a wrong argument is answered with False instead of an
error (app_python3 5.6.3, `sr_kemi_exec_func`).
"""

from typing import Any


class KsrMisuse(Exception):
    """KSR was called in a way that it does not know: a bug of ours, never the sender's."""


def number(result: Any, what: str) -> int:
    """The int that a KSR function gave. Raises `KsrMisuse` for False and all else."""
    if type(result) is not int:  # True and False are of another type
        raise KsrMisuse(f"KSR.{what} gave {result!r}: wrong name or argument")
    return result


def yes(result: Any, what: str) -> bool:
    """Whether a KSR function said yes. Raises `KsrMisuse` like `number`."""
    if type(result) is not int:
        raise KsrMisuse(f"KSR.{what} gave {result!r}: wrong name or argument")
    return result > 0
