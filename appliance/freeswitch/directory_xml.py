"""Dial by name: a caller spells the beginning of a name and chooses among those who are found. A context for each language. Pure.

Each beginning is one extension that plays whom it finds and takes one key. What a caller pressed is only ever digits that an
expression has let through.
"""

from collections.abc import Iterator

from appliance.freeswitch import flow_xml
from appliance.freeswitch.applications import MediaPlan
from appliance.freeswitch.directory_keys import KEYS_MAX, KEYS_MIN, Person, found
from appliance.freeswitch.flow_parts_xml import QUIET, asked, forgiven, nothing_but_end
from appliance.freeswitch.flow_xml import Prompts
from appliance.freeswitch.quoting import word
from appliance.freeswitch.voicemail_login_xml import number_extension
from appliance.freeswitch.xml import Element, action, element

SHOWN_MAX = 8
"""People read out for one beginning: nobody remembers more."""

SPOKEN_NAMES_MAX = 100
"""People whose names are synthesised, a quarter of a second each when a version is laid down; of more, numbers are said."""

TRIES = 3
RING_S = 30
FIRST_KEY_MS = 8_000
NEXT_KEY_MS = 3_000
CHOICE_MS = 4_000

ASKED, CHOICE, ROUND = "ky_dir_keys", "ky_dir_choice", "ky_dir_round"

SPELL: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("spell", ()),
    ("nobody", ("dir_nobody",)),
    ("unanswered", ("dir_unanswered",)),
)
"""Extensions that ask for a name, and what is said before."""

PROMPTS = frozenset({"dir_spell", "dir_nobody", "dir_press", "dir_unanswered", "goodbye"}) | {
    f"number_{digit}" for digit in range(10)
}
"""All that a directory may say, people's names apart."""


def name_prompt(number: str) -> str:
    """Id of the prompt that says a person's name."""
    return f"name-{number}"


def context_name(language: str) -> str:
    """The dialplan context in a language."""
    return f"directory-{language}"


def entry(language: str) -> tuple[Element, ...]:
    """Actions that bring a call into the directory."""
    return (
        action("answer"),
        action("sleep", "300"),
        action("transfer", f"spell XML {context_name(language)}"),
    )


def contexts(plan: MediaPlan, prompts: Prompts) -> list[Element]:
    """A context for each language in which the site has a directory."""
    return [
        element("context", *_extensions(plan, prompts, language), name=context_name(language))
        for language in plan.directory_languages
    ]


def _extensions(plan: MediaPlan, prompts: Prompts, language: str) -> Iterator[Element]:
    here = context_name(language)
    shown = found(plan.people, SHOWN_MAX)
    for name, before in SPELL:
        yield from _spell(prompts, language, name, before)
    for keys, people in shown.items():
        yield number_extension(
            f"find-{keys}",
            *_choice(prompts, language, people, f"find-{keys}"),
            action("transfer", f"chosen XML {here}"),
        )
    yield number_extension("find-", *forgiven(here), when=nothing_but_end(ASKED))
    yield number_extension("find-[0-9]*", _one_more(), action("transfer", f"nobody XML {here}"))
    for index in range(1, SHOWN_MAX + 1):
        number = f"${{ky_dir_{index}}}"
        yield number_extension(
            "chosen",
            *flow_xml.call(number, RING_S),
            _one_more(),
            action("transfer", f"unanswered XML {here}"),
            when=(f"${{{CHOICE}}}", f"^{index}$"),
        )
    yield number_extension("chosen", *forgiven(here), when=nothing_but_end(CHOICE))
    yield number_extension("chosen", _one_more(), action("transfer", f"spell XML {here}"))


def _spell(prompts: Prompts, language: str, name: str, before: tuple[str, ...]) -> Iterator[Element]:
    """The question for a name, and its end after too many. before: what is said with it, as one audio: people type ahead."""
    here = context_name(language)

    def said(last: str) -> str:
        return "file_string://" + "!".join(word(prompts[one, language]) for one in (*before, last))

    question = (
        f"{KEYS_MIN} {KEYS_MAX} 1 {FIRST_KEY_MS} # {said('dir_spell')} {QUIET} {ASKED} "
        f"^[0-9]{{{KEYS_MIN},{KEYS_MAX}}}$ {NEXT_KEY_MS}"
    )
    yield number_extension(
        name,
        *asked(name, ASKED, question),
        action("transfer", f"find-${{{ASKED}}} XML {here}"),
        when=(f"${{{ROUND}}}", f"^x{{0,{TRIES - 1}}}$"),
    )
    yield number_extension(name, action("playback", said("goodbye")), *flow_xml.goodbye())


def _one_more() -> Element:
    """Count a name that led nowhere."""
    return action("set", f"{ROUND}=${{{ROUND}}}x")


def _choice(prompts: Prompts, language: str, people: tuple[Person, ...], name: str) -> Iterator[Element]:
    """Who is found, each under a number. name: of the extension that asks."""
    said: list[str] = []
    for index, person in enumerate(people, 1):
        yield action("set", f"ky_dir_{index}={word(person.number)}")
        named = prompts.get((name_prompt(person.number), language))
        spelt = [word(prompts[f"number_{digit}", language]) for digit in person.number]
        said += [word(named)] if named else spelt
        said += [word(prompts["dir_press", language]), word(prompts[f"number_{index}", language])]
    question = (
        f"1 1 1 {CHOICE_MS} # file_string://{'!'.join(said)} {QUIET} {CHOICE} "
        f"^[1-{len(people)}]$ {NEXT_KEY_MS}"
    )
    yield from asked(name, CHOICE, question)
