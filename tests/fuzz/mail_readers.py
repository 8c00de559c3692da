"""Mail: SMTP, headers, bodies, HTML, reports of failures, commands."""

from __future__ import annotations

from adapters.email.addresses import Special, local_target, parse_path, split_address
from adapters.email.charsets import decode_words, header_line, plain_text
from adapters.email.control.order import order_of, read_order
from adapters.email.data import DataDecoder
from adapters.email.dsn import by_program, explained, read_bounce
from adapters.email.flowed import unflow
from adapters.email.html import html_to_text
from adapters.email.mailbox import parse_mailbox
from adapters.email.messageid import as_message_id, message_ids_in, writable_message_id
from adapters.email.mime import leaves
from adapters.email.parse import parse_mail
from adapters.email.quotes import new_part
from adapters.email.reactions import emoji_in, gmail_emoji
from adapters.email.reading.frames import mail_from_json, mail_to_json
from adapters.email.returnpath import ReturnPath
from adapters.email.sasl import read_login, read_plain
from adapters.email.subjects import answer_subject, base_subject
from adapters.email.transfer import read_base64, read_quoted_printable, transfer_decode
from gateway.sdk import MessageHash
from tests.fuzz.target import Target, each, text_of

NOW = 1_750_000_000_000
DOMAIN = "gw.example"
HASH = MessageHash("0x" + "11" * 32)
PATHS = ReturnPath(DOMAIN, b"\5" * 32)


def smtp_data(data: bytes) -> None:
    """However the content is cut into blocks, it is the same; its end is found, or it waits for more."""
    cut, wire = (data[0] % 7 + 1 if data else 1), data[1:]
    whole, pieces = DataDecoder(size_limit=600, line_limit=80), DataDecoder(size_limit=600, line_limit=80)
    content = whole.feed(wire)
    fed, position = b"", 0
    while pieces.rest is None and position < len(wire):
        fed += pieces.feed(wire[position : position + cut])
        position += cut
    ended, expected = pieces.rest, whole.rest
    assert (ended is None) == (expected is None)
    assert whole.refused == pieces.refused
    if ended is not None and expected is not None:
        assert ended + wire[position:] == expected
        assert whole.refused or fed == content


def smtp_path(data: bytes) -> None:
    """An address in a command fits back into one."""
    found = parse_path(text_of(data), own_domain=DOMAIN)
    if found is None or found[0] == "<>":
        return
    assert parse_path(f"<{found[0]}>", own_domain=DOMAIN) == (found[0], "")
    box = split_address(found[0])
    box.canonical_domain()
    target = local_target(box.local)
    if target is Special.RETURN_PATH:
        assert PATHS.message_prefix(box.local.strip('"'), NOW)


def log_in(data: bytes) -> None:
    """Both exchanges, with answers from the same bytes; nothing but a log-in or a refusal comes of them."""
    first, _, second = data.partition(b"\n")

    async def challenge(_text: str) -> bytes:
        return second

    for read in (read_plain, read_login):
        try:
            read(first.decode("latin-1"), challenge).send(None)
        except StopIteration as ended:
            assert ended.value is None or len(ended.value) == 2


def mailbox(data: bytes) -> None:
    """One mailbox, or none."""
    found = parse_mailbox(text_of(data))
    assert found.address.count("@") == 1 or '"' in found.address


def headers(data: bytes) -> None:
    """Encoded words become one line, and what we write into a header begins none."""
    text = text_of(data)
    for line, most in ((decode_words(text, 100), 100), (header_line(text, 100), 150)):
        assert len(line) <= most
        assert not set("\r\n\0") & set(line)
        line.encode()
    assert "=?" not in header_line(text, 100)
    base_subject(text)
    assert answer_subject(text).startswith("Re:")
    for found in message_ids_in(text):
        assert as_message_id(found) == found
        assert "=?" not in (writable_message_id(found) or "")


