"""The pure parts: what is read of a request, and how things are said."""

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from bitsnode.ids import ContentId
from bitsnode.market.invoice import Invoice, InvoiceStatus
from bitsnode.web.errors import BadRequest, Refused, StaleForm, TooLarge
from bitsnode.web.forms import Forms
from bitsnode.web.qr import qr_code
from bitsnode.web.ranges import matches, span_of
from bitsnode.web.states import told
from bitsnode.web.target import parse_cookies, parse_form, parse_target
from bitsnode.web.texts import NoSuchLanguage, Texts
from bitsnode.web.words import coins, disposition, served_type, size

FORM = b"application/x-www-form-urlencoded"
INVOICE = Invoice(bytes(16), ContentId(bytes(32)), "0x" + "ab" * 20, 100, 0, 3_600, 1)


@given(st.integers(0, 50), st.none() | st.text(max_size=20) | st.from_regex(r"bytes=\d*-\d*\Z"))
def test_a_span_lies_within(length: int, asked: str | None) -> None:
    """Whatever is asked for: a part of the content, or a refusal."""
    try:
        span = span_of(length, asked, None, '"t"')
    except Refused:
        return
    assert 0 <= span.first <= span.last + 1 <= length
    assert span.length <= length


@pytest.mark.parametrize(
    ("tags", "found"),
    [(None, False), ('"t"', True), ('W/"t"', True), ('"a", "t"', True), ("*", True), ("t", False)],
)
def test_a_tag_is_found_among_others(tags: str | None, found: bool) -> None:
    """As If-None-Match lists them (RFC 9110, section 13.1.2)."""
    assert matches(tags, '"t"') is found


@given(st.binary(max_size=80))
def test_a_target_that_is_taken_is_plain(raw: bytes) -> None:
    """Its path has no escape, no dot segment, no empty segment and no control character."""
    try:
        target = parse_target(b"/" + raw)
    except BadRequest:
        return
    assert re.fullmatch(r"/[A-Za-z0-9/._-]*", target.path)
    assert not {"..", "."} & set(target.path.split("/"))
    assert "//" not in target.path
    assert not any("\x00" in text for pair in target.query.items() for text in pair)


@given(st.binary(max_size=200))
def test_a_form_is_read_or_refused(raw: bytes) -> None:
    """No bytes of a form do anything else."""
    try:
        fields = parse_form(raw, FORM)
    except (BadRequest, TooLarge):
        return
    assert len(fields) <= 16


def test_a_form_is_read_as_browsers_write_it() -> None:
    """Plus signs are spaces, the first of two counts, and new lines may be in it."""
    assert parse_form(b"a=1+2&b=%C3%BC%0D%0A&a=3", FORM + b"; charset=UTF-8") == {
        "a": "1 2",
        "b": "ü\r\n",
    }


def test_cookies_are_read_without_trust() -> None:
    """The first of a name counts; what cannot be ours is passed over."""
    lines = [b"ticket=one; ticket=two; x", b'visitor="q"; a=\xff; b=' + b"c" * 300]
    assert parse_cookies(lines) == {"ticket": "one"}


@given(st.integers(0, 2**96))
def test_amounts_are_exact(wei: int) -> None:
    """Read back they are the same number."""
    whole, _, rest = coins(wei).partition(".")
    assert int(whole) * 10**18 + int(rest.ljust(18, "0")) == wei


def test_sizes_have_three_digits_at_most() -> None:
    """And the unit in which people think of them."""
    found = [size(n) for n in (0, 999, 1_000, 9_949, 9_950, 999_499, 999_500, 1_234_567_890)]
    assert found == ["0 B", "999 B", "1.0 kB", "9.9 kB", "10 kB", "999 kB", "1.0 MB", "1.2 GB"]


