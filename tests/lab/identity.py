"""Who a phone of the lab is and how it talks, and the SIP stack's line for that. Pure."""

from dataclasses import dataclass

ENCRYPTIONS = {
    "": (),
    "sdes": ("mediaenc=srtp-mand",),
    "dtls": ("mediaenc=dtls_srtp",),
    "webrtc": ("mediaenc=dtls_srtp", "medianat=ice", "rtcp_mux=yes"),
}


@dataclass(frozen=True)
class Identity:
    """Who a phone is and where it stands."""

    user: str
    address: str
    tone_hz: int
    server: str = ""
    """``host:port`` that everything is sent to; empty for a phone that is called directly."""
    password: str = ""
    transport: str = "udp"
    """udp, tcp, tls or ws."""
    port: int = 5060
    domain: str = ""
    """Domain of its address of record; empty is the server's host, or its own address."""
    display: str = ""
    expires_s: int = 600
    encryption: str = ""
    """"" (RTP), "sdes", "dtls", or "webrtc": DTLS with ICE and multiplexed RTCP, as a browser does."""
    codecs: tuple[str, ...] = ("pcmu", "pcma")
    """As the stack names them: pcmu, pcma, g722/16000/1, opus/48000/2."""
    digits: str = "rtpevent"
    """How keys are sent: rtpevent (RFC 4733) or info (SIP INFO)."""
    extra: tuple[str, ...] = ()
    """More account parameters, e.g. ``catchall=yes``."""

    @property
    def aor(self) -> str:
        """The account line of the stack."""
        host = self.domain or self.server.rpartition(":")[0] or self.address
        display = f'"{self.display}" ' if self.display else ""
        words = [
            f"{display}<sip:{self.user}@{host};transport={self.transport}>",
            *([f'auth_pass="{self.password}"'] if self.password else []),
            f"regint={self.expires_s if self.server else 0}",
            "answermode=manual",
            "audio_codecs=" + ",".join(self.codecs),
            f"dtmfmode={self.digits}",
            *([f'outbound="sip:{self.server};transport={self.transport}"'] if self.server else []),
            *ENCRYPTIONS[self.encryption],
            *self.extra,
        ]
        return ";".join(words)
