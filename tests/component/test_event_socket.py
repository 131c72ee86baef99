"""The connection to FreeSWITCH's event socket against a server that misbehaves: what greenswitch does alone, and what ours does.

Each defect is shown on greenswitch 0.0.19 itself first, so that a newer one that has lost it is noticed.
"""

import functools
import gc
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

gevent = pytest.importorskip("gevent")
greenswitch = pytest.importorskip("greenswitch")

from gevent.exceptions import LoopExit  # noqa: E402
from gevent.server import StreamServer  # noqa: E402

from appliance.freeswitch import lists  # noqa: E402
from appliance.freeswitch.ask import FreeSwitchSilent  # noqa: E402
from appliance.freeswitch.esl import EventSocket  # noqa: E402
from appliance.freeswitch.events import Block, Event, event_of  # noqa: E402
from appliance.freeswitch.keeper import Keeper  # noqa: E402

PASSWORD = "made-up"  # noqa: S105
SHORT_S = 0.4
"""How long a test waits for what must not come."""

LONG_S = 20.0
"""How long for what must come, on a machine with much else to do."""

BANNER = b"Content-Type: auth/request\n\n"
ACCEPTED = b"Content-Type: command/reply\nReply-Text: +OK accepted\n\n"
OK = b"Content-Type: command/reply\nReply-Text: +OK\n\n"

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

OPENED: list[Any] = []
"""Connections of the test that runs, of both kinds."""


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """Whatever a test has connected is closed with it: neither end of a connection is left to a later test."""
    yield
    while OPENED:
        _close(OPENED.pop())


@pytest.fixture(autouse=True, scope="module")
def nothing_left() -> Iterator[None]:
    """What is left open all the same is told here, and not by whichever test happens to run when it is found."""
    yield
    gc.collect()


def _close(one: Any) -> None:
    readers = [one._receive_events_greenlet, one._process_events_greenlet]
    gevent.killall([reader for reader in readers if reader is not None])
    one._run = one.connected = False
    for name in ("sock_file", "sock"):
        if hasattr(one, name):
            with suppress(OSError):
                getattr(one, name).close()


class Peer:
    """FreeSWITCH's end of one connection, as a test scripts it."""

    def __init__(self, sock: Any) -> None:
        self.sock = sock
        self.lines: list[str] = []

    def say(self, data: bytes) -> None:
        self.sock.sendall(data)

    def event(self, body: bytes) -> None:
        self.say(b"Content-Length: %d\nContent-Type: text/event-plain\n\n" % len(body) + body)

    def command(self) -> str:
        """The next command."""
        data = b""
        while not data.endswith(b"\n\n"):
            more = self.sock.recv(1)
            if not more:
                raise EOFError
            data += more
        line = data.decode().strip()
        self.lines.append(line)
        return line

    def welcome(self) -> None:
        self.say(BANNER)
        self.command()
        self.say(ACCEPTED)


@contextmanager
def server(behave: Callable[[Peer], None]) -> Iterator[int]:
    """A server whose connections behave so; yields its port."""

    def handle(sock: Any, _address: object) -> None:
        try:
            behave(Peer(sock))
        except (OSError, EOFError):
            pass
        finally:
            sock.close()

    listening = StreamServer(("127.0.0.1", 0), handle)
    listening.start()
    try:
        yield listening.server_port
    finally:
        listening.stop(timeout=0.1)


def ours(port: int, **changes: Any) -> EventSocket:
    OPENED.append(
        EventSocket("127.0.0.1", port, PASSWORD, **({"connect_s": LONG_S, "reply_s": LONG_S} | changes))
    )
    return OPENED[-1]


def theirs(port: int) -> Any:
    OPENED.append(greenswitch.InboundESL("127.0.0.1", port, PASSWORD, timeout=SHORT_S))
    return OPENED[-1]


def until(condition: Callable[[], object]) -> None:
    """Wait for what must come."""
    with gevent.Timeout(LONG_S):
        while not condition():
            gevent.sleep(0.01)


