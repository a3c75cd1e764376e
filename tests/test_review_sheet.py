"""The review sheet in a real browser: keys, undo, reload, export, and back into a card."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from medreward.commands.cli import main
from medreward.priors.lint import lint_card
from medreward.priors.review_files import apply_reviews
from medreward.task.review import VERDICTS, Opinion
from medreward.task.task import Task
from tests.chromium import Browser

CTRL = 2
# All that YAML, CSV and HTML could trip over.
EVIL = "- \"a\": 'b', #c; <b>&amp;</b> {x}\u2028é\u3000|\\n 50 % =1+1"
CARD: dict[str, Any] = {
    "name": "cells",
    "kind": "classification",
    "question": "Which cell is <b>this</b>?",
    "modality": "smear",
    "specialty": "haematology",
    "labels": [
        {"name": "round cell", "attributes": [{"text": "A round cell is even.", "source": "book"}]},
        {"name": "oval: cell", "attributes": [{"text": f"An oval: cell {EVIL}", "source": "book"}]},
        {"name": "flat cell", "attributes": [{"text": "A flat cell is low.", "source": "notes"}]},
    ],
    "knowledge": [
        {"text": "Look at the whole cell.", "source": "book"},
        {"text": "Colour differs.", "source": "book"},
    ],
    "references": {
        "book": {
            "citation": "Author A. On the roundness of cells. Journal of Cells 1:2-3, 2020.",
            "url": "https://example.org/cells?a=1&b=2",
        },
        "notes": "Author B. Notes on flat cells, which nobody can open. 1920.",
    },
}


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("downloads")) as found:
        yield found


@pytest.fixture
def card(tmp_path: Path) -> Path:
    path = tmp_path / "cells.yaml"
    path.write_text(yaml.safe_dump(CARD, allow_unicode=True))
    return path


@pytest.fixture
def sheet(card: Path, browser: Browser) -> Browser:
    """A new sheet of the card, opened."""
    out = card.parent / "review.html"
    assert main(["review", "sheet", str(card), "--statements", "--out", str(out)]) == 0
    browser.resize(1000, 800)
    browser.open(out)
    browser.js("localStorage.clear()")
    browser.reload()
    return browser


def verdicts(page: Browser) -> list[str]:
    """Return the verdict of each row, as it is seen."""
    found: list[str] = page.js(
        "[...document.querySelectorAll('article')].map(a => [...a.querySelectorAll("
        "'[aria-pressed=true]')].map(b => b.dataset.verdict).join())"
    )
    return found


def text(page: Browser, selector: str) -> str:
    return str(page.js(f"document.querySelector({selector!r}).textContent"))


def sign(page: Browser, name: str = "Anna A", role: str = "haematologist") -> None:
    """Fill in who reads, as somebody with keys alone."""
    page.js("document.getElementById('by').focus()")
    page.type(name)
    page.press("Tab")
    page.type(role)
    page.press("Escape")


def save(page: Browser, press: str = "") -> Path:
    """Export, by the key or a button, and return the file."""
    if press:
        page.js(f"document.getElementById({press!r}).click()")
    else:
        page.press("x")
    name = page.wait("Browser.downloadWillBegin")["suggestedFilename"]
    page.wait("Browser.downloadProgress", state="completed")
    return Path(page.downloads, name)


def test_each_key_is_a_verdict_and_leads_on(sheet: Browser) -> None:
    assert text(sheet, "#count") == "0 of 5"
    sheet.press("1")  # nothing is chosen yet
    assert verdicts(sheet) == [""] * 5
    assert "press the key again" in text(sheet, "#status")
    sheet.press("1")
    assert verdicts(sheet) == ["agree", "", "", "", ""]
    sheet.press("3", "5", "2")
    sheet.type(" Mended.")
    sheet.press("Escape", "j", "4")
    sheet.type("Not so.")
    sheet.press("Escape")
    assert verdicts(sheet) == ["agree", "not_visible", "not_my_field", "agree_with_edit", "wrong"]
    assert set(verdicts(sheet)) == set(VERDICTS)
    assert text(sheet, "#count") == "5 of 5"
    assert sheet.js("document.getElementById('progress').value") == 5
    sheet.press("k", "k", "0")
    assert verdicts(sheet)[2] == ""
    sheet.press("k", "k", "n")
    assert (
        sheet.js("[...document.querySelectorAll('article')].indexOf(document.activeElement)") == 2
    )


def test_letters_that_are_typed_into_a_field_are_no_commands(sheet: Browser) -> None:
    sheet.press("j", "c")
    sheet.press(*"n12ux")
    sheet.press("Escape")
    assert verdicts(sheet) == [""] * 5
    assert sheet.js("document.querySelector('[data-field=comment]').value") == "n12ux"


def test_undo_goes_back_step_by_step(sheet: Browser) -> None:
    assert sheet.js("document.getElementById('undo').disabled")
    sheet.press("j", "1", "4")
    sheet.type("Hm.")
    sheet.press("Escape", "1")
    assert verdicts(sheet)[:2] == ["agree", "agree"]
    sheet.press("u")
    assert verdicts(sheet)[:2] == ["agree", "wrong"]
    comments = "[...document.querySelectorAll('[data-field=comment]')].map(f => f.value).join()"
    assert sheet.js(comments) == ",Hm.,,,"
    sheet.press("z", modifiers=CTRL)
    assert (sheet.js(comments), verdicts(sheet)[1]) == (",,,,", "wrong")
    sheet.press("u", "u")
    assert verdicts(sheet) == [""] * 5
    assert sheet.js("document.getElementById('undo').disabled")
    sheet.press("u")
    assert verdicts(sheet) == [""] * 5


def test_what_was_entered_is_there_after_a_reload(sheet: Browser) -> None:
    sign(sheet)
    sheet.press("j", "1", "2")
    sheet.type(" And so on.")
    sheet.reload()  # without leaving the field
    assert verdicts(sheet) == ["agree", "agree_with_edit", "", "", ""]
    edits = sheet.js("document.querySelectorAll('[data-field=edit]')[1].value")
    assert edits == "Colour differs. And so on."
    assert sheet.js("['by', 'role'].map(i => document.getElementById(i).value)") == [
        "Anna A",
        "haematologist",
    ]
    assert text(sheet, "#status") == "2 verdicts from before are here."


def test_a_browser_that_keeps_nothing_says_so(sheet: Browser) -> None:
    broken = "Storage.prototype.setItem = () => { throw new Error('no') }"
    sheet.js(broken)
    assert sheet.js("document.getElementById('unsaved').hidden")
    sheet.press("j", "1")
    assert not sheet.js("document.getElementById('unsaved').hidden")


def test_an_export_that_is_not_whole_is_refused_and_says_where(sheet: Browser) -> None:
    def refusal() -> tuple[str, str]:
        sheet.press("x")
        where = sheet.js("document.activeElement.id || document.activeElement.dataset.field")
        sheet.press("Escape")
        return text(sheet, "#problem"), where

    assert refusal() == ("Write your name.", "by")
    sheet.js("document.getElementById('by').focus()")
    sheet.type("Anna A")
    sheet.press("Escape")
    assert refusal() == ("Write your role, such as consultant radiologist.", "role")
    sign(sheet, "", "haematologist")
    assert refusal()[0] == "There is no verdict to export yet."
    sheet.press("j", "2", "Escape")
    assert refusal() == (
        "A statement is to be edited, and its text is not changed yet.",
        "edit",
    )
    assert text(sheet, "#status").startswith("A statement is to be edited")
    sheet.press("2")
    sheet.type(" It is dark.")
    assert (text(sheet, "#status"), text(sheet, "#problem")) == ("", "")
    sheet.press("Escape", "1")
    sheet.js(
        "{ const on = document.getElementById('on'); on.value = '2099-01-01';"
        "on.dispatchEvent(new Event('input')) }"
    )
    assert refusal() == ("The day is missing or in the future.", "on")


@pytest.mark.parametrize("button", ["", "save-yaml", "save-csv"])
def test_what_is_exported_comes_back_into_the_card(
    sheet: Browser, card: Path, button: str, capsys: pytest.CaptureFixture[str]
) -> None:
    sign(sheet, "Zoë O’Neil, MD")
    sheet.press("j", "1", "3", "2")
    sheet.type(EVIL)
    sheet.press("Escape", "c")
    sheet.type(f"two\nlines: {EVIL}")
    sheet.press("Escape", "j", "4")
    sheet.type("No such cell.")
    sheet.press("Escape")
    file = save(sheet, button)
    today = date.today().isoformat()
    assert file.name == f"review-zoë-o-neil-md-{today}.{'csv' if button == 'save-csv' else 'yaml'}"
    assert main(["review", "apply", str(file), str(card)]) == 0
    assert "cells.reviews.yaml: 4 new or changed, 4 in all" in capsys.readouterr().out
    task = Task.load(card)
    who = ("Zoë O’Neil, MD", "haematologist", today)
    comment = f"two\nlines: {EVIL}"
    edited = f"A round cell is even.{EVIL}"
    found = {one.text: one.opinions for one in task.reviewed_statements}
    assert found["Look at the whole cell."] == (Opinion("agree", *who),)
    assert found["Colour differs."] == (Opinion("not_visible", *who),)
    (edit,) = found["A round cell is even."]
    assert (edit.verdict, edit.comment) == ("agree_with_edit", comment)
    assert " ".join(edit.edit.split()) == " ".join(edited.split())
    assert found[" ".join(f"An oval: cell {EVIL}".split())] == (
        Opinion("wrong", *who, "No such cell."),
    )
    assert str(task.count_reviews()) == "5 statements, 1 reviewed, 3 rejected"
    codes = [finding.code for finding in lint_card(card)]
    assert codes == ["no-address", "rejected", "rejected", "rejected"]
    assert task.only_reviewed().knowledge_text() == "Look at the whole cell."


def test_names_are_struck_and_added_on_the_second_part(card: Path, browser: Browser) -> None:
    """The page with the cards' words: no key for what cannot be seen, an edit is the new list."""
    content = yaml.safe_load(card.read_text())
    content["labels"][0]["synonyms"] = ["disc", "egg"]
    card.write_text(yaml.safe_dump(content, allow_unicode=True))
    out = card.parent / "words.html"
    assert main(["review", "sheet", str(card), "--out", str(out)]) == 0
    browser.open(out)
    assert text(browser, "#count") == "0 of 7"
    sign(browser)
    browser.js("document.querySelectorAll('article')[5].focus()")
    browser.press("3")
    assert verdicts(browser)[5] == ""
    browser.press("1", "2")
    browser.js("document.activeElement.value = ''")
    browser.type("disc; round one")
    browser.press("Escape")
    assert main(["review", "apply", str(save(browser)), str(card)]) == 0
    words = Task.load(card).reviewed_words
    assert words["question"].state == "reviewed"
    assert words["labels[0].synonyms"].opinions[0].edit == "disc; round one"
    assert [finding.code for finding in lint_card(card)] == ["no-address", "rejected"]


