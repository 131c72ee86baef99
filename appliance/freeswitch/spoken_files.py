"""Under which names FreeSWITCH finds the pieces of `spoken_pieces`: by our macros, and by its own modules for dates. Pure.

A moment in seconds since 1970 can be split by FreeSWITCH's say modules alone, so these get folders in which every file that
they ask for says what is right in its place. `mod_say_ja` builds a year and minutes of the same digits: its folder for days
is silent where the year would be said, its folder for the clock has the digits of minutes. Read from mod_say_en.c and
mod_say_ja.c of 1.10.12 and 1.11.2.
"""

from appliance.freeswitch.spoken_pieces import PIECES

FOLDER = "say"
"""Below the folder of prompts."""

SILENCE = ""
"""In place of a piece: nothing is said."""

ENGLISH_WHEN, JAPANESE_DAY, JAPANESE_CLOCK = "en-when", "ja-day", "ja-clock"
"""Folders of the say modules, below `FOLDER`."""


def names() -> dict[str, tuple[str, str]]:
    """Path below `FOLDER` -> (language, piece) that lies there; the piece may be `SILENCE`."""
    own = {
        f"{language}/{piece}.wav": (language, piece)
        for language, pieces in PIECES.items()
        for piece in pieces
    }
    english = {f"{ENGLISH_WHEN}/{name}.wav": ("en", piece) for name, piece in _english().items()}
    day = {f"{JAPANESE_DAY}/{name}.wav": ("ja", piece) for name, piece in _japanese_day().items()}
    clock = {f"{JAPANESE_CLOCK}/{name}.wav": ("ja", piece) for name, piece in _japanese_clock().items()}
    return own | english | day | clock


def _english() -> dict[str, str]:
    found = {f"digits/{number}": f"unit_{number}" for number in range(20)}
    found |= {f"digits/{tens}0": f"ten_{tens}" for tens in range(2, 10)}
    found |= {f"digits/h-{number}": f"ordinal_{number}" for number in (*range(1, 21), 30)}
    found |= {f"digits/{word}": word for word in ("hundred", "thousand", "million")}
    found |= {f"time/day-{number}": f"weekday_{number}" for number in range(7)}
    found |= {f"time/mon-{number}": f"month_{number + 1}" for number in range(12)}
    found |= {f"time/{word}": word for word in ("at", "today", "yesterday", "oh", "oclock")}
    return found | {"time/a-m": "am", "time/p-m": "pm"}


def _japanese_day() -> dict[str, str]:
    year = ("0", *map(str, range(1, 11)), "100", "300", "600", "800", "1000", "1000s", "3000", "10000")
    found = {f"digits/{name}": SILENCE for name in year} | {"time/year": SILENCE}
    found |= {f"time/month-{number}": f"month_{number + 1}" for number in range(12)}
    return found | {f"time/day-{number}": f"day_{number}" for number in range(1, 32)}


def _japanese_clock() -> dict[str, str]:
    found = {f"digits/{number}": f"unit_{number}" for number in range(1, 10)} | {"digits/10": "ten_1"}
    found |= {f"time/hour-{hour}": f"hour_{hour % 12}" for hour in range(24)}
    found |= {f"time/min-{minute}": f"minute_{minute}" for minute in (1, 3, 4, 6, 8, 10)}
    return found | {"time/minute": "minute", "time/oclock": SILENCE, "time/am": "am", "time/pm": "pm"}