def hangs(do: Callable[[], object]) -> bool:
    """Whether greenswitch is still waiting after a time that its own limit should have ended, or its hub has nothing left."""
    try:
        with gevent.Timeout(2 * SHORT_S):
            do()
    except (gevent.Timeout, LoopExit):
        return True
    return False


def mute(peer: Peer) -> None:
    gevent.sleep(30)


def quit_at_once(peer: Peer) -> None:
    pass


def after_welcome(then: Callable[[Peer], None]) -> Callable[[Peer], None]:
    def behave(peer: Peer) -> None:
        peer.welcome()
        then(peer)

    return behave


def test_a_server_that_says_nothing_is_given_up_in_time() -> None:
    with server(mute) as port:
        assert hangs(theirs(port).connect)
        with pytest.raises(FreeSwitchSilent, match=r"within 0\.4 s"):
            ours(port, connect_s=SHORT_S).connect()


def test_an_end_before_the_banner_is_an_error_at_once() -> None:
    with server(quit_at_once) as port:
        assert hangs(theirs(port).connect)
        with pytest.raises(FreeSwitchSilent, match="closed the connection"):
            ours(port).connect()


def test_nobody_listening_is_the_same_error() -> None:
    with server(quit_at_once) as port:
        pass
    with pytest.raises(ConnectionRefusedError):
        theirs(port).connect()
    with pytest.raises(FreeSwitchSilent):
        ours(port).connect()


def test_a_wrong_password_is_told() -> None:
    def refuse(peer: Peer) -> None:
        peer.say(BANNER)
        peer.command()
        peer.say(b"Content-Type: command/reply\nReply-Text: -ERR invalid\n\n")

    with server(refuse) as port, pytest.raises(FreeSwitchSilent, match="refuses"):
        ours(port).connect()


@pytest.mark.parametrize(
    "ending", [lambda peer: peer.command(), after_welcome(lambda _: None)], ids=["pending", "idle"]
)
def test_a_command_whose_connection_ends_fails_at_once(ending: Callable[[Peer], None]) -> None:
    def behave(peer: Peer) -> None:
        peer.welcome()
        peer.command()

    with server(behave) as port:
        alone = theirs(port)
        alone.connect()
        assert hangs(lambda: alone.send("api status"))
        wrapped = ours(port, reply_s=2 * LONG_S)
        wrapped.connect()
        with gevent.Timeout(LONG_S), pytest.raises(FreeSwitchSilent, match="closed the connection"):
            wrapped.send("api status")
        with pytest.raises(FreeSwitchSilent):
            wrapped.send("api status")


def test_a_command_that_is_never_answered_ends_the_connection_in_time() -> None:
    def deaf(peer: Peer) -> None:
        peer.welcome()
        peer.command()
        gevent.sleep(30)

    with server(deaf) as port:
        alone = theirs(port)
        alone.connect()
        assert hangs(lambda: alone.send("api status"))
        wrapped = ours(port)
        wrapped.connect()
        wrapped._reply_s = SHORT_S
        with pytest.raises(FreeSwitchSilent, match="no answer within"):
            wrapped.send("api status")
        assert not wrapped.connected, "a late answer would be taken for that of the next command"


EVENT = b"Event-Name: CHANNEL_ANSWER\nUnique-ID: %d\n\n"


def test_events_that_arrived_before_the_end_are_all_read() -> None:
    def flood(peer: Peer) -> None:
        peer.welcome()
        gevent.sleep(0.05)
        for number in range(500):
            peer.event(EVENT % number)

    with server(flood) as port:
        alone, handled = theirs(port), []
        alone.register_handle("CHANNEL_ANSWER", handled.append)
        alone.connect()
        gevent.sleep(SHORT_S)
        assert len(handled) < 500
        wrapped = ours(port)
        wrapped.connect()
        until(lambda: not wrapped.connected)
        read = []
        while (event := wrapped.next_event(0)) is not None:
            read.append(event.get("Unique-ID"))
        assert read == [str(number) for number in range(500)]


