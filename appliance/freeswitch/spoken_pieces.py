"""The pieces that numbers, dates and times are said with, and how each is read. Values only; pure.

Each piece is a prompt of its own, so that numbers sound as the other prompts do. Japanese pieces are as long as a sound
change reaches: 三百 is one piece (さんびゃく), 三百六十五 three. Of two readings that are
in use it is the one that nobody mistakes on the telephone (七: なな, but しちじ and しちがつ, which have no other).
"""

from dataclasses import dataclass

PREFIX = "say_"
"""Begins the id of every piece, so that none is taken for a sentence."""


@dataclass(frozen=True, slots=True)
class Piece:
    """What the synthesiser is told, and in Japanese how it must be read, in katakana."""

    text: str
    reading: str = ""


def _japanese(names: str, written: str, read: str) -> dict[str, Piece]:
    """Three rows of the same length as pieces. Raises ValueError where they are not."""
    rows = zip(names.split(), written.split(), read.split(), strict=True)
    return {name: Piece(text, reading) for name, text, reading in rows}


def _numbered(name: str, first: int, written: str, read: str) -> dict[str, Piece]:
    count = len(written.split())
    return _japanese(" ".join(f"{name}_{first + index}" for index in range(count)), written, read)


_ONES = "一 二 三 四 五 六 七 八 九"
_ONES_READ = "イチ ニ サン ヨン ゴ ロク ナナ ハチ キュー"


def _counted(name: str, word: str, read: str) -> dict[str, Piece]:
    """One to nine of something."""
    written = " ".join(f"{one}{word}" for one in _ONES.split())
    return _numbered(name, 1, written, read)


JAPANESE: dict[str, Piece] = (
    _numbered(
        "digit",
        0,
        "ゼロ イチ ニー サン ヨン ゴー ロク ナナ ハチ キュー",
        "ゼロ イチ ニー サン ヨン ゴー ロク ナナ ハチ キュー",
    )
    | _japanese("star hash plus no", "米印 シャープ プラス の", "コメジルシ シャープ プラス ノ")
    | {"zero": Piece("ゼロ", "ゼロ")}
    | _numbered("unit", 1, _ONES, _ONES_READ)
    | _numbered(
        "ten",
        1,
        "十 二十 三十 四十 五十 六十 七十 八十 九十",
        "ジュー ニジュー サンジュー ヨンジュー ゴジュー ロクジュー ナナジュー ハチジュー キュージュー",
    )
    | _numbered(
        "hundred",
        1,
        "百 二百 三百 四百 五百 六百 七百 八百 九百",
        "ヒャク ニヒャク サンビャク ヨンヒャク ゴヒャク ロッピャク ナナヒャク ハッピャク キューヒャク",
    )
    | _numbered(
        "thousand",
        1,
        "千 二千 三千 四千 五千 六千 七千 八千 九千",
        "セン ニセン サンゼン ヨンセン ゴセン ロクセン ナナセン ハッセン キューセン",
    )
    | _japanese("thousand_1_of_more man oku", "一千 万 億", "イッセン マン オク")
    | _numbered(
        "month",
        1,
        " ".join(f"{month}月" for month in range(1, 13)),
        "イチガツ ニガツ サンガツ シガツ ゴガツ ロクガツ シチガツ ハチガツ クガツ ジューガツ ジューイチガツ ジューニガツ",
    )
    | _numbered(
        "day",
        1,
        "ついたち 二日 三日 四日 五日 六日 七日 八日 九日 十日 十一日 十二日 十三日 十四日 十五日 十六日 十七日 十八日 十九日 "
        "二十日 二十一日 二十二日 二十三日 二十四日 二十五日 二十六日 二十七日 二十八日 二十九日 三十日 三十一日",
        "ツイタチ フツカ ミッカ ヨッカ イツカ ムイカ ナノカ ヨーカ ココノカ トーカ ジューイチニチ ジューニニチ ジューサンニチ "
        "ジューヨッカ ジューゴニチ ジューロクニチ ジューシチニチ ジューハチニチ ジュークニチ ハツカ ニジューイチニチ "
        "ニジューニニチ ニジューサンニチ ニジューヨッカ ニジューゴニチ ニジューロクニチ ニジューシチニチ ニジューハチニチ "
        "ニジュークニチ サンジューニチ サンジューイチニチ",
    )
    | _numbered(
        "weekday",
        0,
        "日曜日 月曜日 火曜日 水曜日 木曜日 金曜日 土曜日",
        "ニチヨービ ゲツヨービ カヨービ スイヨービ モクヨービ キンヨービ ドヨービ",
    )
    | _numbered(
        "hour",
        0,
        "零時 一時 二時 三時 四時 五時 六時 七時 八時 九時 十時 十一時 十二時 十三時 十四時 十五時 十六時 十七時 十八時 十九時 "
        "二十時 二十一時 二十二時 二十三時",
        "レージ イチジ ニジ サンジ ヨジ ゴジ ロクジ シチジ ハチジ クジ ジュージ ジューイチジ ジューニジ ジューサンジ ジューヨジ "
        "ジューゴジ ジューロクジ ジューシチジ ジューハチジ ジュークジ ニジュージ ニジューイチジ ニジューニジ ニジューサンジ",
    )
    | _counted(
        "minute", "分", "イップン ニフン サンプン ヨンプン ゴフン ロップン ナナフン ハップン キューフン"
    )
    | _japanese(
        "minute_10 minute_20 minute_30 minute_40 minute_50",
        "十分 二十分 三十分 四十分 五十分",
        "ジュップン ニジュップン サンジュップン ヨンジュップン ゴジュップン",
    )
    | _japanese("am pm exactly", "午前 午後 ちょうど", "ゴゼン ゴゴ チョード")
    | _counted("year", "年", "イチネン ニネン サンネン ヨネン ゴネン ロクネン ナナネン ハチネン キューネン")
    | _counted(
        "hours",
        "時間",
        "イチジカン ニジカン サンジカン ヨジカン ゴジカン ロクジカン シチジカン ハチジカン クジカン",
    )
    | _counted(
        "second",
        "秒",
        "イチビョー ニビョー サンビョー ヨンビョー ゴビョー ロクビョー ナナビョー ハチビョー キュービョー",
    )
    | _counted("yen", "円", "イチエン ニエン サンエン ヨエン ゴエン ロクエン ナナエン ハチエン キューエン")
    | _japanese("year hours minute second yen", "年 時間 ふん 秒 円", "ネン ジカン フン ビョー エン")
)
"""Piece -> text and reading, without `PREFIX`."""

