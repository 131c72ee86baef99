"""Tells a run on the terminal as it happens, and draws it as a timeline at the end. Knows nothing of telephony."""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from appliance.text import Catalogue, Lang


@dataclass
class Step:
    """One step of the run. detail: what was seen, one line; seconds: how long it took."""

    name: str
    ok: bool = False
    seconds: float = 0.0
    detail: str = ""

    def check(self, holds: bool, detail: str) -> None:
        """Says what was seen; raises StepFailed when it is not what the step promises."""
        self.detail = detail
        if not holds:
            raise StepFailed(detail)


class StepFailed(Exception):
    """A step saw something other than what it promises."""


@dataclass(frozen=True)
class Span:
    """A bar of the timeline, in seconds since the story began. mark: an instant rather than a duration."""

    row: str
    label: str
    start_s: float
    end_s: float
    style: str


@dataclass
class Story:
    """One run. now is monotonic, in seconds."""

    console: Console
    texts: Catalogue
    lang: Lang
    began_s: float = field(default_factory=time.monotonic)
    steps: list[Step] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)

    def say(self, key: str, **values: object) -> str:
        """The text of `key` in the story's language."""
        return self.texts.text(key, self.lang, **values)

    @property
    def ok(self) -> bool:
        """True while every step held."""
        return all(step.ok for step in self.steps)

    @contextlib.contextmanager
    def step(self, name: str, **values: object) -> Iterator[Step]:
        """Runs one step: shows that it is under way, then how it went. A failure is told and the run goes on, so
        that one look shows all that is wrong; what is no failure of the step (a cancelled run) passes."""
        step = Step(name)
        self.steps.append(step)
        title = self.say(f"step.{name}", **values)
        began_s = time.monotonic()
        try:
            with self.console.status(title):
                yield step
            step.ok = True
        except Exception as error:
            step.detail = step.detail if isinstance(error, StepFailed) else f"{type(error).__name__}: {error}"
        finally:
            step.seconds = round(time.monotonic() - began_s, 3)
            mark, style = ("✓", "green") if step.ok else ("✗", "bold red")
            line = Text.assemble((f" {mark} ", style), f"{title} ", (f"{step.seconds:.1f} s", "dim"))
            self.console.print(line)
            if step.detail:
                self.console.print(Text(f"     {step.detail}", style="dim" if step.ok else "red"))

    def span(self, row: str, label: str, start_s: float, end_s: float, style: str = "green") -> None:
        """Adds a bar to the timeline; times are `time.monotonic` seconds."""
        self.spans.append(Span(row, label, start_s - self.began_s, end_s - self.began_s, style))

    def timeline(self) -> None:
        """Draws all bars to one scale, a row for each name in order of first mention."""
        if not self.spans:
            return
        end_s = max(span.end_s for span in self.spans)
        rows = list(dict.fromkeys(span.row for span in self.spans))
        width = max(30, self.console.width - max(Text(row).cell_len for row in rows) - 8)
        table = Table(title=self.say("timeline.title"), title_justify="left", box=None, padding=(0, 1))
        table.add_column("")
        table.add_column(_scale(end_s, width), no_wrap=True)
        for row in rows:
            table.add_row(row, _bars([span for span in self.spans if span.row == row], end_s, width))
        self.console.print()
        self.console.print(table)

    def as_json(self) -> list[dict[str, Any]]:
        """The steps in the shape that `--json` promises."""
        return [vars(step) for step in self.steps]


def _scale(end_s: float, width: int) -> Text:
    every_s = next((step for step in (5, 10, 20, 30, 60, 120) if end_s / step <= 8), 300)
    line = [" "] * width
    for second in range(0, int(end_s) + 1, every_s):
        at = int(second / end_s * (width - 1)) if end_s else 0
        for offset, letter in enumerate(f"{second}s"):
            if at + offset < width:
                line[at + offset] = letter
    return Text("".join(line), style="dim")


def _bars(spans: list[Span], end_s: float, width: int) -> Text:
    bar = Text()
    column = 0
    for span in sorted(spans, key=lambda s: s.start_s):
        left = max(column, int(span.start_s / end_s * (width - 1)))
        right = max(left + 1, int(span.end_s / end_s * (width - 1)) + 1)
        bar.append(" " * (left - column))
        label = Text(span.label)
        label.truncate(right - left, overflow="crop")
        bar.append(label.plain + "━" * (right - left - label.cell_len), style=span.style)
        column = right
    return bar
