"""Which audio file says what: prompts of the box and of the site, by language. Pure.

A file is named by what is said, so that the same text is synthesised once and a changed one never plays the old words.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePath

from appliance.freeswitch.applications import MediaPlan, Prompt
from appliance.freeswitch.prompt_catalogue import BUILT_IN
from appliance.freeswitch.spoken_pieces import PIECES, PREFIX

LANGUAGES = ("en", "ja")

VOICE_EDITION = 1
"""Part of every file's name: grows when a synthesiser's settings change, so that all prompts are made anew."""


OWN = "own"
"""Folder of recordings, below that of prompts."""


def own_file(sha256: str) -> str:
    """Name of a recording below the folder of prompts."""
    return f"{OWN}/{sha256}.wav"


@dataclass(frozen=True, slots=True)
class Spoken:
    """One text in one language. file: name of its audio below the folder of prompts. piece: it is said within a sentence,
    so hardly any silence is around it. audio: SHA-256 of a recording, of which no text has to be made."""

    prompt: str
    language: str
    text: str
    piece: bool = False
    audio: str = ""

    @property
    def file(self) -> str:
        """ "ja/0123456789abcdef.wav"."""
        if self.audio:
            return own_file(self.audio)
        said = f"{VOICE_EDITION}\0{self.language}\0{self.text}" + ("\0piece" if self.piece else "")
        return f"{self.language}/{hashlib.sha256(said.encode()).hexdigest()[:16]}.wav"


def catalogue(own: Iterable[Prompt]) -> tuple[Spoken, ...]:
    """Everything that can be said at a site: its own prompts before those of every box with the same id and language."""
    said: dict[tuple[str, str], Spoken] = {}
    for prompt in (*BUILT_IN, *own):
        said |= {(prompt.id, language): Spoken(prompt.id, language, text) for language, text in prompt.texts}
        said |= {
            (prompt.id, language): Spoken(prompt.id, language, "", audio=sha256)
            for language, sha256 in prompt.audio
        }
    return tuple(one for _, one in sorted(said.items()))


def pieces(language: str) -> tuple[Spoken, ...]:
    """What numbers, dates and times are said with."""
    found = PIECES[language].items()
    return tuple(Spoken(PREFIX + name, language, piece.text, piece=True) for name, piece in found)


def languages(spoken: Iterable[Spoken]) -> Mapping[str, frozenset[str]]:
    """Prompt id -> languages that it can be heard in."""
    found: dict[str, set[str]] = {}
    for one in spoken:
        found.setdefault(one.prompt, set()).add(one.language)
    return {name: frozenset(spoken_in) for name, spoken_in in found.items()}


def paths(plan: MediaPlan, folder: PurePath) -> dict[tuple[str, str], str]:
    """(prompt, language) -> path of its audio below `folder`, for all that the site's applications may say."""
    return {(one.prompt, one.language): str(folder / one.file) for one in catalogue(plan.prompts)}


def file_of(plan: MediaPlan, prompt: str, language: str) -> str:
    """Name of a prompt's audio below the folder of prompts; "" where the site has no such prompt."""
    found = (one.file for one in catalogue(plan.prompts) if (one.prompt, one.language) == (prompt, language))
    return next(found, "")


GENERAL = frozenset(
    {"enter_code", "wrong_code", "code_locked", "set_open", "set_closed", "set_automatic", "no_such_number"}
)
"""Said by applications of the box's own, whatever the site's flows name."""
