"""Messages of RFC 4475 (SIP torture tests) that reach a server over UDP, written anew after its sections, and a few of our own.

codes: replies that are right; 0 is silence. RFC 4475 leaves much to the server. Where it wants an answer and silence is listed
all the same, Kamailio 5.6.3's own parser gives up on the message before any route runs: a folded CSeq (wsinv), a broken
Via (badinv01), a missing Call-ID (insuf), a single-value header twice (multi01). Its Content-Length check refuses dblreq.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Torture:
    """name: as in the RFC's section headings."""

    name: str
    codes: frozenset[int]
    message: bytes


def _case(name: str, codes: set[int], text: str, body: bytes = b"") -> Torture:
    head = text.strip("\n").replace("\n", "\r\n").encode("utf-8", "surrogateescape")
    return Torture(name, frozenset(codes), head + b"\r\n\r\n" + body)


def _request(
    name: str,
    codes: set[int],
    first: str,
    *changes: str,
    without: tuple[str, ...] = (),
    more: str = "",
    body: bytes = b"",
) -> Torture:
    """An ordinary request with single lines replaced (by their header's name), left out, or added."""
    method, token = first.split(" ")[0], name.replace(" ", "-")
    lines = {
        "Via": f"SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK-{token}",
        "Max-Forwards": "70",
        "From": f'"Caller" <sip:caller@example.net>;tag={token}',
        "To": "<sip:user@example.com>",
        "Call-ID": f"{token}.abc@example.net",
        "CSeq": f"1 {method}",
        "Contact": "<sip:caller@example.net>",
        "Content-Length": str(len(body)),
    }
    for change in changes:
        header, _, value = change.partition(":")
        lines[header] = value.strip()
    text = [first, *(f"{header}: {value}" for header, value in lines.items() if header not in without)]
    return _case(name, codes, "\n".join([*text, *([more] if more else [])]), body)


SDP = b"v=0\r\no=u 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
REFUSED = {400, 401, 403, 404, 407, 0}
ASKED = {401, 407}