def test_the_text_to_copy_is_the_file(sheet: Browser) -> None:
    sign(sheet)
    sheet.press("j", "1")
    file = save(sheet)
    sheet.js("document.getElementById('show').click()")
    shown = sheet.js("document.getElementById('text').value")
    assert shown == file.read_text(encoding="utf-8")
    assert sheet.js("getSelection().toString()") == shown


def test_texts_of_a_card_are_shown_and_not_run(sheet: Browser) -> None:
    shown = text(sheet, "main")
    assert "Which cell is <b>this</b>?" in shown
    assert " ".join(EVIL.split()) in " ".join(shown.split())
    assert sheet.js("document.querySelectorAll('main b').length") == 3
    links = sheet.js("[...document.querySelectorAll('a')].map(a => a.href)")
    assert links == ["https://example.org/cells?a=1&b=2"] * 4
    assert "(no address)" in shown


def test_the_page_asks_for_nothing_and_has_no_error(sheet: Browser) -> None:
    sign(sheet)
    sheet.press("j", "1", "2", "Escape", "u")
    asked = [e["params"]["request"]["url"] for e in sheet.seen if e["method"] == _SENT]
    # The page itself, and what the browser draws its own buttons with.
    assert {url.partition(":")[0] for url in asked} <= {"file", "data"}
    wrong = ("Runtime.exceptionThrown", "Log.entryAdded")
    assert [e for e in sheet.seen if e["method"] in wrong] == []