def mail(data: bytes) -> None:
    """A whole mail; as it is handed from process to process, and as an order."""
    parsed = parse_mail(data, domain=DOMAIN, now_ms=NOW)
    assert mail_from_json(mail_to_json(parsed)) == parsed
    read = parsed.mail
    read.text.encode()
    assert "\r" not in read.text
    assert "\n" not in read.subject + read.display_name
    assert 0 <= read.new <= len(read.text)
    assert all(file.start <= file.end <= len(data) for file in parsed.files)
    order = order_of(read, NOW)
    assert read_order(order.to_bytes()) == order


def parts(data: bytes) -> None:
    """Every part lies in the mail, and decodes in any pieces."""
    for part in leaves(data):
        assert 0 <= part.start <= part.end <= len(data)
        transfer_decode(part)


def transfer(data: bytes) -> None:
    """Encodings of bodies: the same bytes wherever a block ends."""
    cut = data[0] % 40 + 1 if data else 1
    pieces = [data[start : start + cut] for start in range(0, len(data), cut)]
    for read in (read_base64, read_quoted_printable):
        assert b"".join(read(iter(pieces))) == b"".join(read(iter([data])))


def bounce(data: bytes) -> None:
    """A report of failure: a few words of the other server, on one line."""
    found = read_bounce(data, DOMAIN)
    assert len(found.words) <= 500
    assert "\n" not in found.words
    assert explained(found.status)
    by_program(data)


def html(data: bytes) -> None:
    """No control character, no lone surrogate, no element that was not written as text."""
    text = html_to_text(text_of(data))
    text.encode()
    assert "<script" not in text or b"&" in data


def words(data: bytes) -> None:
    """Texts of mails: flowed lines, quotes, reactions."""
    text = plain_text(text_of(data))
    assert text.startswith(new_part(text))
    for delsp in (False, True):
        assert len(unflow(text, delsp=delsp)) <= 2 * len(text) + 1
    for emoji in (emoji_in(text), gmail_emoji(text)):
        assert emoji is None or len(emoji) <= 200


_MAIL = (
    b'From: "Bob =?utf-8?q?M=C3=BCller?=" <bob@a.example>\r\nTo: alice.eth@gw.example\r\nSubject: =?utf-8?b?SA==?=\r\n'
    b"Message-ID: <1@example.org>\r\nIn-Reply-To: <2@gw.example>\r\nReferences: <1@a> <2@b>\r\n"
    b"Date: Thu, 01 Jan 2026 00:00:00 +0000\r\nMIME-Version: 1.0\r\n"
)
_MIXED = (
    _MAIL
    + b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\nContent-Type: multipart/related; boundary=c\r\n\r\n'
    b"--c\r\nContent-Type: text/plain; format=flowed; delsp=yes; charset=iso-8859-1\r\n"
    b"Content-Transfer-Encoding: quoted-printable\r\n\r\nHi =E9 \r\nthere\r\n-- \r\nBob\r\n--c\r\n"
    b"Content-Type: text/html\r\n"
    b"\r\n<p>Hi</p>\r\n--c--\r\n--b\r\nContent-Type: image/png; name*0*=utf-8''a%20; name*1=b.png\r\n"
    b'Content-Disposition: attachment; filename="a.png"\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA\r\n--b--\r\n'
)
_PLAIN = _MAIL + b"Content-Type: text/plain; charset=utf-8\r\n\r\nhelp\r\n\r\nOn Monday, Alice wrote:\r\n> hi\r\n"
_REACTION = (
    _MAIL + b"Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n\r\nBob reacted\r\n--b\r\n"
    b"Content-Disposition: reaction"
    b"\r\nContent-Transfer-Encoding: 8bit\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
    b"\xf0\x9f\x91\x8d\r\n--b--\r\n"
)
_BOUNCE = (
    b"From: MAILER-DAEMON@a.example\r\nAuto-Submitted: auto-replied\r\nContent-Type: multipart/report; "
    b"report-type=delivery-status;"
    b" boundary=b\r\n\r\n--b\r\n\r\nfailed: 550 5.1.1 no\r\n--b\r\nContent-Type: message/delivery-status\r\n"
    b"\r\nReporting-MTA: dns; a\r\n"
    b"\r\nAction: failed\r\nStatus: 5.1.1\r\nDiagnostic-Code: smtp; 550 no such user\r\n--b\r\n"
    b"Content-Type: message/rfc822\r\n\r\n"
    b"Message-ID: <dm3." + b"a" * 52 + b"@gw.example>\r\n--b--\r\n"
)
_HTML = (
    '<p>Hi <b>bold</b> &amp; <a href="https://a.example/">link</a></p><ul><li>a<ol><li>b</ol></ul><pre>x</pre>',
    "<table><tr><td>a</td></tr></table><blockquote><p>q</p></blockquote><script>x</script><!-- c --><img src=x>",
)
_MAIL_WORDS = (
    *(
        "Content-Type: ",
        "multipart/mixed",
        "; boundary=",
        "--b",
        "base64",
        "quoted-printable",
        "charset=",
        "utf-7",
        "\r\n",
    ),
    *(
        "\r\n\r\n",
        "=?utf-8?q?",
        "?=",
        "<",
        ">",
        "@",
        "(",
        ")",
        '"',
        "\\",
        "filename*=",
        "message/rfc822",
        "format=flowed",
    ),
)
_TAGS = (
    "<",
    ">",
    "</",
    "<b>",
    "<li>",
    "<ol>",
    "<table>",
    "<blockquote>",
    "<a href=",
    "&lt;",
    "&#0;",
    "<!--",
    "<br",
    "<pre>",
    "<code>",
)