def test_an_end_inside_a_body_ends_the_connection_and_does_not_spin() -> None:
    class Ended:
        reads = 0

        def read(self, _length: int) -> bytes:
            self.reads += 1
            if self.reads > 1000:
                raise RuntimeError("it spins")
            return b""

    with pytest.raises(RuntimeError, match="spins"):
        greenswitch.esl.ESLProtocol._read_socket(Ended(), 10)

    with server(
        after_welcome(lambda peer: peer.say(b"Content-Length: 100\nContent-Type: text/event-plain\n\nhalf"))
    ) as port:
        wrapped = ours(port)
        wrapped.connect()
        until(lambda: not wrapped.connected)
        assert wrapped.next_event(0) is None


def test_bytes_that_are_no_utf_8_are_replaced_and_nothing_else_is_lost() -> None:
    def odd(peer: Peer) -> None:
        peer.welcome()
        peer.event(b"Event-Name: CHANNEL_CREATE\nCaller-Caller-ID-Name: \x82\xb3\x93\xa1\n\n")
        while True:
            peer.command()
            peer.say(OK)

    with server(odd) as port:
        alone = theirs(port)
        alone.connect()
        gevent.sleep(0.1)
        assert hangs(lambda: alone.send("noop"))
        wrapped = ours(port)
        wrapped.connect()
        event = wrapped.next_event(LONG_S)
        assert event is not None
        assert event.get("Caller-Caller-ID-Name").count("\ufffd") >= 1
        assert wrapped.send("noop") == "+OK"


def test_an_answer_that_nobody_asked_for_ends_the_connection() -> None:
    with server(after_welcome(lambda peer: (peer.say(OK), gevent.sleep(30)))) as port:  # type: ignore[func-returns-value]
        alone = theirs(port)
        alone.connect()
        until(alone._receive_events_greenlet.ready)
        assert isinstance(alone._receive_events_greenlet.exception, IndexError)
        assert alone.connected, "nobody reads any more, and it says that all is well"
        assert hangs(lambda: alone.send("noop"))
        wrapped = ours(port)
        wrapped.connect()
        until(lambda: not wrapped.connected)
        assert "nobody asked" in wrapped.why


FORGED = (
    b"Event-Name: CHANNEL_CREATE\n"
    b"Caller-Caller-ID-Name: Bob%0AEvent-Name: CHANNEL_HANGUP_COMPLETE%0AUnique-ID: victim\n"
    b"Unique-ID: 1\n\n"
)


def test_a_caller_s_name_with_a_line_feed_forges_no_event() -> None:
    def forge(peer: Peer) -> None:
        peer.welcome()
        gevent.sleep(0.05)
        peer.event(FORGED)
        gevent.sleep(30)

    with server(forge) as port:
        alone, forged = theirs(port), []
        alone.register_handle("CHANNEL_HANGUP_COMPLETE", forged.append)
        alone.connect()
        until(lambda: forged)
        assert len(forged) == 1, "greenswitch decodes before it splits"
        wrapped = ours(port)
        wrapped.connect()
        event = wrapped.next_event(LONG_S)
        assert event == Event(
            "CHANNEL_CREATE",
            {
                "Event-Name": "CHANNEL_CREATE",
                "Caller-Caller-ID-Name": "Bob\nEvent-Name: CHANNEL_HANGUP_COMPLETE\nUnique-ID: victim",
                "Unique-ID": "1",
            },
        )


def test_of_a_channel_s_variables_only_those_are_kept_that_are_read() -> None:
    event = event_of(
        Block({}, b"Event-Name: X\nvariable_sip_call_id: a%40b\nvariable_other: 1\nOther: 2\n\n")
    )
    assert event == Event("X", {"Event-Name": "X", "variable_sip_call_id": "a@b", "Other": "2"})