TORTURE = (
    # 3.1.1 valid messages: what a server that understands them says
    _case(
        "wsinv",
        {407, 0},
        """
INVITE sip:vivekg@chair-dnrc.example.com;unknownparam SIP/2.0
TO :
 sip:vivekg@chair-dnrc.example.com ;   tag    = 1918181833n
from   : "J Rosenberg \\\\\\"" <sip:jdrosen@example.com>
  ;
  tag = 98asjd8
MaX-fOrWaRdS: 0068
Call-ID: wsinv.ndaksdj@192.0.2.1
Content-Length   : 0
cseq: 0009
  INVITE
Via  : SIP  /   2.0
 /UDP
    192.0.2.2;branch=390skdjuw
s :
NewFangledHeader:   newfangled value
 continued newfangled value
UnknownHeaderWithUnusualValue: ;;,,;;,;
Content-Type: application/sdp
v:  SIP  / 2.0  / TCP     spindle.example.com   ;
  branch  =   z9hG4bK9ikj8  ,
 SIP  /    2.0   / UDP  192.168.255.111   ; branch=
 z9hG4bK30239
m:"Quoted string \\"\\"" <sip:jdrosen@example.com> ; newparam =
      newvalue ;
  secondparam ; q = 0.33
""".replace(" ;   tag    = 1918181833n", ""),
    ),
    _request(
        "intmeth",
        {501},
        "!interesting-Method0123456789_*+`.%indeed'~ sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"
        ":&it+has=1,weird!*pas$wo~d_too.(doesn't-it)@example.com SIP/2.0",
    ),
    _request("esc01", ASKED, "INVITE sip:sips%3Auser%40example.com@example.net SIP/2.0"),
    _request(
        "escnull",
        ASKED,
        "REGISTER sip:example.com SIP/2.0",
        "To: sip:null-%00-null@example.com",
        "From: sip:null-%00-null@example.com;tag=839923423",
    ),
    _request("esc02", {501}, "RE%47IST%45R sip:registrar.example.com SIP/2.0"),
    _request(
        "lwsdisp",
        {200},
        "OPTIONS sip:user@example.com SIP/2.0",
        "From: caller<sip:caller@example.com>;tag=323",
    ),
    _request(
        "longreq",
        {407},
        "INVITE sip:user@example.com SIP/2.0",
        f"From: sip:{'amazinglylongcallername' * 5}@example.net;tag=12{'982424' * 50}",
        f'To: "I have a user name of {"extreme" * 10} proportion" <sip:user@example.com:6000;{"u" * 300}=a>',
        f"Call-ID: longreq.one{'really' * 20}longcallid",
        more="Unknown-" + "Long" * 20 + "-Name: unknown-" + "long" * 20 + "-value",
    ),
    Torture(
        "dblreq",
        frozenset(ASKED | {400}),
        _request("dblreq", ASKED, "REGISTER sip:example.com SIP/2.0").message
        + _request("dblreq2", ASKED, "INVITE sip:joe@example.com SIP/2.0").message,
    ),
    _request("semiuri", {200}, "OPTIONS sip:user;par=u%40example.net@example.com SIP/2.0"),
    _request(
        "transports",
        {200},
        "OPTIONS sip:user@example.com SIP/2.0",
        more="Via: SIP/2.0/SCTP 192.0.2.2;branch=z9hG4bKa\nVia: SIP/2.0/UNKNOWN 192.0.2.3;branch=z9hG4bKb",
    ),
    # 3.1.2 invalid messages
    _request(
        "badinv01",
        {400, 407, 0},
        "INVITE sip:user@example.com SIP/2.0",
        "Via: SIP/2.0/UDP 192.0.2.15;;,;,,",
        'Contact: "Joe" <sip:joe@example.org>;;;;',
    ),
    _request("clerr", {400, 0}, "INVITE sip:user@example.com SIP/2.0", "Content-Length: 9999", body=SDP),
    _request("ncl", {400, 0}, "INVITE sip:user@example.com SIP/2.0", "Content-Length: -999", body=SDP),
    _request(
        "scalar02",
        {400},
        "REGISTER sip:example.com SIP/2.0",
        "CSeq: 36893488147419103232 REGISTER",
        "Max-Forwards: 300",
        more="Expires: " + "1" * 40,
    ),
    _request(
        "quotbal",
        {400, 407, 0},
        "INVITE sip:user@example.com SIP/2.0",
        'To: "Mr. J. User <sip:j.user@example.com>',
    ),
    _request("ltgtruri", {400, 0}, "INVITE <sip:user@example.com> SIP/2.0"),
    _request("lwsruri", {400, 0}, "INVITE sip:user@example.com; lr SIP/2.0"),
    _request("lwsstart", {400, 407, 0}, "INVITE  sip:user@example.com  SIP/2.0", "CSeq: 1 INVITE"),
    _request("trws", {200, 400, 0}, "OPTIONS sip:remote-target@example.com SIP/2.0  "),
    _request("escruri", {400, 407, 0}, "INVITE sip:user@example.com?Route=%3Csip:example.com%3E SIP/2.0"),
    _request(
        "baddate", {407}, "INVITE sip:user@example.com SIP/2.0", more="Date: Fri, 01 Jan 2010 16:00:00 EST"
    ),
    _request(
        "regbadct",
        ASKED | {400},
        "REGISTER sip:example.com SIP/2.0",
        "Contact: sip:user@example.com?Route=%3Csip:sip.example.com%3E",
    ),
    _request(
        "badaspec",
        {200, 400, 0},
        "OPTIONS sip:user@example.org SIP/2.0",
        'To: "Watson, Thomas" < sip:t.watson@example.org >',
    ),
    _request(
        "baddn",
        {200, 400, 0},
        "OPTIONS sip:t.watson@example.org SIP/2.0",
        "From: Bell, Alexander <sip:a.g.bell@example.com>;tag=43",
    ),
    _request("badvers", {505, 0}, "OPTIONS sip:t.watson@example.org SIP/7.0"),
    _request("mismatch01", {400}, "OPTIONS sip:user@example.com SIP/2.0", "CSeq: 8 INVITE"),
    _request("mismatch02", {400, 501}, "NEWMETHOD sip:user@example.com SIP/2.0", "CSeq: 8 INVITE"),
    _case(
        "bigcode",
        {0},
        """
SIP/2.0 4294967301 better not break the receiver
Via: SIP/2.0/UDP 192.0.2.105;branch=z9hG4bK2398ndaoe
Call-ID: bigcode.asdof3uj203asdnf3429uasdhfas3ehjasdfas9i
CSeq: 353494 INVITE
From: <sip:user@example.com>;tag=39ansfi3
To: <sip:user@example.edu>;tag=902jndnke3
Content-Length: 0
""",
    ),
    _case(
        "scalarlg",
        {0},
        """
SIP/2.0 503 Service Unavailable
Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKzzxdiwo34sw;received=192.0.2.1
To: <sip:user@example.com>
From: <sip:other@example.net>;tag=2easdjfejw
CSeq: 9292394834772304023312 OPTIONS
Call-ID: scalarlg.noase0of0234hn2qofoaf0232aewf2394r
Retry-After: 949302838503028349304023988
Warning: 1812 overture "In Progress"
Content-Length: 0
""",
    ),
    # 3.2, 3.3 transactions and applications
    _request(
        "badbranch",
        {200, 400},
        "OPTIONS sip:user@example.com SIP/2.0",
        "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK",
    ),
    _request("insuf", {400, 0}, "INVITE sip:user@example.com SIP/2.0", without=("From", "Call-ID", "To")),
    _request("unkscm", {400, 416, 0}, "OPTIONS nobodyKnowsThisScheme:totallyopaquecontent SIP/2.0"),
    _request("novelsc", {400, 416, 0}, "OPTIONS soap.beep://192.0.2.103:3002 SIP/2.0"),
    _request(
        "unksm2",
        {400, 401},
        "REGISTER sip:example.com SIP/2.0",
        "To: isbn:2983792873",
        "From: <http://www.example.com>;tag=3234233",
        "Contact: <name:John_Smith>",
    ),
    _request(
        "bext01",
        {420},
        "OPTIONS sip:user@example.com SIP/2.0",
        more="Require: nothingSupportsThis\nProxy-Require: noProxiesSupportThis, norDoAnyProxiesSupportThis",
    ),
    _request("bext02", {420}, "REGISTER sip:example.com SIP/2.0", more="Require: nothingSupportsThis"),
    _request(
        "regaut01",
        {401},
        "REGISTER sip:example.com SIP/2.0",
        more="Authorization: NoOneKnowsThisScheme opaque-data=here",
    ),
    _request(
        "multi01",
        {400, 407, 0},
        "INVITE sip:user@company.com SIP/2.0",
        more="CSeq: 59 INVITE\nCall-ID: multi01.98asdh@192.0.2.2\nMax-Forwards: 5\nTo: sip:other@company.com",
    ),
    _request(
        "mcl01",
        {200, 400, 0},
        "OPTIONS sip:user@example.com SIP/2.0",
        more="Content-Length: 5\nContent-Type: text/plain",
    ),
    _case(
        "bcast",
        {0},
        """
SIP/2.0 200 OK
Via: SIP/2.0/UDP 192.0.2.198;branch=z9hG4bK1324923
Via: SIP/2.0/UDP 255.255.255.255;branch=z9hG4bK1saber23
Call-ID: bcast.0384840201234ksdfak3j2erwedfsASdf
CSeq: 35 INVITE
From: sip:user@example.com;tag=11141343
To: sip:user@example.edu;tag=2229
Content-Length: 0
""",
    ),
    _request("zeromf", {483}, "OPTIONS sip:user@example.com SIP/2.0", "Max-Forwards: 0"),
    _request(
        "cparam01",
        ASKED,
        "REGISTER sip:example.com SIP/2.0",
        "Contact: sip:+19725552222@gw1.example.net;unknownparam",
    ),
    _request(
        "regescrt",
        ASKED,
        "REGISTER sip:example.com SIP/2.0",
        "Contact: <sip:user@example.com?Route=%3Csip:sip.example.com%3E>",
    ),
    _request(
        "inv2543",
        {400, 407},
        "INVITE sip:UserB@example.com SIP/2.0",
        "Via: SIP/2.0/UDP iftgw.example.com",
        without=("Max-Forwards",),
    ),
    # our own
    Torture("nothing but line ends", frozenset({0}), b"\r\n\r\n" * 4),
    Torture("noise", frozenset({0}), bytes(range(256)) * 4),
    Torture("zero bytes", frozenset({0}), b"\0" * 700),
    Torture("half a first line", frozenset({0, 400}), b"INVITE sip:20"),
    _request(
        "text that is no UTF-8",
        REFUSED,
        "INVITE sip:20\udcff1@example.com SIP/2.0",
        "From: \udc82\udca0 <sip:\udcff@x.example>;tag=1",
    ),
    _request(
        "registration of text that is no UTF-8",
        REFUSED,
        "REGISTER sip:example.com SIP/2.0",
        "To: <sip:\udcff\udcfe@example.com>",
    ),
    _request(
        "digest full of rubbish",
        ASKED | {400},
        "REGISTER sip:example.com SIP/2.0",
        more="Authorization: Digest " + ',="' * 400,
    ),
    _request(
        "digest with text that is no UTF-8",
        REFUSED,
        "REGISTER sip:example.com SIP/2.0",
        more='Authorization: Digest username="\udcff", realm="tokyo-1.example", nonce="\udcfe", uri="sip:x", response="\udcfd"',
    ),
    _request("cancel of nothing", {481, 0}, "CANCEL sip:user@example.com SIP/2.0"),
    _request("acknowledgement of nothing", {0}, "ACK sip:user@example.com SIP/2.0"),
    _request("long user", {400, 404, 407, 0}, f"INVITE sip:{'9' * 4000}@example.com SIP/2.0"),
    _request(
        "sixty thousand bytes",
        ASKED | {400, 0, 513},
        "INVITE sip:1@example.com SIP/2.0",
        more="X: " + "y" * 60_000,
    ),
)