@pytest.mark.parametrize(
    ("title", "kind", "said"),
    [
        ("Sea", "video/mp4", "attachment; filename=\"Sea.mp4\"; filename*=UTF-8''Sea.mp4"),
        ("Môre", "audio/ogg", "attachment; filename=\"More.ogg\"; filename*=UTF-8''M%C3%B4re.ogg"),
        ('../a"\r\nX: y', "x/y", "attachment; filename=\"a-X-y.bin\"; filename*=UTF-8''aX%20y.bin"),
        ("海", "text/html", "attachment; filename=\"item.bin\"; filename*=UTF-8''%E6%B5%B7.bin"),
        ("", "image/png", "attachment; filename=\"item.png\"; filename*=UTF-8''item.png"),
    ],
)
def test_downloads_have_harmless_names(title: str, kind: str, said: str) -> None:
    """No path, no quote, no line end, whatever a title says."""
    assert disposition(title, kind) == said


def test_only_listed_types_are_shown() -> None:
    """SVG and HTML, which may hold scripts, are not among them."""
    assert served_type("image/webp") == "image/webp"
    for kind in ("image/svg+xml", "text/html", "application/xhtml+xml", "", "IMAGE/PNG"):
        assert served_type(kind) == "application/octet-stream"


def test_the_price_holds_for_so_many_minutes() -> None:
    """Rounded up, so that it is never said to hold for no more minutes while it does."""
    status = InvoiceStatus.of(INVOICE)
    assert [told(status, at).minutes_left for at in (0, 1, 3_540, 3_599)] == [60, 60, 1, 1]
    late = told(InvoiceStatus.of(INVOICE, received=1, over_time=True), 4_000)
    assert (late.name, late.notes, late.minutes_left) == ("part", ("expired",), 0)
    assert told(InvoiceStatus.of(INVOICE, pending=100), 30 * 86_400).refresh == 20
    assert told(InvoiceStatus.of(INVOICE, paid=True), 5).refresh == 0


def test_a_qr_code_is_a_picture_of_one_length() -> None:
    """Black on white with a margin of four modules; its bytes do not tell the amount."""
    lengths = set()
    for value in (5 * 10**16, 12345678901234567, 10**18):
        code = qr_code(f"ethereum:0x{'ab' * 20}@1?value={value}")
        lengths.add(len(code.png))
        image = Image.open(io.BytesIO(code.png)).convert("L")
        assert image.size == (code.side, code.side)
        assert image.crop((0, 0, code.side, 24)).getextrema() == (255, 255)
        assert image.getextrema() == (0, 255)
    assert len(lengths) == 1


def test_a_forms_proof_is_for_one_purpose_and_one_holder() -> None:
    """And never the same twice, so that each rendering is a click of its own."""
    forms = Forms(bytes(32))
    field = forms.field("buy x", "holder")
    click = forms.click("buy x", "holder", field)
    assert click != forms.click("buy x", "holder", forms.field("buy x", "holder"))
    for purpose, holder, sent in (
        ("buy y", "holder", field),
        ("buy x", "other", field),
        ("buy", "x\nholder", field),
        ("buy x", None, field),
        ("buy x", "holder", None),
        ("buy x", "holder", field[:-1]),
        ("buy x", "holder", field * 10),
        ("buy x", "holder", ""),
    ):
        with pytest.raises(StaleForm):
            forms.click(purpose, holder, sent)
    with pytest.raises(StaleForm):
        Forms(b"\x01" * 32).click("buy x", "holder", field)


def test_cookies_are_known_by_their_signature() -> None:
    """One kind does not pass for the other."""
    forms = Forms(bytes(32))
    visitor = forms.fresh_visitor()
    assert forms.is_visitor(visitor)
    assert not forms.is_visitor(visitor + "x")
    assert forms.token(visitor) is None
    assert forms.token(forms.sign_token("abc")) == "abc"
    assert not forms.is_visitor(forms.sign_token("abc"))


def test_an_unknown_language_is_refused() -> None:
    """Also one that is a path."""
    for name in ("xx", "../en", ""):
        with pytest.raises(NoSuchLanguage):
            Texts(name)
