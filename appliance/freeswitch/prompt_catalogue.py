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
    "code_locked": {
        "en": "This number is locked because its code was wrong too often. Please try again later.",
        "ja": "暗証番号の誤りが続いたため、この番号はしばらくご利用になれません。のちほどおかけ直しください。",
    },
    "conference_alone": {
        "en": "You are the first in the conference.",
        "ja": "会議には、まだほかの方が参加していません。",
    },
    "recorded": {
        "en": "This call is recorded to improve our service.",
        "ja": "この通話は、サービス向上のため録音されます。",
    },
    "call_recorded": {
        "en": "This call is recorded.",
        "ja": "この通話は録音されます。",
    },
    "queue_place": {
        "en": "All our lines are busy. Your place in the queue is:",
        "ja": "ただいま電話が大変混み合っております。お客様の順番は、",
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
    "not_allowed": {
        "en": "This is not allowed from this telephone.",
        "ja": "この電話機では、ご利用いただけません。",
    },
    "caller_blocked": {
        "en": "The person you have called does not take calls from your number.",
        "ja": "おかけになった番号では、お客様の番号からの電話をお受けしておりません。",
    },
    "caller_anonymous": {
        "en": "Calls without a number are not taken here. Please call again and show your number.",
        "ja": "番号非通知の電話はお受けしておりません。番号の前に一、八、六をつけて、おかけ直しください。",
    },
    "anonymous_on": {
        "en": "Calls without a number are now refused.",
        "ja": "番号非通知の電話の拒否を設定しました。",
    },
    "anonymous_off": {
        "en": "Calls without a number are put through again.",
        "ja": "番号非通知の電話の拒否を解除しました。",
    },
    "block_set": {
        "en": "Calls from the number that called last are now refused.",
        "ja": "最後に着信した番号からの電話を拒否します。",
    },
    "block_cleared": {
        "en": "The last refused number is put through again.",
        "ja": "直前に設定した番号の拒否を解除しました。",
    },
    "no_last_caller": {
        "en": "There is no such number.",
        "ja": "該当する番号がありません。",
    },
    "hot_desk_how": {
        "en": "Please dial the code, star, your extension, star, and your pin.",
        "ja": "特番、スター、内線番号、スター、暗証番号の順に押してください。",
    },
    "hot_desk_in": {
        "en": "You are logged in. This telephone is now yours.",
        "ja": "ログインしました。",
    },
    "hot_desk_out": {
        "en": "You are logged out.",
        "ja": "ログアウトしました。",
    },
    "hot_desk_wrong": {
        "en": "The extension or the pin is not right.",
        "ja": "内線番号か暗証番号が違います。",
    },
    "hot_desk_locked": {
        "en": "There were too many wrong attempts. Please try again later.",
        "ja": "入力回数の上限を超えました。時間をおいてお試しください。",
    },
    "hot_desk_nobody": {
        "en": "Nobody is logged in at this telephone.",
        "ja": "この電話機には、だれもログインしていません。",
    },
    "forward_set": {
        "en": "Your calls are now forwarded.",
        "ja": "転送を設定しました。",
    },
    "forward_cleared": {
        "en": "Your calls are no longer forwarded.",
        "ja": "転送を解除しました。",
    },
    "do_not_disturb_on": {
        "en": "Do not disturb is on.",
        "ja": "着信拒否を設定しました。",
    },
    "do_not_disturb_off": {
        "en": "Do not disturb is off.",
        "ja": "着信拒否を解除しました。",
    },
    "your_number": {
        "en": "The number of this telephone is:",
        "ja": "この電話の内線番号は、",
    },
    "echo_begins": {
        "en": "You will now hear what you say.",
        "ja": "これから、お話しになった声がそのまま聞こえます。",
    },
    "ref_not_permitted": {
        "en": "This telephone may not call that number.",
        "ja": "この電話機からは、おかけになった番号に発信できません。",
    },
    "ref_unreachable": {
        "en": "The telephone that you are calling cannot be reached at the moment.",
        "ja": "おかけになった電話は、ただいま電話に出ることができません。",
    },
    "ref_incomplete": {
        "en": "The number is not complete. Please check it and call again.",
        "ja": "番号が足りません。番号をお確かめのうえ、おかけ直しください。",
    },
    "ref_busy": {
        "en": "The line is busy. Please call again later.",
        "ja": "ただいま話し中です。のちほどおかけ直しください。",
    },
    "ref_congestion": {
        "en": "All lines are busy at the moment. Please call again later.",
        "ja": "ただいま回線が大変混み合っております。のちほどおかけ直しください。",
    },
    "scr_say_name": {
        "en": "Please say your name after the tone.",
        "ja": "発信音のあとに、お名前をお話しください。",
    },
    "scr_call_from": {
        "en": "You have a call from:",
        "ja": "お電話です。お名前は、",
    },
    "scr_choose": {
        "en": "To accept, press one. To refuse, press two. To send to voicemail, press three.",
        "ja": "受けるには一、断るには二、留守番電話に転送するには三を押してください。",
    },
    "room_recorded": {
        "en": "This conference is recorded.",
        "ja": "この会議は録音されます。",
    },
    "room_not_stored": {
        "en": "There is no room left for the recording. This conference is no longer recorded.",
        "ja": "保存領域が足りないため、録音を終了しました。この会議は録音されていません。",
    },
    "room_recordable": {
        "en": "This conference may be recorded. To begin, press star one; to end, star two.",
        "ja": "この会議は録音されることがあります。録音の開始は米印一、終了は米印二を押してください。",
    },
    "callback_set": {
        "en": "You will be called as soon as the telephone is free. Please hang up.",
        "ja": "相手の電話が空きましたら、お呼びします。受話器を置いてお待ちください。",
    },
    "callback_none": {
        "en": "There is no busy telephone to call back.",
        "ja": "呼び返す相手がありません。",
    },
    "callback_cancelled": {
        "en": "You will not be called back.",
        "ja": "呼び返しを取り消しました。",
    },
    "dir_spell": {
        "en": "Please enter the first three letters of the name, one key for each letter.",
        "ja": "お名前の最初の三文字を、一文字につき一回ずつ、あ行は一、か行は二のように押してください。",
    },
    "dir_nobody": {
        "en": "Nobody by that name was found.",
        "ja": "該当するお名前がありません。",
    },
    "dir_press": {"en": "press", "ja": "は、"},
    "dir_unanswered": {
        "en": "There is no answer.",
        "ja": "応答がありません。",
    },
    "vm_enter_id": {
        "en": "Please enter the extension, followed by the hash key.",
        "ja": "内線番号を押し、最後にシャープを押してください。",
    },
    "vm_enter_pin": {
        "en": "Please enter your pin, followed by the hash key.",
        "ja": "暗証番号を押し、最後にシャープを押してください。",
    },
    "vm_wrong_pin": {
        "en": "That pin is not right.",
        "ja": "暗証番号が違います。",
    },
    "vm_too_many": {
        "en": "Too many attempts. Goodbye.",
        "ja": "入力回数の上限を超えました。失礼いたします。",
    },
    "vm_menu": {
        "en": "For new messages, press one. For saved messages, press two. For greetings, press five. To leave or to change your "
        "pin, press hash.",
        "ja": "新しいメッセージは一、保存したメッセージは二、応答メッセージの設定は五、"
        "暗証番号の変更または終了はシャープを押してください。",
    },
    "vm_settings": {
        "en": "To record a greeting, press one. To choose a greeting, press two. To record your name, press three. "
        "To go back, press zero.",
        "ja": "応答メッセージの録音は一、選択は二、名前の録音は三、前に戻るには零を押してください。",
    },
    "vm_greeting": {
        "en": "Nobody can take your call at the moment.",
        "ja": "ただいま電話に出ることができません。",
    },
    "vm_greeting_busy": {
        "en": "The person you are calling is busy at the moment.",
        "ja": "ただいま話し中のため、電話に出ることができません。",
    },
    "vm_locked": {
        "en": "This box is locked because its pin was wrong too often. Please try again later.",
        "ja": "暗証番号の誤りが続いたため、しばらくご利用になれません。のちほどおかけ直しください。",
    },
    "vm_in_use": {
        "en": "This box is in use. Please try again later.",
        "ja": "ただいまほかの方が操作しています。のちほどおかけ直しください。",
    },
    "vm_not_stored": {
        "en": "What you said could not be stored. Please try again later.",
        "ja": "録音を保存できませんでした。しばらくしてからもう一度お試しください。",
    },
    "vm_no_room": {
        "en": "Messages cannot be taken at the moment.",
        "ja": "ただいまメッセージをお預かりすることができません。",
    },
    "vm_nobody": {
        "en": "The person who left the message cannot be reached.",
        "ja": "メッセージをお残しになった方に、おつなぎできませんでした。",
    },
    "vm_change_pin": {
        "en": "To change your pin, press four. To leave, hang up.",
        "ja": "暗証番号を変更するには四を押してください。終了するには、そのまま電話をお切りください。",
    },
    "vm_new_pin": {
        "en": "Please enter your new pin of four to ten digits, followed by the hash key.",
        "ja": "新しい暗証番号を四桁から十桁で押し、最後にシャープを押してください。",
    },
    "vm_new_pin_again": {
        "en": "Please enter your new pin once more, followed by the hash key.",
        "ja": "確認のため、新しい暗証番号をもう一度押し、最後にシャープを押してください。",
    },
    "vm_record": {
        "en": "Please leave a message after the tone, and press hash when you have finished.",
        "ja": "発信音のあとにメッセージをお話しください。終わりましたらシャープを押してください。",
    },
    "vm_recorded": {
        "en": "To listen to your message, press one. To send it, press two. To record it again, press three.",
        "ja": "再生するには一、送信するには二、録音し直すには三を押してください。",
    },
    "vm_urgent": {
        "en": "To mark the message as urgent, press star. To go on, press hash.",
        "ja": "至急の場合は米印を、そのままでよければシャープを押してください。",
    },
    "vm_record_greeting": {
        "en": "Record your greeting after the tone, and press hash.",
        "ja": "発信音のあとに応答メッセージを録音し、シャープを押してください。",
    },
    "vm_record_name": {
        "en": "Say your name after the tone, and press hash.",
        "ja": "発信音のあとに名前を録音し、シャープを押してください。",
    },
    "vm_choose_greeting": {
        "en": "For the greeting when you do not answer, press one. For the greeting when you are busy, press two.",
        "ja": "不在のときの応答メッセージは一、話し中のときの応答メッセージは二を押してください。",
    },
    "vm_saved": {
        "en": "The message is saved.",
        "ja": "保存しました。",
    },
    "vm_deleted": {
        "en": "The message is deleted.",
        "ja": "削除しました。",
    },
    "vm_too_short": {
        "en": "Your message is too short. Please record it again.",
        "ja": "録音が短すぎます。もう一度お話しください。",
    },
    "vm_pin_changed": {
        "en": "Your pin has been changed.",
        "ja": "暗証番号を変更しました。",
    },
    "vm_pin_not_changed": {
        "en": "Your pin has not been changed.",
        "ja": "暗証番号は変更されていません。",
    },
    "vm_listen": {
        "en": "To hear it again, press one. To save it, press two. To delete it, press seven. "
        "To call the person back, press five.",
        "ja": "もう一度聞くには一、保存は二、削除は七、相手にかけ直すには五を押してください。",
    },
    "vm_full": {
        "en": "This box is full. Your message cannot be taken.",
        "ja": "録音できる件数を超えているため、メッセージをお預かりできません。",
    },
    "vm_new": {
        "en": "New messages:",
        "ja": "新しいメッセージは、",
    },
    "vm_old": {
        "en": "Saved messages:",
        "ja": "保存したメッセージは、",
    },
    "vm_message": {
        "en": "Message number",
        "ja": "メッセージ番号、",
    },
    "vm_from": {
        "en": "From:",
        "ja": "発信者は、",
    },
    "vm_withheld": {
        "en": "From a caller who does not give a number.",
        "ja": "発信者番号は、通知されていません。",
    },
    "vm_more": {
        "en": "more than thirty",
        "ja": "三十件以上です。",
    },
}

_TEXTS |= {f"number_{number}": {"en": str(number), "ja": str(number)} for number in range(31)}

BUILT_IN: tuple[Prompt, ...] = tuple(
    Prompt(name, tuple(sorted(texts.items()))) for name, texts in _TEXTS.items()
)
"""Every prompt that a flow can name without the site document giving it."""
