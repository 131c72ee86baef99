"""What a box says out of the box: every prompt in English and Japanese. Values only; pure.

The audio is synthesised when a box or an image is made (`speech`). A site document's prompt of the same id takes the place
of one of these.
"""

from appliance.freeswitch.applications import Prompt

_TEXTS: dict[str, dict[str, str]] = {
    "welcome": {
        "en": "Thank you for calling.",
        "ja": "お電話ありがとうございます。",
    },
    "main_menu": {
        "en": "For sales, press one. For support, press two. To speak to our reception, press zero.",
        "ja": "営業の方は一を、サポートの方は二を、受付におつなぎする方は零を押してください。",
    },
    "invalid": {
        "en": "That key is not in use. Please try again.",
        "ja": "押された番号は使われておりません。もう一度お試しください。",
    },
    "closed": {
        "en": "Our office is closed at the moment. Please call again during business hours.",
        "ja": "ただいま営業時間外です。恐れ入りますが、営業時間内におかけ直しください。",
    },
    "holiday": {
        "en": "Our office is closed today for a holiday. Please call again on the next working day.",
        "ja": "本日は休業日です。恐れ入りますが、翌営業日におかけ直しください。",
    },
    "emergency_closure": {
        "en": "Our office is closed because of an emergency. Please look at our web site for news.",
        "ja": "緊急のため、ただいま休業しております。最新の情報は、ホームページをご覧ください。",
    },
    "please_wait": {
        "en": "Please hold the line.",
        "ja": "おつなぎします。少々お待ちください。",
    },
    "nobody": {
        "en": "Nobody can take your call at the moment. Please call again later.",
        "ja": "ただいま電話に出ることができません。恐れ入りますが、のちほどおかけ直しください。",
    },
    "goodbye": {
        "en": "Thank you for your call. Goodbye.",
        "ja": "お電話ありがとうございました。失礼いたします。",
    },
    "enter_extension": {
        "en": "Please enter the extension number, followed by the hash key.",
        "ja": "内線番号を押し、最後にシャープを押してください。",
    },
    "enter_code": {
        "en": "Please enter the access code, followed by the hash key.",
        "ja": "暗証番号を押し、最後にシャープを押してください。",
    },
    "wrong_code": {
        "en": "That code is not right.",
        "ja": "暗証番号が違います。",
    },
    "conference_alone": {
        "en": "You are the first in the conference.",
        "ja": "会議には、まだほかの方が参加していません。",
    },
    "recorded": {
        "en": "This call is recorded to improve our service.",
        "ja": "この通話は、サービス向上のため録音されます。",
    },
    "set_open": {
        "en": "The office is now set to open.",
        "ja": "営業中に設定しました。",
    },
    "set_closed": {
        "en": "The office is now set to closed.",
        "ja": "営業時間外に設定しました。",
    },
    "set_automatic": {
        "en": "The office follows its timetable again.",
        "ja": "営業時間の予定どおりに設定しました。",
    },
    "no_such_number": {
        "en": "The number you have called is not in use.",
        "ja": "おかけになった番号は、使われておりません。",
    },
}

BUILT_IN: tuple[Prompt, ...] = tuple(
    Prompt(name, tuple(sorted(texts.items()))) for name, texts in _TEXTS.items()
)
"""Every prompt that a flow can name without the site document giving it."""
