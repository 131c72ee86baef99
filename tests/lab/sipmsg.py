"""SIP messages as far as the lab's plain user agent needs them: read, write, digest. Pure."""

import hashlib
import re
from dataclasses import dataclass, field

COMPACT = {
    "v": "via",
    "f": "from",
    "t": "to",
    "i": "call-id",
    "m": "contact",
    "l": "content-length",
    "c": "content-type",
}
HASHES = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}


@dataclass
class Message:
    """A request or a response: its first line, its headers in order, its body."""

    first: str
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: str = ""

    @property
    def is_request(self) -> bool:
        """Whether this is a request."""
        return not self.first.startswith("SIP/2.0")

    @property
    def method(self) -> str:
        """The request's method, or that of the transaction a response answers."""
        return self.first.split(" ", 1)[0] if self.is_request else self.get("cseq").split()[-1]

    @property
    def uri(self) -> str:
        """The request's URI."""
        return self.first.split(" ")[1]

    @property
    def code(self) -> int:
        """A response's status, 0 for a request."""
        return 0 if self.is_request else int(self.first.split(" ")[1])

    @property
    def reason(self) -> str:
        """A response's phrase."""
        return self.first.split(" ", 2)[2] if not self.is_request else ""

    def get(self, name: str, default: str = "") -> str:
        """The first header of that name."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), default)

    def all(self, name: str) -> list[str]:
        """Every header of that name, in order."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def encode(self) -> bytes:
        """The message on the wire; Content-Length is made here."""
        body = self.body.encode()
        lines = [
            self.first,
            *(f"{name}: {value}" for name, value in self.headers if name.lower() != "content-length"),
        ]
        return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


def parse(data: bytes) -> Message:
    """A message from the wire. Raises ``ValueError`` when it is none."""
    head, _, body = data.partition(b"\r\n\r\n")
    lines = re.sub(r"\r\n[ \t]+", " ", head.decode(errors="replace")).split("\r\n")
    if not re.match(r"SIP/2\.0 \d{3}|[A-Z]+ \S+ SIP/2\.0$", lines[0]):
        raise ValueError(f"not a SIP message: {lines[0][:60]!r}")
    headers = []
    for line in lines[1:]:
        name, _, value = line.partition(":")
        name = name.strip()
        headers.append((COMPACT.get(name.lower(), name), value.strip()))
    return Message(lines[0], headers, body.decode(errors="replace"))


def split_stream(buffer: bytes) -> tuple[list[bytes], bytes]:
    """Whole messages at the start of a stream's bytes, and what is left. CRLF keep-alives are skipped."""
    whole: list[bytes] = []
    while True:
        buffer = buffer.lstrip(b"\r\n")
        end = buffer.find(b"\r\n\r\n")
        if end < 0:
            return whole, buffer
        found = re.search(rb"\r\n(?:content-length|l)[ \t]*:[ \t]*(\d+)", buffer[:end], re.IGNORECASE)
        size = end + 4 + (int(found.group(1)) if found else 0)
        if len(buffer) < size:
            return whole, buffer
        whole.append(buffer[:size])
        buffer = buffer[size:]


def uri_of(value: str) -> str:
    """The URI in a From, To or Contact value."""
    found = re.search(r"<([^>]+)>", value)
    return found.group(1) if found else value.split(";")[0].strip()


def user_of(value: str) -> str:
    """The user part of the URI in a header value or of a bare URI."""
    found = re.match(r"(?:sips?|tel):([^@;>]*)", uri_of(value))
    return found.group(1) if found else ""


def tag_of(value: str) -> str:
    """The tag of a From or To value, or ``""``."""
    found = re.search(r";\s*tag=([^;>\s]+)", value.rpartition(">")[2] or value)
    return found.group(1) if found else ""


def challenge(value: str) -> dict[str, str]:
    """The parameters of a WWW-Authenticate or Proxy-Authenticate value."""
    return {name.lower(): a or b for name, a, b in re.findall(r'(\w+)\s*=\s*(?:"([^"]*)"|([^\s,]+))', value)}


def authorization(
    parameters: dict[str, str], method: str, uri: str, user: str, password: str, cnonce: str, count: int = 1
) -> str:
    """The answer to a digest challenge (RFC 8760: MD5 or SHA-256, with or without qop)."""
    algorithm = parameters.get("algorithm", "MD5").upper()

    def digest(text: str) -> str:
        return HASHES[algorithm](text.encode()).hexdigest()

    realm, nonce = parameters["realm"], parameters["nonce"]
    ha1, ha2 = digest(f"{user}:{realm}:{password}"), digest(f"{method}:{uri}")
    words = [
        f'username="{user}"',
        f'realm="{realm}"',
        f'nonce="{nonce}"',
        f'uri="{uri}"',
        f"algorithm={algorithm}",
    ]
    if "qop" in parameters:
        nc = f"{count:08x}"
        response = digest(f"{ha1}:{nonce}:{nc}:{cnonce}:auth:{ha2}")
        words += [f"qop=auth, nc={nc}", f'cnonce="{cnonce}"']
    else:
        response = digest(f"{ha1}:{nonce}:{ha2}")
    if "opaque" in parameters:
        words.append(f'opaque="{parameters["opaque"]}"')
    return "Digest " + ", ".join([*words, f'response="{response}"'])


def sdp(address: str, port: int, payloads: str = "0 8 101", direction: str = "sendrecv") -> str:
    """A plain audio description."""
    lines = [
        "v=0",
        f"o=- {port} 1 IN IP4 {address}",
        "s=-",
        f"c=IN IP4 {address}",
        "t=0 0",
        f"m=audio {port} RTP/AVP {payloads}",
        "a=rtpmap:101 telephone-event/8000",
        "a=ptime:20",
        f"a={direction}",
    ]
    return "\r\n".join(lines) + "\r\n"


def media_of(body: str) -> tuple[str, int, list[int]] | None:
    """Address, port and payload types of the first audio stream of a description; ``None`` when there is none."""
    media = re.search(r"^m=audio (\d+) \S+ ([\d ]+)", body, re.MULTILINE)
    where = re.search(r"^c=IN IP[46] (\S+)", body, re.MULTILINE)
    if media is None or where is None:
        return None
    return where.group(1), int(media.group(1)), [int(number) for number in media.group(2).split()]
