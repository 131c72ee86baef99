"""Numbers as telephones dial them and as peers want them. A wrong reading calls, and charges for, somebody else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.kamailio.dialplan import (
    Number,
    clean,
    is_emergency,
    read_dialled,
    read_inbound,
    render,
    rewrite,
)
from appliance.model import NumberKind as K
from tests.helpers.site_view import policy, site

SITE = site()
NO_PREFIX = site(outside_prefix="")
KYOTO = site(area="75")
AKITA = site(area="184")
BERLIN = site(
    country="49", area="30", national_prefix="0", international_prefix="00", emergency_numbers=("110", "112")
)
NEW_YORK = site(
    country="1",
    area="212",
    national_prefix="1",
    international_prefix="011",
    outside_prefix="9",
    emergency_numbers=("911",),
)
MADRID = site(
    country="34", area="", national_prefix="", international_prefix="00", emergency_numbers=("112",)
)


def number(kind: K, dialled: str, national: str = "", e164: str = "", **more: object) -> Number:
    return Number(kind, dialled=dialled, national=national, e164=e164, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("dialled", "expected"),
    [
        pytest.param("201", number(K.EXTENSION, "201", e164="+81312340201", extension="201"), id="extension"),
        pytest.param(
            "203", number(K.EXTENSION, "203", extension="203"), id="extension without public number"
        ),
        pytest.param("600", number(K.GROUP, "600", extension="600"), id="group"),
        pytest.param(
            "7201", number(K.REMOTE_EXTENSION, "7201", e164="+81664001201", extension="7201"), id="other site"
        ),
        pytest.param("110", number(K.EMERGENCY, "110", "110"), id="emergency"),
        pytest.param("0119", number(K.EMERGENCY, "0119", "119"), id="emergency with outside prefix"),
        pytest.param("184118", number(K.EMERGENCY, "184118", "118"), id="emergency withheld"),
        pytest.param("0184110", number(K.EMERGENCY, "0184110", "110"), id="emergency outside then withheld"),
        pytest.param("1860110", number(K.EMERGENCY, "1860110", "110"), id="emergency shown then outside"),
        pytest.param("+81110", number(K.EMERGENCY, "+81110", "110"), id="emergency in E.164"),
        pytest.param(
            "00312345678", number(K.LOCAL, "00312345678", "0312345678", "+81312345678"), id="own area"
        ),
        pytest.param(
            "022345678", number(K.LOCAL, "022345678", "0322345678", "+81322345678"), id="no area code"
        ),
        pytest.param(
            "00612345678", number(K.NATIONAL, "00612345678", "0612345678", "+81612345678"), id="Osaka"
        ),
        pytest.param(
            "00460812345", number(K.NATIONAL, "00460812345", "0460812345", "+81460812345"), id="Hakone"
        ),
        pytest.param(
            "009011112222", number(K.MOBILE, "009011112222", "09011112222", "+819011112222"), id="mobile 090"
        ),
        pytest.param(
            "008011112222", number(K.MOBILE, "008011112222", "08011112222", "+818011112222"), id="mobile 080"
        ),
        pytest.param(
            "007011112222", number(K.MOBILE, "007011112222", "07011112222", "+817011112222"), id="mobile 070"
        ),
        pytest.param(
            "006011112222", number(K.MOBILE, "006011112222", "06011112222", "+816011112222"), id="mobile 060"
        ),
        pytest.param(
            "005011112222", number(K.IP_PHONE, "005011112222", "05011112222", "+815011112222"), id="IP phone"
        ),
        pytest.param(
            "00120444113", number(K.TOLL_FREE, "00120444113", "0120444113", "+81120444113"), id="0120"
        ),
        pytest.param(
            "008001234567", number(K.TOLL_FREE, "008001234567", "08001234567", "+818001234567"), id="0800"
        ),
        pytest.param(
            "00570012345", number(K.PREMIUM, "00570012345", "0570012345", "+81570012345"), id="0570"
        ),
        pytest.param(
            "00990512345", number(K.PREMIUM, "00990512345", "0990512345", "+81990512345"), id="0990"
        ),
        pytest.param("0117", number(K.SPECIAL, "0117", "117"), id="time"),
        pytest.param("0177", number(K.SPECIAL, "0177", "177"), id="weather"),
        pytest.param("0104", number(K.SPECIAL, "0104", "104"), id="enquiries"),
        pytest.param("0#7119", number(K.SPECIAL, "0#7119", "#7119"), id="hash number"),
        pytest.param(
            "0010442071234567",
            number(K.INTERNATIONAL, "0010442071234567", "010442071234567", "+442071234567"),
            id="abroad",
        ),
        pytest.param(
            "+442071234567",
            number(K.INTERNATIONAL, "+442071234567", "010442071234567", "+442071234567"),
            id="abroad in E.164",
        ),
        pytest.param(
            "00033010442071234567",
            number(K.INTERNATIONAL, "00033010442071234567", "010442071234567", "+442071234567"),
            id="abroad by a carrier",
        ),
        pytest.param(
            "0001010442071234567",
            number(K.INTERNATIONAL, "0001010442071234567", "010442071234567", "+442071234567"),
            id="abroad by carrier 001",
        ),
        pytest.param(
            "0001442071234567",
            number(K.INTERNATIONAL, "0001442071234567", "001442071234567"),
            id="carrier and something unseen",
        ),
        pytest.param(
            "000360612345678",
            number(K.NATIONAL, "000360612345678", "0612345678", "+81612345678"),
            id="carrier 0036",
        ),
        pytest.param(
            "+81312345678", number(K.LOCAL, "+81312345678", "0312345678", "+81312345678"), id="E.164"
        ),
        pytest.param(
            "+810312345678",
            number(K.LOCAL, "+810312345678", "0312345678", "+81312345678"),
            id="E.164 with a stray 0",
        ),
        pytest.param(
            "0010819011112222",
            number(K.MOBILE, "0010819011112222", "09011112222", "+819011112222"),
            id="home by way of abroad",
        ),
        pytest.param(
            "03-1234-5678",
            number(K.LOCAL, "0312345678", "0312345678", "+81312345678"),
            id="call back without prefix",
        ),
        pytest.param(
            "0184090-1111-2222",
            number(K.MOBILE, "018409011112222", "09011112222", "+819011112222", withheld=True),
            id="outside then withheld",
        ),
        pytest.param(
            "184009011112222",
            number(K.MOBILE, "184009011112222", "09011112222", "+819011112222", withheld=True),
            id="withheld then outside",
        ),
        pytest.param(
            "018609011112222",
            number(K.MOBILE, "018609011112222", "09011112222", "+819011112222", withheld=False),
            id="shown",
        ),
        pytest.param(
            "0184221234",
            number(K.NATIONAL, "0184221234", "0184221234", "+81184221234"),
            id="call back to area 0184 is not withheld",
        ),
        pytest.param(
            "00184221234", number(K.NATIONAL, "00184221234", "0184221234", "+81184221234"), id="area 0184"
        ),
        pytest.param(
            "00312340600",
            number(K.GROUP, "00312340600", "0312340600", "+81312340600", extension="600"),
            id="own public number",
        ),
        pytest.param("999", number(K.UNKNOWN, "999"), id="nobody's extension"),
        pytest.param("117", number(K.UNKNOWN, "117"), id="special number needs the prefix"),
        pytest.param("0003", number(K.UNKNOWN, "0003", incomplete=True), id="carrier begun"),
        pytest.param("0", number(K.UNKNOWN, "0", incomplete=True), id="prefix alone"),
        pytest.param("0184", number(K.UNKNOWN, "0184", incomplete=True), id="withheld, and nothing"),
        pytest.param("00312345", number(K.UNKNOWN, "00312345", incomplete=True), id="too short"),
        pytest.param(
            "00901111222", number(K.UNKNOWN, "00901111222", incomplete=True), id="mobile one digit short"
        ),
        pytest.param("00104420", number(K.UNKNOWN, "00104420", incomplete=True), id="abroad too short"),
        pytest.param("003123456789", number(K.UNKNOWN, "003123456789"), id="too long"),
        pytest.param("00360612345678", number(K.UNKNOWN, "00360612345678"), id="too long is no carrier code"),
        pytest.param("0010" + "4" * 16, number(K.UNKNOWN, "0010" + "4" * 16), id="abroad too long"),
        pytest.param("", number(K.UNKNOWN, "", incomplete=True), id="nothing"),
        pytest.param("sato", number(K.UNKNOWN, "sato"), id="a name"),
        pytest.param("２０１", number(K.UNKNOWN, "２０１"), id="full-width digits"),
    ],
)
def test_dialled_in_tokyo_means(dialled: str, expected: Number) -> None:
    assert read_dialled(dialled, SITE) == expected


@pytest.mark.parametrize(
    ("view", "dialled", "kind", "national", "withheld"),
    [
        pytest.param(NO_PREFIX, "0312345678", K.LOCAL, "0312345678", None, id="no prefix needed"),
        pytest.param(NO_PREFIX, "117", K.SPECIAL, "117", None, id="special without prefix"),
        pytest.param(NO_PREFIX, "1840312345678", K.LOCAL, "0312345678", True, id="184 without prefix"),
        pytest.param(NO_PREFIX, "184", K.UNKNOWN, "", None, id="184 alone"),
        pytest.param(NO_PREFIX, "184110", K.EMERGENCY, "110", None, id="emergency withheld without prefix"),
        pytest.param(KYOTO, "02345678", K.LOCAL, "0752345678", None, id="seven digits in Kyoto"),
        pytest.param(KYOTO, "00752345678", K.LOCAL, "0752345678", None, id="Kyoto in full"),
        pytest.param(KYOTO, "00312345678", K.NATIONAL, "0312345678", None, id="Tokyo from Kyoto"),
        pytest.param(KYOTO, "012345678", K.UNKNOWN, "", None, id="eight digits in Kyoto"),
        pytest.param(AKITA, "0221234", K.LOCAL, "0184221234", None, id="six digits in Akita"),
        pytest.param(BERLIN, "003023125 000", K.LOCAL, "03023125000", None, id="Berlin"),
        pytest.param(BERLIN, "023125000", K.LOCAL, "03023125000", None, id="Berlin without area"),
        pytest.param(BERLIN, "00891234567", K.NATIONAL, "0891234567", None, id="Munich"),
        pytest.param(
            BERLIN, "00081312345678", K.INTERNATIONAL, "0081312345678", None, id="Tokyo from Berlin"
        ),
        pytest.param(BERLIN, "0112", K.EMERGENCY, "112", None, id="112"),
        pytest.param(BERLIN, "+493023125000", K.LOCAL, "03023125000", None, id="Berlin in E.164"),
        pytest.param(NEW_YORK, "95551234", K.LOCAL, "12125551234", None, id="seven digits in New York"),
        pytest.param(NEW_YORK, "914155551234", K.NATIONAL, "14155551234", None, id="San Francisco"),
        pytest.param(NEW_YORK, "94155551234", K.NATIONAL, "14155551234", None, id="ten digits"),
        pytest.param(
            NEW_YORK, "901181312345678", K.INTERNATIONAL, "01181312345678", None, id="Tokyo from New York"
        ),
        pytest.param(NEW_YORK, "9411", K.SPECIAL, "411", None, id="411"),
        pytest.param(NEW_YORK, "911", K.EMERGENCY, "911", None, id="911"),
        pytest.param(NEW_YORK, "9911", K.EMERGENCY, "911", None, id="9911"),
        pytest.param(NEW_YORK, "918412345678", K.NATIONAL, "18412345678", None, id="184 means nothing there"),
        pytest.param(MADRID, "0912345678", K.NATIONAL, "912345678", None, id="closed numbering"),
        pytest.param(MADRID, "912345678", K.NATIONAL, "912345678", None, id="closed numbering, called back"),
        pytest.param(MADRID, "234567", K.UNKNOWN, "", None, id="a short number without prefix stays inside"),
    ],
)
def test_dialled_elsewhere_means(
    view: object, dialled: str, kind: K, national: str, withheld: bool | None
) -> None:
    found = read_dialled(dialled, view)  # type: ignore[arg-type]
    assert (found.kind, found.national, found.withheld) == (kind, national, withheld)


@pytest.mark.parametrize(
    ("dialled", "kind", "extension"),
    [
        pytest.param("+81312340201", K.EXTENSION, "201", id="E.164"),
        pytest.param("0312340201", K.EXTENSION, "201", id="national"),
        pytest.param("81312340201", K.EXTENSION, "201", id="E.164 without plus"),
        pytest.param("12340600", K.UNKNOWN, "", id="local digits that begin with 1 are none"),
        pytest.param("+81312340600", K.GROUP, "600", id="group"),
        pytest.param("202", K.EXTENSION, "202", id="extension"),
        pytest.param("7201", K.REMOTE_EXTENSION, "7201", id="other site"),
        pytest.param("0312349999", K.LOCAL, "", id="not ours"),
        pytest.param("09011112222", K.MOBILE, "", id="outside"),
        pytest.param("110", K.EMERGENCY, "", id="emergency"),
        pytest.param("0110", K.UNKNOWN, "", id="no outside prefix from outside"),
        pytest.param("sato", K.UNKNOWN, "", id="a name"),
    ],
)
def test_asked_for_by_a_peer_means(dialled: str, kind: K, extension: str) -> None:
    found = read_inbound(dialled, SITE)
    assert (found.kind, found.extension) == (kind, extension)


@pytest.mark.parametrize(
    ("dialled", "e164", "national", "as_dialled"),
    [
        pytest.param("018409011112222", "+819011112222", "09011112222", "018409011112222", id="mobile"),
        pytest.param("0117", "117", "117", "0117", id="special has no E.164"),
        pytest.param("+442071234567", "+442071234567", "010442071234567", "+442071234567", id="abroad"),
        pytest.param(
            "0001442071234567", "001442071234567", "001442071234567", "0001442071234567", id="unseen"
        ),
        pytest.param("0184110", "110", "110", "110", id="emergency is always bare"),
        pytest.param("201", "+81312340201", "+81312340201", "201", id="extension"),
        pytest.param("600", "600", "600", "600", id="group"),
        pytest.param("00312340600", "+81312340600", "0312340600", "600", id="own public number"),
        pytest.param("999", "999", "999", "999", id="unknown as dialled"),
    ],
)
def test_number_is_written_for_each_peer(dialled: str, e164: str, national: str, as_dialled: str) -> None:
    found = read_dialled(dialled, SITE)
    assert [render(found, form) for form in ("e164", "national", "extension")] == [e164, national, as_dialled]


@pytest.mark.parametrize(
    ("text", "e164", "national", "on_phone"),
    [
        ("+819011112222", "+819011112222", "09011112222", "09011112222"),
        ("09011112222", "+819011112222", "09011112222", "09011112222"),
        ("819011112222", "+819011112222", "09011112222", "09011112222"),
        ("+442071234567", "+442071234567", "010442071234567", "+442071234567"),
        ("7201", "7201", "7201", "7201"),
        ("20112345", "20112345", "20112345", "20112345"),
        ("anonymous", "anonymous", "anonymous", "anonymous"),
        ("", "", "", ""),
    ],
)
def test_caller_is_written_for_each_peer(text: str, e164: str, national: str, on_phone: str) -> None:
    assert [rewrite(text, form, policy()) for form in ("e164", "national", "extension")] == [
        e164,
        national,
        on_phone,
    ]


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ("03-1234-5678", "0312345678"),
        ("(03) 1234.5678", "0312345678"),
        ("0312345678;phone-context=+81", "0312345678"),
        ("%2B81312345678", "+81312345678"),
        ("%237119", "#7119"),
        ("*97", "*97"),
        ("1+2", ""),
        ("201\r\nX: y", ""),
        ("9" * 33, ""),
    ],
)
def test_user_part_is_reduced_to_its_digits(user: str, expected: str) -> None:
    assert clean(user) == expected


@given(st.text(max_size=40) | st.text("0123456789+*#-", max_size=40))
def test_anything_dialled_is_read_without_an_error(user: str) -> None:
    for view in (SITE, NO_PREFIX, KYOTO, BERLIN, NEW_YORK, MADRID):
        assert read_inbound(user, view).kind in K
        found = read_dialled(user, view)
        assert all(isinstance(render(found, form), str) for form in ("e164", "national", "extension"))
        assert (found.kind is K.EMERGENCY) == is_emergency(user, view.policy)
        assert found.kind is K.UNKNOWN or render(found, "national")


@given(st.from_regex(r"\+[1-9][0-9]{6,14}", fullmatch=True))
def test_number_survives_being_written_and_read_again(e164: str) -> None:
    found = read_inbound(e164, SITE)
    if found.e164:
        assert read_inbound(found.national, SITE).e164 == found.e164