MISREAD = {
    "hundred_8": "はっぴゃく",
    "minute_2": "にふん",
    "minute_5": "ごふん",
    "minute_8": "はっぷん",
    "minute_9": "きゅうふん",
    "hours_7": "しちじかん",
    "year": "ねん",
}
"""Pieces that Open JTalk reads otherwise when it is given them alone (八百 as やお): written as they are read."""

JAPANESE |= {name: Piece(text, JAPANESE[name].reading) for name, text in MISREAD.items()}

_SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_ORDINALS = (
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth "
    "sixteenth seventeenth eighteenth nineteenth twentieth"
)
_MONTHS = "January February March April May June July August September October November December"
_WEEKDAYS = "Sunday Monday Tuesday Wednesday Thursday Friday Saturday"
_PLAIN = (
    "hundred thousand million billion oh at today yesterday hour hours minute minutes second seconds dollar dollars "
    "cent cents yen and star hash plus"
)


def _english(name: str, first: int, words: str) -> dict[str, Piece]:
    return {f"{name}_{number}": Piece(word) for number, word in enumerate(words.split(), first)}


ENGLISH: dict[str, Piece] = (
    _english("unit", 0, _SMALL)
    | _english("ten", 2, "twenty thirty forty fifty sixty seventy eighty ninety")
    | _english("ordinal", 1, _ORDINALS)
    | {"ordinal_30": Piece("thirtieth")}
    | _english("month", 1, _MONTHS)
    | _english("weekday", 0, _WEEKDAYS)
    | {word: Piece(word) for word in _PLAIN.split()}
    | {"am": Piece("A M"), "pm": Piece("P M"), "oclock": Piece("o'clock")}
)
"""Piece -> text, without `PREFIX`."""

PIECES: dict[str, dict[str, Piece]] = {"en": ENGLISH, "ja": JAPANESE}
