"""How often something may happen that anybody can bring about: a few at once, then so many a minute. Pure."""

from dataclasses import dataclass, field

MINUTE_MS = 60_000


@dataclass(slots=True)
class Allowance:
    """A bucket of `burst` turns that gains `per_minute`, up to `burst` again."""

    burst: int
    per_minute: int
    _left_ms: float = field(init=False)
    _seen_ms: int | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._left_ms = self.burst * self._turn_ms

    @property
    def _turn_ms(self) -> float:
        return MINUTE_MS / self.per_minute

    def take(self, now_ms: int) -> bool:
        """Use one turn. now_ms: monotonic. False: none is left."""
        gained_ms = max(now_ms - self._seen_ms, 0) if self._seen_ms is not None else 0
        self._seen_ms = now_ms
        self._left_ms = min(self._left_ms + gained_ms, self.burst * self._turn_ms)
        if self._left_ms < self._turn_ms:
            return False
        self._left_ms -= self._turn_ms
        return True