def test_the_body_of_an_event_is_no_header() -> None:
    body = b"-ERR USER_BUSY\nEvent-Name: CHANNEL_ANSWER\n"
    event = b"Event-Name: BACKGROUND_JOB\nJob-UUID: 7\nContent-Length: %d\n\n" % len(body) + body

    with server(after_welcome(lambda peer: (peer.event(event), gevent.sleep(30)))) as port:  # type: ignore[func-returns-value]
        alone, took = theirs(port), []
        alone.register_handle("CHANNEL_ANSWER", took.append)
        alone.connect()
        until(lambda: took)
        assert len(took) == 1, "greenswitch takes a line of the body for the event's name"
        wrapped = ours(port)
        wrapped.connect()
        found = wrapped.next_event(LONG_S)
        assert found is not None
        assert (found.name, found.body) == ("BACKGROUND_JOB", body.decode())


def test_stopping_waits_for_nobody() -> None:
    def deaf(peer: Peer) -> None:
        peer.welcome()
        gevent.sleep(30)

    with server(deaf) as port:
        alone = theirs(port)
        alone.connect()
        assert hangs(alone.stop)
        wrapped = ours(port)
        wrapped.connect()
        with gevent.Timeout(LONG_S):
            wrapped.stop()
            wrapped.stop()


def test_a_used_connection_is_not_used_again() -> None:
    with server(after_welcome(lambda _: None)) as port:
        alone = theirs(port)
        alone.connect()
        first = alone.sock_file, alone.sock
        until(alone._receive_events_greenlet.ready)
        assert hangs(lambda: (alone.connect(), alone.send("noop"))), "its reader ends at once"
        for one in first:
            one.close()
    with server(after_welcome(mute)) as port:
        wrapped = ours(port)
        wrapped.connect()
        wrapped.stop()
        with pytest.raises(FreeSwitchSilent, match="used up"):
            wrapped.connect()


@pytest.mark.parametrize("line", ["api status\n\napi fsctl shutdown", "a\rb", "x\n"])
def test_a_command_of_several_lines_is_refused(line: str) -> None:
    heard: list[str] = []

    def listen(peer: Peer) -> None:
        peer.welcome()
        while True:
            heard.append(peer.command())

    if "\n\n" in line:
        with server(listen) as port:
            alone = theirs(port)
            alone.connect()
            assert hangs(lambda: alone.send(line))
            assert heard == line.split("\n\n"), "greenswitch says both"
    with server(after_welcome(mute)) as port:
        wrapped = ours(port)
        wrapped.connect()
        with pytest.raises(ValueError, match="one line"):
            wrapped.send(line)


def test_answers_of_commands_sent_side_by_side_are_not_mixed_up() -> None:
    def echo(peer: Peer) -> None:
        peer.welcome()
        while True:
            line = peer.command()
            gevent.sleep(0.001)
            body = line.encode()
            peer.say(b"Content-Type: api/response\nContent-Length: %d\n\n" % len(body) + body)

    with server(echo) as port:
        wrapped = ours(port)
        wrapped.connect()
        jobs = [gevent.spawn(wrapped.api, "echo", str(number)) for number in range(100)]
        gevent.joinall(jobs, timeout=LONG_S)
        assert [job.value for job in jobs] == [f"api echo {number}" for number in range(100)]


def test_a_reader_that_falls_behind_costs_bounded_memory_and_learns_of_what_it_lost() -> None:
    def flood(peer: Peer) -> None:
        peer.welcome()
        for number in range(1000):
            peer.event(EVENT % number)
        gevent.sleep(30)

    with server(flood) as port:
        alone = theirs(port)
        alone._process_esl_event_queue = False  # a handler that waits for something
        alone.connect()
        until(lambda: alone._esl_event_queue.qsize() == 1000)  # whatever comes is kept
        wrapped = ours(port, queue_max=100)
        wrapped.connect()
        until(lambda: wrapped.waiting + wrapped.lost == 1000)
        assert (wrapped.lost, wrapped.connected) == (900, True)