TARGETS = (
    Target(
        "smtp-data",
        smtp_data,
        (b"\1a\r\n..b\r\n.\r\nQUIT\r\n", b"\2\r\n.\r\n", b"\3a\nb\r\n.\r"),
        ("\r\n.\r\n", "\r\n", "\r", "\n", "."),
    ),
    Target(
        "smtp-path",
        smtp_path,
        each("<alice.eth+x@gw.example> SIZE=1", "<>", '<"a b"@[::1]>', f"<{PATHS.address(HASH, NOW)}>"),
    ),
    Target("sasl", log_in, (b"AGJvYgBwYXNz\n", b"Ym9i\ncGFzcw==", b"=\n*")),
    Target(
        "from-header", mailbox, each('"Bob" <bob@a.example>', "bob@a.example (Bob)", '"a\\"b"@c (x(y))'), _MAIL_WORDS
    ),
    Target(
        "header-text",
        headers,
        each("=?utf-8?q?M=C3=BCller?= =?utf-7?b?K?= x", "Re: [list] Fwd: a", "<a@b> <c@d>"),
        _MAIL_WORDS,
    ),
    Target("whole-mail", mail, (_MIXED, _PLAIN, _REACTION), _MAIL_WORDS),
    Target("mime", parts, (_MIXED, _REACTION, _BOUNCE), _MAIL_WORDS),
    Target("transfer-encoding", transfer, (b"\5AAAA=\r\nBB=E9=\r\n==\r\n",), ("=", "\r\n", "\n", "=\r\n", "=E9")),
    Target(
        "bounce", bounce, (_BOUNCE, _PLAIN), (*_MAIL_WORDS, "Status: ", "Action: ", "5.1.1", "X-Failed-Recipients: ")
    ),
    Target("html-mail", html, each(*_HTML), _TAGS),
    Target(
        "mail-text",
        words,
        each("a \nb\n> q\n>> r \n-- \nBob", "On 1 Jan, A wrote:\n> b", "👍🏽 ❤️", '{"emoji": "👍"}'),
        ("> ", "-- ", " \n"),
    ),
)
