"""The errors that the centre answers with: a stable key, an HTTP status, one line and a hint."""

from appliance.errors import KyusaiError


class Refused(KyusaiError):
    """A request that the centre does not do. `status` is the HTTP status; `headers` go with the answer."""

    def __init__(
        self,
        status: int,
        key: str,
        message: str,
        hint: str = "",
        *,
        headers: dict[str, str] | None = None,
        **values: object,
    ) -> None:
        super().__init__(key, message, hint, **values)
        self.status = status
        self.headers = headers or {}


class NotFound(KyusaiError):
    """An administrator named something that the store does not hold."""