_SENT = "Network.requestWillBeSent"


@pytest.mark.parametrize("width", [400, 1000])
def test_nothing_is_cut_off(sheet: Browser, width: int) -> None:
    sheet.resize(width, 800)
    sheet.press("j", "2", "Escape", "j", "4", "Escape", "?")
    assert sheet.js("document.documentElement.scrollWidth") <= width
    cut = sheet.js(
        "[...document.querySelectorAll('main *')].filter(e => e.scrollWidth > e.clientWidth + 1"
        " && e.clientWidth > 0 && getComputedStyle(e).display !== 'inline').map(e => e.outerHTML)"
    )
    assert cut == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_can_be_read_in_light_and_dark(sheet: Browser, scheme: str) -> None:
    sheet("Emulation.setEmulatedMedia", features=[{"name": _SCHEME, "value": scheme}])
    sheet.press("j", "1", "2", "Escape", "j", "4")
    sheet.type("Hm.")
    pairs = sheet.js(
        "[...document.querySelectorAll('h1, p, dt, dd, label, input, textarea, button, a, b,"
        " blockquote, kbd')].filter(e => e.checkVisibility() && !e.disabled).map(e => {"
        " let under = e; while (getComputedStyle(under).backgroundColor === 'rgba(0, 0, 0, 0)')"
        " under = under.parentElement || document.documentElement;"
        " return [getComputedStyle(e).color, getComputedStyle(under).backgroundColor,"
        " e.outerHTML.slice(0, 80)] })"
    )
    sheet("Emulation.setEmulatedMedia", features=[])
    assert len(pairs) > 50
    assert [p for p in pairs if contrast(p[0], p[1]) < 4.5] == []
    assert (luminance(pairs[0][1]) < 0.1) == (scheme == "dark")


