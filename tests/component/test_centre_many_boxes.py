"""What thousands of boxes ask at the same time, on each database. A failure means a version that goes out to all sites too late,
or a document that its box must not have."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, Engine, event

from cloudsync import wire
from cloudsync.refusals import Refused
from cloudsync.service import access, configuration, polls, telemetry
from cloudsync.service.access import BoxIdentity, Proof
from cloudsync.service.centre import Centre
from cloudsync.service.polls import Ask
from cloudsync.service.sites import add_site, revoke_box
from cloudsync.service.telemetry import Beat
from cloudsync.signing import signature_fits
from cloudsync.store import boxes, configs
from cloudsync.store.boxes import Configured
from cloudsync.store.tables import config_version
from tests.helpers.centre_box import opened
from tests.helpers.centre_stores import DATABASES, prepared

KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
SITES = ("north", "south", "west", "without")
WHOLE_TABLE = {"sqlite": r"SCAN (?!(\d+ )?CONSTANT ROW)", "postgresql": "Seq Scan"}
EXPLAIN = {"sqlite": "EXPLAIN QUERY PLAN ", "postgresql": "EXPLAIN "}


@pytest.fixture(params=DATABASES)
def centre(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Centre]:
    with opened(prepared(tmp_path / "data", request.param)) as store:
        for site_id in SITES:
            add_site(store, site_id, site_id, "acme", (), "admin:test")
            with store.database.write() as connection:
                public_key = wire.to_base64(KEY.public_key().public_bytes_raw())
                boxes.enrol(connection, f"{site_id}-a", site_id, public_key, "{}", store.now_utc())
        for site_id, newest in (("north", 3), ("south", 12), ("west", 1)):
            for version in range(1, newest + 1):
                store_version(store, site_id, version)
        yield store


def store_version(centre: Centre, site_id: str, version: int) -> None:
    envelope = centre.keys.sign_document(f'{{"site": "{site_id}", "version": {version}}}', version)
    with centre.database.write() as connection:
        configs.add(connection, site_id, envelope, centre.now_utc())


def proof_of(centre: Centre, box_id: str) -> Proof:
    nonce = access.make_challenge(centre, box_id)
    signature = wire.to_base64(KEY.sign(wire.token_signing_bytes(box_id, nonce)))
    return Proof(box_id, nonce, signature, "192.0.2.1")


def token_of(centre: Centre, site_id: str) -> str:
    return access.issue_token(centre, proof_of(centre, f"{site_id}-a"))


def test_each_box_gets_its_own_sites_newest_document_or_its_refusal(centre: Centre) -> None:
    tokens = {site_id: token_of(centre, site_id) for site_id in SITES}
    revoke_box(centre, "west-a", "admin:test")
    asks = [
        *(Ask(tokens["south"], 11), Ask(tokens["north"], 0), Ask(tokens["south"], 12), Ask("unknown", 0)),
        *(Ask(tokens["west"], 0), Ask(tokens["without"], 0), Ask(tokens["north"], 2)),
    ]
    given = polls.documents(centre, asks)
    assert [
        one.status if isinstance(one, Refused) else one and (one.version, one.document) for one in given
    ] == [
        (12, '{"site": "south", "version": 12}'),
        (3, '{"site": "north", "version": 3}'),
        None,
        401,
        403,
        None,
        (3, '{"site": "north", "version": 3}'),
    ]


def test_documents_of_before_a_key_rotation_are_signed_by_the_key_of_now(centre: Centre) -> None:
    token = token_of(centre, "south")
    centre.keys.rotate()
    store_version(centre, "north", 4)
    newest = centre.keys.public()[-1]
    for envelope in polls.documents(centre, [Ask(token, 0), Ask(token_of(centre, "north"), 0)]):
        assert isinstance(envelope, wire.Envelope)
        assert envelope.key_id == newest.key_id
        signed = wire.envelope_signing_bytes(envelope.document)
        assert signature_fits(newest.public_key, envelope.signature, signed)


def test_publishes_since_a_number_are_told_by_site(centre: Centre) -> None:
    everything = {"north": 3, "south": 12, "west": 1}
    assert configuration.versions_since(centre, 0) == everything
    serial = configuration.last_serial(centre)
    assert configuration.versions_since(centre, serial) == {}
    for site_id, version in (("north", 4), ("without", 1), ("north", 5)):
        store_version(centre, site_id, version)
    assert configuration.versions_since(centre, serial) == {"north": 5, "without": 1}
    assert configuration.versions_since(centre, 0) == everything | {"north": 5, "without": 1}


def test_what_boxes_ask_all_the_time_reads_no_table_as_a_whole(centre: Centre) -> None:
    """With 10,000 sites a table read for each 50 of them made the wave of a publish for all a matter of a minute."""
    tokens = [token_of(centre, site_id) for site_id in SITES]
    proofs = [proof_of(centre, f"{site_id}-a") for site_id in SITES]
    serial = configuration.last_serial(centre)
    statements: dict[str, object] = {}

    def heard(
        _connection: Connection,
        _cursor: object,
        statement: str,
        parameters: object,
        _context: object,
        many: bool,
    ) -> None:
        if statement.split(" ", 1)[0] in ("SELECT", "UPDATE", "DELETE"):
            statements[statement] = parameters[0] if many and isinstance(parameters, list) else parameters

    event.listen(Engine, "before_cursor_execute", heard)
    try:
        access.make_challenges(centre, [f"{site_id}-a" for site_id in SITES])
        assert not any(isinstance(one, Refused) for one in access.issue_tokens(centre, proofs))
        telemetry.heartbeats(centre, [(token, Beat("{}", {"lease": ""}, "192.0.2.1")) for token in tokens])
        assert polls.documents(centre, [Ask(token, 0) for token in tokens])
        polls.report_all(
            centre,
            [
                (BoxIdentity(site_id, f"{site_id}-a"), Configured(f"{site_id}-a", 1, "applied", "[]"))
                for site_id in SITES
            ],
        )
        configuration.last_serial(centre)
        configuration.versions_since(centre, serial)
    finally:
        event.remove(Engine, "before_cursor_execute", heard)
    assert any(config_version.name in statement for statement in statements)
    with centre.database.read() as connection:
        if centre.database.dialect == "postgresql":  # which reads small tables as a whole all the same
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        for statement, parameters in statements.items():
            rows = connection.exec_driver_sql(EXPLAIN[centre.database.dialect] + statement, parameters)
            plan = "\n".join(str(row[-1]) for row in rows)
            assert not re.search(WHOLE_TABLE[centre.database.dialect], plan), f"{statement}\n{plan}"
