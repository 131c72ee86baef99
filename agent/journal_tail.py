"""ADAPTER. Follows the call journal from its present end, for what real calls say of the upstreams. Read-only.

It keeps no cursor on disk: what calls met with before the agent started says nothing of the line now. Blocks on disk.
"""

from pathlib import Path

from agent.call_evidence import CallEvidence
from agent.evidence import Sighting
from agent.journal_reader import Cursor, read_page
from appliance.kamailio.journal_mark import read_mark


class JournalTail:
    """Sightings of the journal's new rows. Not thread-safe."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._cursor: Cursor | None = None
        self._evidence = CallEvidence()

    def sightings(self) -> list[tuple[str, Sighting]]:
        """(upstream id, sighting) since the last look; the first look finds nothing. Raises `JournalUnreadable`."""
        if self._cursor is None:
            self._cursor = self._end()
            return []
        page = read_page(self._path, self._cursor)
        self._cursor = page.cursor
        found = (self._evidence.take(event) for event in page.events)
        return [one for one in found if one is not None]

    def _end(self) -> Cursor:
        """The journal's end, from the mark on up to which the records are safe."""
        cursor = Cursor(read_mark(self._path))
        while True:
            page = read_page(self._path, cursor)
            cursor = page.cursor
            if not page.more:
                return cursor