def test_what_came_while_the_program_was_stopped_is_lost_only_if_its_reader_does_not_read() -> None:
    """A thousand are there at once; whoever reads them has had no turn yet."""

    def flood(peer: Peer) -> None:
        peer.welcome()
        peer.say(
            b"".join(
                b"Content-Length: %d\nContent-Type: text/event-plain\n\n%b" % (len(one), one) for one in told
            )
        )
        gevent.sleep(30)

    told = [EVENT % number for number in range(1000)]
    with server(flood) as port:
        wrapped = ours(port, queue_max=100)
        reader = gevent.spawn(lambda: [wrapped.next_event(LONG_S) for _ in told])
        wrapped.connect()
        assert None not in reader.get(timeout=LONG_S)
        assert (wrapped.lost, wrapped.connected) == (0, True)


class Heard:
    """A listener that remembers, and may fail."""

    def __init__(self) -> None:
        self.told: list[tuple[str, object]] = []
        self.fails = False

    def snapshot(self, live: EventSocket) -> None:
        rows = lists.channels(live.api("show", "channels", "as", "json"))
        self.told.append(("snapshot", [one["uuid"] for one in rows]))

    def event(self, event: Event) -> None:
        self.told.append(("event", event.get("Unique-ID")))
        if self.fails:
            raise RuntimeError("a bug of the listener's")

    def gone(self, why: str) -> None:
        self.told.append(("gone", why))


def freeswitch(peer: Peer, *, uuid: str, events: int = 1, stay_s: float = 0.05) -> None:
    """Takes a subscription, tells its legs, sends events, ends."""
    peer.welcome()
    peer.command()
    peer.say(OK)
    peer.command()
    body = json.dumps({"row_count": 1, "rows": [{"uuid": uuid}]}).encode()
    peer.say(b"Content-Type: api/response\nContent-Length: %d\n\n" % len(body) + body)
    for number in range(events):
        peer.event(EVENT % number)
    gevent.sleep(stay_s)


def test_after_each_connection_the_state_is_told_anew_before_what_happens() -> None:
    names = iter("ab")

    with server(lambda peer: freeswitch(peer, uuid=next(names))) as port:
        heard = Heard()
        keeper = Keeper(lambda: ours(port), heard)
        heard.gone(keeper.once())
        heard.gone(keeper.once())
    assert [(what, value) for what, value in heard.told if what != "gone"] == [
        ("snapshot", ["a"]),
        ("event", "0"),
        ("snapshot", ["b"]),
        ("event", "0"),
    ]
    assert keeper.connections == 2


def test_the_end_of_a_connection_is_told_and_another_one_is_made() -> None:
    """greenswitch tells nobody of an end without a notice (FreeSWITCH was killed), and does not connect again."""
    with server(after_welcome(lambda _: gevent.sleep(0.05))) as port:
        alone, told = theirs(port), []
        alone.register_handle("DISCONNECT", told.append)
        alone.connect()
        until(lambda: not alone.connected)
        gevent.sleep(SHORT_S)
        assert told == []
    with server(lambda peer: freeswitch(peer, uuid="a")) as port:
        heard, pauses = Heard(), []

        def sleep(seconds: float) -> None:
            pauses.append(seconds)
            if len(pauses) == 3:
                raise gevent.GreenletExit

        keeper = Keeper(lambda: ours(port), heard, sleep=sleep)
        with pytest.raises(gevent.GreenletExit):
            keeper.run()
    assert [value for what, value in heard.told if what == "gone"] == ["FreeSWITCH closed the connection"] * 3
    assert keeper.connections == 3


class Narrow:
    """A socket that takes a little at a time, as one does whose other end reads slowly."""

    def __init__(self, sock: Any) -> None:
        self._sock = sock

    def send(self, data: bytes) -> int:
        return int(self._sock.send(data[:5]))

    def sendall(self, data: bytes) -> None:
        while data:
            data = data[self.send(data) :]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


