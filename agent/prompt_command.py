"""`kyusai prompt`: makes a box's prompts before they are needed, as when an image is built, and shows how far it is."""

import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from agent.command import FAILED, LANG, BoxFile, own_box, told
from appliance.errors import KyusaiError
from appliance.layout import Layout
from appliance.text import text

if TYPE_CHECKING:
    from appliance.freeswitch.prompt_texts import Spoken

app = typer.Typer(no_args_is_help=True, help=text("agent.help.prompt", LANG))


@app.callback()
def root() -> None:
    """Keeps `make` a word of its own."""


@app.command(help=text("agent.help.prompt.make", LANG))
def make(
    box: BoxFile = None,
    language: Annotated[
        Literal["en", "ja", "all"], typer.Option(help=text("agent.help.prompt.language", LANG))
    ] = "all",
) -> None:
    """Exit code 1 when some could not be made. Interrupted, it goes on where it stopped."""
    from appliance import site
    from appliance.freeswitch import prompt_texts, prompts_used, speech

    with told():
        layout = Layout.of(own_box(box))
        languages = prompt_texts.LANGUAGES if language == "all" else (language,)
        spoken = [one for one in prompt_texts.catalogue(()) if one.language in languages]
        spoken += [piece for one in languages for piece in prompt_texts.pieces(one)]
        with suppress(OSError, KyusaiError):
            spoken += prompts_used.of(site.loads((layout.current / "document.json").read_bytes()).media)
    spoken = [one for one in dict.fromkeys(spoken) if not one.audio]
    missing = speech.missing(spoken, layout.prompts_dir)
    failed = _make(missing, layout)
    typer.echo(
        text("agent.prompt.made", LANG, made=len(missing) - len(failed), there=len(spoken) - len(missing))
    )
    for reason in failed:
        typer.echo(reason, err=True)
    if failed:
        raise typer.Exit(FAILED)


def _make(missing: Sequence["Spoken"], layout: Layout) -> list[str]:
    from rich.console import Console
    from rich.progress import Progress

    from appliance.freeswitch import speak

    failed: list[str] = []
    with (
        Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress,
        subprocess.Popen(
            speak.command(layout.prompts_dir),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as process,
    ):
        task = progress.add_task(text("agent.prompt.making", LANG), total=len(missing))
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("pipes were asked for")
        process.stdin.write(speak.words(missing))
        process.stdin.close()
        done = 0
        for line in process.stdout:
            done += 1
            progress.advance(task)
            failed += filter(None, [speak.told(line)])
    return failed + [f"{one.prompt}/{one.language}" for one in missing[done:]]
