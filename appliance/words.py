"""Forms of the words in configuration: ids, numbers, names. Pure tests, each true or false."""

import re

ID_MAX_CHARS = 63
"""An id may become a host name's label (RFC 1035 section 2.3.4), a folder and a metric's label."""

_ID = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)


def is_id(value: str) -> bool:
    """Lower-case letters, digits and inner hyphens, 1 to 63."""
    return _ID.fullmatch(value) is not None