_SCHEME = "prefers-color-scheme"


def luminance(colour: str) -> float:
    """Return the relative luminance of WCAG 2."""
    parts = [int(x) / 255 for x in re.findall(r"\d+", colour)[:3]]
    linear = [x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_tab_reaches_each_row_and_no_button_twice(sheet: Browser) -> None:
    """With the keyboard alone: fields, keys, bar, then a stop a row and its link."""
    sheet.js("document.getElementById('by').focus()")
    stops = []
    for _ in range(20):
        stops.append(
            sheet.js("document.activeElement.id || document.activeElement.tagName.toLowerCase()")
        )
        sheet.press("Tab")
    assert stops[:2] == ["by", "role"]
    assert stops.count("article") == 5
    assert "export" in stops


def test_the_readers_of_before_are_counted_and_not_quoted(card: Path, browser: Browser) -> None:
    signed = [
        s.joined([Opinion("wrong", "Ben B", "haematologist", "2026-01-31", "Secret.")])
        for s in Task.load(card).reviewed_statements
    ][:1]
    apply_reviews(signed, [str(card)])
    out = card.parent / "second.html"
    assert main(["review", "sheet", str(card), "--out", str(out)]) == 0
    browser.open(out)
    assert "read by 1 so far" in text(browser, "article")
    assert not {"Secret", "Ben"} & set(re.findall(r"\w+", out.read_text()))
