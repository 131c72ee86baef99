"""A telephone without a stack of its own: what it says begins and ends at known moments, in a codec that may change.

Signalling by `sipua`, audio by `rtp`. It answers whatever comes in, one call at a time, and does as it is told by re-INVITEs:
held, it is silent.
"""

from collections.abc import Sequence

from tests.lab import g711, sipmsg
from tests.lab.rtp import Stream
from tests.lab.sipcall import Dialog, Incoming
from tests.lab.sipua import Ua

HELD = ("a=sendonly", "a=inactive")


class Talker:
    """``async with`` opens it; then register, call or be called."""

    def __init__(
        self,
        number: str,
        address: str,
        server: tuple[str, int],
        *,
        password: str,
        domain: str,
        tone_hz: int,
        payloads: Sequence[int] = (g711.PCMU,),
        behind: str = "",
    ) -> None:
        """``payloads``: what it can speak, and offers at first, best first. ``behind``: the address that it believes it
        has, behind a NAT that nobody told it of."""
        self.number, self.tone_hz = number, tone_hz
        self.call_id = ""
        self.dialog: Dialog | None = None
        self.stream: Stream | None = None
        self.ended = False
        self._known = self._offered = list(payloads)
        self._address = address
        self.ua = Ua(
            number,
            address,
            server,
            password=password,
            domain=domain,
            advertise=behind,
            on_request=self._request,
        )

    async def __aenter__(self) -> "Talker":
        """Open its socket."""
        await self.ua.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close everything."""
        if self.stream is not None:
            self.stream.stop()
        await self.ua.__aexit__()

    async def register(self) -> None:
        """Register. Raises ``RuntimeError`` when that is refused."""
        answer = await self.ua.register()
        if answer.code != 200:
            raise RuntimeError(f"{self.number} is not registered: {answer.code}")

    async def call(self, number: str) -> None:
        """Call and be answered. Raises ``RuntimeError`` when the call is refused."""
        self._begin()
        placed = await self.ua.invite(f"sip:{number}@{self.ua.domain}", body=self._sdp("sendrecv"))
        final = await placed.wait(200, 10)
        if final.code != 200:
            raise RuntimeError(f"{self.number} calls {number}: {final.code}")
        self.call_id, self.dialog = final.get("call-id"), self.ua.dialog(placed)
        self._speak(final.body)

    async def change(self, *payloads: int, direction: str = "sendrecv") -> None:
        """Re-INVITE: other codecs (none named: the same), hold (``sendonly``, ``inactive``) and back."""
        assert self.dialog is not None
        self._offered = list(payloads) or self._offered
        kind = [("Content-Type", "application/sdp"), ("Contact", f"<{self.ua.contact}>")]
        asked = self.ua.start(
            "INVITE", self.dialog.target, dialog=self.dialog, headers=kind, body=self._sdp(direction)
        )
        final = await asked.wait(200, 5)
        if final.code != 200:
            raise RuntimeError(f"{self.number}: re-INVITE {final.code}")
        self._speak(final.body, silent=direction != "sendrecv")

    async def hangup(self) -> None:
        """BYE."""
        assert self.dialog is not None
        self._stop()
        await self.ua.bye(self.dialog)

    def _request(self, incoming: Incoming) -> None:
        request = incoming.request
        if request.method == "INVITE":
            if not sipmsg.tag_of(request.get("to")):
                self._begin()
                self.call_id = request.get("call-id")
                self.dialog = incoming.dialog()
            held = any(word in request.body for word in HELD)
            incoming.reply(200, "OK", body=self._sdp("recvonly" if held else "sendrecv", request.body))
            self._speak(request.body, silent=held)
        elif request.method == "BYE":
            incoming.reply(200, "OK")
            self._stop()
        else:
            incoming.reply(200, "OK")

    def _begin(self) -> None:
        self.ended = False
        if self.stream is not None:
            self.stream.stop()
        self.stream = Stream(self._address, self.tone_hz)

    def _stop(self) -> None:
        self.ended = True
        if self.stream is not None:
            self.stream.speaking = False

    def _speak(self, body: str, *, silent: bool = False) -> None:
        media = sipmsg.media_of(body)
        assert self.stream is not None
        if media is not None:
            address, port, payloads = media
            self.stream.speaking = not silent
            self.stream.start((address, port), [one for one in payloads if one in self._known])

    def _sdp(self, direction: str, offer: str = "") -> str:
        assert self.stream is not None
        offered = sipmsg.media_of(offer)
        taken = [one for one in offered[2] if one in self._known] if offered else self._offered
        words = " ".join(map(str, [*taken, 101]))
        return sipmsg.sdp(self.ua.address, self.stream.port, words, direction)
