"""Japanese public holidays against those that were published (Cabinet Office, 国民の祝日; Official Gazette, 暦要項)."""

from datetime import date, timedelta

import pytest

from appliance.freeswitch import holidays_jp

PUBLISHED = {
    1950: "1/1 1/15 3/21 4/29 5/3 5/5 9/23 11/3 11/23",
    1973: "1/1 1/15 2/11 3/21 4/29 4/30 5/3 5/5 9/15 9/23 9/24 10/10 11/3 11/23",
    1989: "1/1 1/2 1/15 1/16 2/11 2/24 3/21 4/29 5/3 5/4 5/5 9/15 9/23 10/10 11/3 11/23 12/23",
    1990: "1/1 1/15 2/11 2/12 3/21 4/29 4/30 5/3 5/4 5/5 9/15 9/23 9/24 10/10 11/3 11/12 11/23 12/23 12/24",
    2009: "1/1 1/12 2/11 3/20 4/29 5/3 5/4 5/5 5/6 7/20 9/21 9/22 9/23 10/12 11/3 11/23 12/23",
    2015: "1/1 1/12 2/11 3/21 4/29 5/3 5/4 5/5 5/6 7/20 9/21 9/22 9/23 10/12 11/3 11/23 12/23",
    2019: "1/1 1/14 2/11 3/21 4/29 4/30 5/1 5/2 5/3 5/4 5/5 5/6 7/15 8/11 8/12 9/16 9/23 10/14 10/22 11/3 11/4 11/23",
    2020: "1/1 1/13 2/11 2/23 2/24 3/20 4/29 5/3 5/4 5/5 5/6 7/23 7/24 8/10 9/21 9/22 11/3 11/23",
    2021: "1/1 1/11 2/11 2/23 3/20 4/29 5/3 5/4 5/5 7/22 7/23 8/8 8/9 9/20 9/23 11/3 11/23",
    2022: "1/1 1/10 2/11 2/23 3/21 4/29 5/3 5/4 5/5 7/18 8/11 9/19 9/23 10/10 11/3 11/23",
    2023: "1/1 1/2 1/9 2/11 2/23 3/21 4/29 5/3 5/4 5/5 7/17 8/11 9/18 9/23 10/9 11/3 11/23",
    2024: "1/1 1/8 2/11 2/12 2/23 3/20 4/29 5/3 5/4 5/5 5/6 7/15 8/11 8/12 9/16 9/22 9/23 10/14 11/3 11/4 11/23",
    2025: "1/1 1/13 2/11 2/23 2/24 3/20 4/29 5/3 5/4 5/5 5/6 7/21 8/11 9/15 9/23 10/13 11/3 11/23 11/24",
    2026: "1/1 1/12 2/11 2/23 3/20 4/29 5/3 5/4 5/5 5/6 7/20 8/11 9/21 9/22 9/23 10/12 11/3 11/23",
    2027: "1/1 1/11 2/11 2/23 3/21 3/22 4/29 5/3 5/4 5/5 7/19 8/11 9/20 9/23 10/11 11/3 11/23",
}


@pytest.mark.parametrize("year", PUBLISHED)
def test_holidays_of_a_year_are_those_that_were_published(year: int) -> None:
    days = [tuple(map(int, day.split("/"))) for day in PUBLISHED[year].split()]
    assert list(holidays_jp.holidays(year)) == [date(year, month, day) for month, day in days]


def test_each_day_has_its_name() -> None:
    named = holidays_jp.holidays(2026)
    assert named[date(2026, 9, 22)] == "国民の休日"
    assert named[date(2026, 5, 6)] == "振替休日"
    assert named[date(2026, 10, 12)] == "スポーツの日"
    assert holidays_jp.holidays(2019)[date(2019, 5, 2)] == "国民の休日"


@pytest.mark.parametrize(("autumn", "base"), [(False, 20.8431), (True, 23.2488)], ids=["spring", "autumn"])
def test_equinoxes_agree_with_the_almanac_s_short_formula_where_that_holds(autumn: bool, base: float) -> None:
    """新こよみ便利帳, for 1980 to 2099; ours goes on where the formula ends."""
    for year in range(1980, 2100):
        after = year - 1980
        day = int(base + 0.242194 * after - after // 4)
        assert holidays_jp.equinox(year, autumn).day == day, year


def test_holidays_do_not_end() -> None:
    for year in (2100, 2150, 2500, 2999):
        assert 15 <= len(holidays_jp.holidays(year)) <= 20


def test_no_substitute_falls_on_a_sunday_or_on_another_holiday() -> None:
    for year in range(1949, 2200):
        found = holidays_jp.holidays(year)
        for day in (day for day, name in found.items() if name == "振替休日"):
            assert day.weekday() != 6
            assert day - timedelta(days=1) in found


def test_a_year_before_the_law_is_refused() -> None:
    with pytest.raises(ValueError, match="1948"):
        holidays_jp.holidays(1948)
    assert not holidays_jp.is_holiday(date(1948, 1, 1))
