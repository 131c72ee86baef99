"""The one way by which text becomes part of a FreeSWITCH command or of an application's arguments. Pure.

FreeSWITCH expands "${...}" in the arguments of every application, and again in what came out of it
(`switch_channel_expand_variables_check`, switch_channel.c); splits arguments at spaces, commas, "|" and "^^"; and ends
a command of the event socket at a line feed. There is no escape that all of these honour, so a text is made of
characters that mean nothing to any of them: what is meant for machines is checked (`word`), what people wrote is
changed into look-alikes (`shown`), and neither can be forgotten half way.
"""

import re

from appliance.errors import KyusaiError

WORD_CHARS_MAX = 256
"""Longest single argument: a path; longer is a mistake."""

SHOWN_CHARS_MAX = 128
"""Of a text that people read."""

_WORD = re.compile(r"[A-Za-z0-9_./:@=+*#~-]+", re.ASCII)

_LOOKALIKES = str.maketrans(
    {
        "$": "＄",
        "{": "（",
        "}": "）",
        "[": "（",
        "]": "）",
        "<": "＜",
        ">": "＞",
        "'": "’",
        '"': "”",
        "\\": "＼",
        "%": "％",
        "&": "＆",
        "|": "｜",
        "^": "＾",
        ",": "，",
        ";": "；",
        "!": "！",
        "`": "‘",
        "=": "＝",
    }
)
"""Characters that FreeSWITCH or a shell gives a meaning, and what stands for them before people's eyes."""


def word(value: str) -> str:
    """`value` as one argument, unchanged. Raises `KyusaiError` "freeswitch.argument" when it holds anything but letters,
    digits and `_ . / : @ = + * # ~ -`."""
    if len(value) > WORD_CHARS_MAX or not _WORD.fullmatch(value):
        raise KyusaiError(
            "freeswitch.argument",
            f"{ascii(value)[:60]} cannot be part of a FreeSWITCH command: 1 to {WORD_CHARS_MAX} letters, digits and "
            "_ . / : @ = + * # ~ - are allowed",
            "Numbers, ids, call ids and paths hold no other characters.",
            value=ascii(value)[:60],
            most=WORD_CHARS_MAX,
        )
    return value


def shown(value: str) -> str:
    """`value` for people to read, as part of one argument: what has a meaning becomes a look-alike, control characters go."""
    printable = "".join(character for character in value if character.isprintable())
    return printable.translate(_LOOKALIKES)[:SHOWN_CHARS_MAX]


def command(name: str, *arguments: str) -> str:
    """An API command. name, arguments: each a `word`, joined by single spaces."""
    return " ".join((word(name), *map(word, arguments)))
