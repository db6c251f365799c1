"""Reading: headers, character sets, HTML, parts, attachments. Whatever is wrong is noted, nothing raises."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.triage.reader import mail
from triage import Mail, read_mail
from triage.headers import message_ids

MIXED = b"""From: =?utf-8?B?SmVhbm5lIEzDqW9u?= <Jeanne@Client.example>\r
To: Librairie <contact@shop.example>, b@shop.example\r
Cc: c@shop.example\r
Reply-To: <perso@client.example>\r
Subject: =?iso-8859-1?Q?Colis_ab=EEm=E9?=\r
Date: Mon, 2 Mar 2026 10:12:00 +0100\r
Message-ID: <a1@client.example>\r
In-Reply-To: <b2@shop.example>\r
References: <b1@shop.example>\r
 <b2@shop.example>\r
MIME-Version: 1.0\r
Content-Type: multipart/mixed; boundary="outer"\r
\r
for old readers\r
--outer\r
Content-Type: multipart/alternative; boundary="inner"\r
\r
--inner\r
Content-Type: text/plain; charset=utf-8\r
Content-Transfer-Encoding: quoted-printable\r
\r
Le livre est ab=C3=AEm=C3=A9.\r
--inner\r
Content-Type: text/html; charset=utf-8\r
\r
<p>Le livre est <b>tout</b> autre</p>\r
--inner--\r
--outer\r
Content-Type: image/jpeg; name="x.jpg"\r
Content-Disposition: attachment; filename*=UTF-8''photo%20%C3%A9t%C3%A9.jpg\r
Content-Transfer-Encoding: base64\r
\r
aGVsbG8gd29ybGQ=\r
--outer--\r
"""


def test_everything_a_sorter_needs_is_read() -> None:
    read = read_mail(MIXED)
    assert (read.from_address, read.from_name) == ("jeanne@client.example", "Jeanne Léon")
    assert [each.address for each in (*read.to, *read.cc)] == [
        "contact@shop.example",
        "b@shop.example",
        "c@shop.example",
    ]
    assert read.reply_to == "perso@client.example"
    assert read.subject == "Colis abîmé"
    assert read.date == datetime(2026, 3, 2, 9, 12, tzinfo=UTC)
    assert read.message_id == "<a1@client.example>"
    assert read.thread_ids == ("<b1@shop.example>", "<b2@shop.example>")
    assert read.text == "Le livre est abîmé."
    assert read.has_html
    (photo,) = read.attachments
    assert (photo.name, photo.content_type, photo.size) == ("photo été.jpg", "image/jpeg", 11)
    assert read.defects == ()


def test_every_id_of_in_reply_to_names_a_mail_that_is_answered() -> None:
    read = read_mail(mail(in_reply_to="<unknown@x.example> <b2@shop.example>"))
    assert read.thread_ids == ("<unknown@x.example>", "<b2@shop.example>")
    assert read.in_reply_to == "<unknown@x.example>"


def test_an_id_longer_than_any_is_known_by_a_digest_and_an_address_longer_than_any_is_none() -> None:
    long = f"<{'a' * 500}@client.example>"
    read = read_mail(
        mail(message_id=long, sender="", **{"from": f"{'b' * 400}@client.example"}), envelope_from="c" * 900
    )
    again = read_mail(mail(in_reply_to=long))
    assert again.thread_ids == (read.message_id,)
    assert len(read.message_id) < 100
    assert (read.from_address, len(read.envelope_from or "")) == ("", 320)
    assert "no sender" in read.defects


def test_ids_without_brackets_are_read() -> None:
    assert message_ids("a@b.example, c@d.example") == ("<a@b.example>", "<c@d.example>")


@pytest.mark.timeout(60)  # the square of the length took minutes
@pytest.mark.parametrize("noise", ["-", "a@", "@", "a ", "<a"])
def test_noise_among_ids_is_passed_over(noise: str) -> None:
    assert len(message_ids(noise * 200_000)) <= 1


def test_a_missing_message_id_is_made_from_the_content() -> None:
    first, again, other = (read_mail(mail(text, message_id="")) for text in ("un", "un", "deux"))
    assert first.message_id == again.message_id != other.message_id
    assert first.message_id_made
    assert "no Message-ID" in first.defects


@pytest.mark.parametrize(
    ("charset", "data", "expected"),
    [
        ("utf-8", "été à 5 €".encode(), "été à 5 €"),
        ("iso-8859-1", "été à 5 €".encode("cp1252"), "été à 5 €"),
        ("us-ascii", "été".encode(), "été"),
        ("utf-8", "été à la forêt".encode("cp1252"), "été à la forêt"),
        ("x-unknown", "Müller grüßt".encode("cp1252"), "Müller grüßt"),
        ("", "mañana ¿sí?".encode(), "mañana ¿sí?"),
        ("gb2312", "你好".encode("gb18030"), "你好"),
        ("ks_c_5601-1987", "안녕".encode("cp949"), "안녕"),
        ('"windows-1252"', "l’été".encode("cp1252"), "l’été"),
        ("hex", b"bonjour", "bonjour"),
        (
            "utf-8",
            "Où est l’été ? Déjà payé ".encode() + b"\x97 envoy\xe9 par " + "la boîte".encode(),
            "Où est l’été ? Déjà payé — envoyé par la boîte",
        ),
        (
            "utf-8",
            "Où est l’été ? Déjà payé, 5 ".encode() + b"\xe2\x82 net".strip(),
            "Où est l’été ? Déjà payé, 5 \ufffd net",
        ),
        ("utf-8", "Où est l’été ? Déjà pay".encode() + b"\xc3", "Où est l’été ? Déjà pay\ufffd"),
        ("big5", "軟體更新".encode("big5").decode("latin-1").encode(), "軟體更新"),
        ("big5", "l’été à la forêt".encode(), "l’été à la forêt"),
    ],
)
def test_text_is_right_whatever_character_set_is_declared(charset: str, data: bytes, expected: str) -> None:
    raw = b"From: a@b.example\nContent-Type: text/plain; charset=" + charset.encode() + b"\n\n" + data
    assert read_mail(raw).text == expected


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("=?utf-8?B?w6k=?= =?utf-8?B?w6g=?=", "éè"),
        ("=?utf-8?B?w6k=?=a =?utf-8?Q?b_c?=", "éa b c"),
        ("=?utf-8?B?4pys?= =?utf-8?B?4g==?= =?utf-8?B?nKg=?=", "✬✨"),
        ("=?utf-8?B?w6k?=", "é"),
        ("=?UTF-8?Q?a=20b?= suite", "a b suite"),
        ("=?x-unknown?Q?caf=E9?=", "café"),
        ("Re: =?nothing", "Re: =?nothing"),
    ],
)
def test_encoded_words_are_decoded_even_when_broken(written: str, read: str) -> None:
    assert read_mail(mail(subject=written)).subject == read


def test_raw_eight_bit_headers_are_read_in_the_character_set_of_the_body() -> None:
    raw = b"Subject: \xd0\xe9\xf1\nContent-Type: text/plain; charset=windows-1251\n\nx"
    assert read_mail(raw).subject == "Рйс"
    assert read_mail("Subject: été\n\nx".encode()).subject == "été"


def test_html_is_read_without_scripts_remote_images_or_hidden_text() -> None:
    html = (
        "<html><head><title>t</title><style>p{}</style></head><body><script>steal()</script>"
        '<div style="display:none">preheader</div><img src="https://tracker.example/x.png" alt="">'
        "<p>Bonjour&nbsp;!</p><ul><li>un</li><li>deux</li></ul></body></html>"
    )
    text = read_mail(mail(html, content_type="text/html; charset=utf-8")).text
    assert text.split() == ["Bonjour", "!", "*", "un", "*", "deux"]


def test_html_quotes_are_history_and_answers_between_them_are_not() -> None:
    html = (
        "<div>Voici l'adresse :</div><blockquote type=cite>Quelle adresse ?</blockquote><div>12 rue des Lilas</div>"
        "<blockquote type=cite>Merci</blockquote>"
    )
    read = read_mail(mail(html, content_type="text/html"))
    assert read.text == "Voici l'adresse :\n12 rue des Lilas"
    assert "Quelle adresse" in read.quoted


_OUTLOOK = "border:none;border-top:solid #E1E1E1 1.0pt;padding:3.0pt 0cm 0cm 0cm"
_WINDOWS_MAIL = (
    "padding-top: 5px; border-top-color: rgb(229, 229, 229); border-top-width: 1px; border-top-style: solid;"
)
_SWEDISH = "<b>Från:</b> Butik<br><b>Skickat:</b> den 3 mars 2026 10:12<br><b>Till:</b> Jean<br><b>Ämne:</b> Paket"
_RUSSIAN = "<b>От:</b> Магазин<br><b>Отправлено:</b> 3 марта 2026 г. 10:12<br><b>Кому:</b> Jean"


@pytest.mark.parametrize(
    "answered",
    [
        f"<div><div style='{_OUTLOOK}'><p class=MsoNormal>{_SWEDISH}</p></div></div><p>Hej</p><p>Butiken</p>",
        f"<div style='{_OUTLOOK.replace('cm', 'in')}'><p>{_SWEDISH}</p></div><p>Hej</p><p>Butiken</p>",
        f"<div style='{_WINDOWS_MAIL}'><div>{_RUSSIAN}</div></div><div>Hej</div><div>Butiken</div>",
    ],
)
def test_what_outlook_and_windows_mail_draw_a_line_above_is_history_in_any_language(answered: str) -> None:
    html = f"<html><body><div class=WordSection1><p>Toujours rien !</p><p>Jean</p>{answered}</div><p>Pied</p></body></html>"
    read = read_mail(mail(html, content_type="text/html; charset=utf-8"))
    assert read.text.split() == ["Toujours", "rien", "!", "Jean", "Pied"]
    assert "Hej" in read.quoted
    assert "Butiken" in read.quoted
    assert "2026" in read.quoted


@pytest.mark.parametrize(
    "style", ["border-top:1px solid #ccc", "border:none;border-top:solid #E1E1E1 1.0pt", "padding:3.0pt 0cm 0cm 0cm"]
)
def test_a_form_with_a_line_above_it_is_no_history(style: str) -> None:
    form = "<b>Nom :</b> Jean<br><b>E-mail :</b> j@x.example<br><b>Message :</b> Où est mon colis ?"
    html = f"<p>Nouveau message</p><div style='{style}'>{form}</div><p>Envoyé par le formulaire</p>"
    read = read_mail(mail(html, content_type="text/html; charset=utf-8"))
    assert read.quoted == ""
    assert "Où est mon colis ?" in read.text


def test_an_indented_paragraph_is_no_history() -> None:
    html = "<p>Votre site dit :</p><blockquote>Retours gratuits</blockquote><p>Est-ce vrai ?</p>"
    read = read_mail(mail(html, content_type="text/html"))
    assert "Retours gratuits" in read.text
    assert read.quoted == ""


def test_a_plain_part_that_only_points_to_the_html_is_passed_over() -> None:
    raw = mail(
        "--x\nContent-Type: text/plain\n\nThis message requires an HTML viewer.\n"
        "--x\nContent-Type: text/html\n\n<p>Où est mon colis ?</p>\n--x--\n",
        content_type='multipart/alternative; boundary="x"',
    )
    assert read_mail(raw).text == "Où est mon colis ?"


def test_flowed_lines_are_joined_and_quotes_keep_their_depth() -> None:
    body = "Je n'ai rien \nreçu.\n\n> une longue \n> citation\n-- \nJean"
    read = read_mail(mail(body, content_type="text/plain; charset=utf-8; format=flowed"))
    assert read.text == "Je n'ai rien reçu."
    assert read.quoted == "> une longue citation"
    assert read.signature == "--\nJean"


def test_text_around_and_between_attachments_is_all_read() -> None:
    raw = mail(
        "--x\nContent-Type: text/plain\n\navant\n--x\nContent-Type: image/png; name=a.png\n\n..\n"
        "--x\nContent-Type: text/plain\n\nentre\n--x\nContent-Type: text/plain\n"
        "Content-Disposition: attachment; filename=note.txt\n\nfichier\n--x--\n",
        content_type='multipart/mixed; boundary="x"',
    )
    read = read_mail(raw)
    assert read.text == "avant\n\nentre"
    assert [file.name for file in read.attachments] == ["a.png", "note.txt"]


def test_an_enclosed_mail_is_an_attachment_and_history() -> None:
    raw = mail(
        "--x\nContent-Type: text/plain\n\nVoici leur mail\n--x\nContent-Type: message/rfc822\n\n"
        "From: colis@carrier.example\nSubject: Livraison\n\nVotre colis CMD-2026-104233\n--x--\n",
        content_type='multipart/mixed; boundary="x"',
    )
    read = read_mail(raw)
    assert read.text == "Voici leur mail"
    assert read.quoted == "Votre colis CMD-2026-104233"
    assert read.attachments[0].name == "Livraison.eml"


@pytest.mark.parametrize(
    ("body", "headers", "text", "defect"),
    [
        ("Pas =\n=C3=A9t=zz", {"content_transfer_encoding": "quoted-printable"}, "Pas ét=zz", None),
        ("Qm9uam91cg", {"content_transfer_encoding": "base64"}, "Bonjour", None),
        (
            "Bonjour, ce texte n'en est pas !",
            {"content_transfer_encoding": "base64"},
            "Bonjour, ce texte n'en est pas !",
            "base64",
        ),
        ("Bonjour", {"content_transfer_encoding": "x-rot13"}, "Bonjour", "transfer encoding"),
        ("Bonjour", {"content_type": "multipart/mixed"}, "Bonjour", "without boundary"),
        ("--x\n\nBonjour", {"content_type": "multipart/mixed; boundary=x"}, "Bonjour", "not closed"),
        ("--y\n\nBonjour\n--y--", {"content_type": "multipart/mixed"}, "Bonjour", "without boundary"),
        ("Bonjour", {"content_type": "text"}, "Bonjour", None),
    ],
)
def test_broken_encodings_still_give_the_text(
    body: str, headers: dict[str, str], text: str, defect: str | None
) -> None:
    read = read_mail(mail(body, **headers))
    assert read.text == text
    assert defect is None or any(defect in each for each in read.defects)


def test_uuencoded_files_leave_the_text() -> None:
    read = read_mail(mail("Voici\n\nbegin 644 note.txt\n%:&5L;&\\\n`\nend\n"))
    assert read.text == "Voici"
    assert (read.attachments[0].name, read.attachments[0].size) == ("note.txt", 5)


@pytest.mark.parametrize(
    ("raw", "envelope"),
    [
        (b"Return-Path: <>\n\nx", ""),
        (b"Return-Path: <A@b.example>\n\nx", "a@b.example"),
        (b"From MAILER-DAEMON Mon Mar  2 10:12:00 2026\nSubject: x\n\nx", ""),
        (b"Subject: x\n\nx", None),
    ],
)
def test_the_return_path_is_known_null_or_unknown(raw: bytes, envelope: str | None) -> None:
    assert read_mail(raw).envelope_from == envelope
    assert read_mail(raw, envelope_from="Told@server.example").envelope_from == "told@server.example"


def test_a_file_name_is_only_a_name() -> None:
    raw = mail(
        "x", content_type="image/png", content_disposition='attachment; filename="..\\\\..\\\\etc/\x07pass\x1bwd"'
    )
    assert read_mail(raw).attachments[0].name == "passwd"


def test_a_text_without_headers_is_all_body() -> None:
    read = read_mail(b"Bonjour, o\xc3\xb9 est mon colis ?\nMerci\n")
    assert read.text == "Bonjour, où est mon colis ?\nMerci"
    assert "no headers" in read.defects


def _check(read: Mail) -> None:
    texts = (read.subject, read.text, read.quoted, read.signature, read.full_text, read.from_name, read.message_id)
    for text in (*texts, *(file.name for file in read.attachments), *read.thread_ids):
        text.encode("utf-8")  # no lone surrogate
        assert "\x00" not in text
    assert "\n" not in read.subject + read.message_id + read.from_address


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=2000))
def test_any_bytes_are_read(raw: bytes) -> None:
    _check(read_mail(raw))


_LINES = st.sampled_from(
    [
        b"From: a@b.example", b"Subject: =?utf-8?B?//79?= =?", b"Content-Type: multipart/mixed; boundary=b", b"--b", b"--b--",
        b"Content-Type: text/html; charset=utf-7", b"Content-Type: message/rfc822", b"", b" folded", b"no header", b"<p>&#xD800;",
        b"Content-Transfer-Encoding: base64", b"+2AA-", b"\xff\xfe\x00", b"Content-Type: text/plain; charset*0*=x''%ff; name*=u",
        b"Content-Type: text/plain; charset=utf-16", b"Content-Transfer-Encoding: quoted-printable", b"> quote", b"-- ", b"=",
        b"Content-Disposition: attachment; filename*=idna''%C3%A9", b"begin 644 x", b"end", b"Message-ID: <\xe9@x>", b"To: ((((",
        b"References: <a@b\x00> <c", b"Date: 99 99 99", b"Return-Path: <<>>", b"Content-Type: multipart/alternative; boundary=b",
    ]
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.lists(_LINES, max_size=30))
def test_any_order_of_mail_like_lines_is_read(lines: list[bytes]) -> None:
    _check(read_mail(b"\n".join(lines)))


def test_base64_lines_that_were_encoded_one_by_one_are_joined() -> None:
    body = "\n".join(base64.b64encode(piece.encode()).decode() for piece in ("Bonjour,", " merci"))
    assert read_mail(mail(body, content_transfer_encoding="base64")).text == "Bonjour, merci"