def test_a_command_that_goes_out_in_pieces_arrives_whole() -> None:
    heard: list[str] = []

    def listen(peer: Peer) -> None:
        peer.welcome()
        heard.append(peer.command())
        peer.say(OK)
        gevent.sleep(30)

    with server(listen) as port:
        alone = theirs(port)
        alone.connect()
        alone.sock = Narrow(alone.sock)
        assert hangs(lambda: alone.send("api status"))
        assert heard == [], "greenswitch sends what the socket takes at once, and no more"
        wrapped = ours(port)
        wrapped.connect()
        wrapped.sock = Narrow(wrapped.sock)
        assert (wrapped.send("api status"), heard) == ("+OK", ["api status"])


def test_every_event_reaches_the_listener_whatever_else_is_asked_for() -> None:
    """greenswitch keeps an event from a `*` handler as soon as somebody asks for it by name."""
    protocol = greenswitch.esl.ESLProtocol()
    everything: list[object] = []
    protocol.register_handle("*", everything.append)
    protocol.register_handle("CHANNEL_ANSWER", lambda _: None)
    for name in ("CHANNEL_ANSWER", "CHANNEL_CREATE"):
        protocol._esl_event_queue.put(greenswitch.esl.ESLEvent(f"Event-Name: {name}"))
    runner = gevent.spawn(protocol.process_events)
    until(lambda: everything)
    gevent.sleep(0.1)
    runner.kill()
    assert len(everything) == 1
    with server(lambda peer: freeswitch(peer, uuid="a", events=2)) as port:
        heard = Heard()
        Keeper(lambda: ours(port), heard).once()
    assert [value for what, value in heard.told if what == "event"] == ["0", "1"]


def test_while_events_are_being_lost_the_state_is_asked_for_now_and_then_and_not_for_each() -> None:
    def flood(peer: Peer) -> None:
        peer.welcome()
        peer.command()
        peer.say(OK)
        for _ in range(3):
            peer.command()
            peer.say(b'Content-Type: api/response\nContent-Length: 15\n\n{"row_count":0}')
            for number in range(500):
                peer.event(EVENT % number)
        gevent.sleep(0.2)

    class Slow(Heard):
        def event(self, event: Event) -> None:
            gevent.sleep(0.001)

    with server(flood) as port:
        heard = Slow()
        keeper = Keeper(lambda: ours(port, queue_max=50), heard, compare_least_s=0.05)
        with gevent.Timeout(20):
            keeper.once()
    assert keeper.lost > 0
    assert 1 <= keeper.comparisons <= 5


def test_a_listener_that_fails_loses_its_event_and_nothing_else() -> None:
    """greenswitch's event processor dies of a handler without a name, such as a partial."""
    alone = greenswitch.esl.ESLProtocol()
    with pytest.raises(AttributeError):
        alone._safe_exec_handler(functools.partial(int, "x"), greenswitch.esl.ESLEvent("Event-Name: X"))
    with server(lambda peer: freeswitch(peer, uuid="a", events=3)) as port:
        heard = Heard()
        heard.fails = True
        keeper = Keeper(lambda: ours(port), heard)
        keeper.once()
    assert ([value for what, value in heard.told if what == "event"], keeper.faults) == (["0", "1", "2"], 3)


def test_a_half_open_connection_is_noticed_by_its_silence() -> None:
    with server(lambda peer: freeswitch(peer, uuid="a", stay_s=30)) as port:
        keeper = Keeper(lambda: ours(port), Heard(), silence_max_s=0.1)
        with gevent.Timeout(LONG_S):
            assert keeper.once() == "nothing heard for 0.1 s"


def test_tries_to_connect_come_ever_more_seldom_and_soon_again_after_a_success() -> None:
    pauses: list[float] = []

    class Enough(Exception):
        pass

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 8:
            raise Enough

    with server(quit_at_once) as port:
        pass
    keeper = Keeper(lambda: ours(port), Heard(), sleep=sleep, jitter=lambda: 0.5)
    with pytest.raises(Enough):
        keeper.run()
    assert pauses == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0]
