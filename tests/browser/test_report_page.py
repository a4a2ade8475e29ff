"""The report in a browser, as wide as a desk and as narrow as a phone, in light and dark."""

import itertools

import pytest

from isoglot.pipeline.report import write_report
from tests.reporting.report_folders import write_folder

VIEWS = [(width, theme) for width in (1280, 360) for theme in ("light", "dark")]

# The ratio of WCAG 2.2 between text and background of every cell, as the browser paints them.
CONTRASTS = """() => {
  const luminance = (text) => {
    const [r, g, b] = text.match(/[\\d.]+/g).slice(0, 3).map((part) => {
      const c = part / 255;
      return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  return [...document.querySelectorAll(".heat tbody td:not(.none)")].map((cell) => {
    const style = getComputedStyle(cell);
    const [a, b] = [style.color, style.backgroundColor].map(luminance);
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  });
}"""


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    root = tmp_path_factory.mktemp("report")
    runs = [
        (name, write_folder(root / name, model=name, bias=bias))
        for name, bias in (("first", 2.0), ("second-with-quite-a-long-name-that-must-wrap", 0.2))
    ]
    write_report(runs, root / "report.html")
    return root / "report.html"


@pytest.fixture
def open_page(browser, report):
    """Open the report; nothing but the file itself can be fetched, and no error goes unseen."""
    contexts, faults = [], []

    def fetch(route):
        if route.request.url.startswith("file:"):
            route.continue_()
        else:
            faults.append(f"asked for {route.request.url}")
            route.abort()

    def open_it(width=1280, theme="light", **options):
        size = {"width": width, "height": 800}
        context = browser.new_context(viewport=size, color_scheme=theme, **options)
        contexts.append(context)
        context.route("**/*", fetch)
        page = context.new_page()
        page.on("console", lambda message: faults.append(message.text))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(report.as_uri())
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert faults == []


def open_all(page):
    page.evaluate("document.querySelectorAll('details').forEach((block) => (block.open = true))")


@pytest.mark.parametrize(("width", "theme"), VIEWS)
def test_the_page_is_as_wide_as_the_window(open_page, width, theme):
    page = open_page(width, theme)
    open_all(page)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    # What is wider scrolls in its own container, with the languages in sight.
    heat = page.locator(".scroll:has(.heat)").first
    heat.evaluate("(box) => (box.scrollLeft = 10000)")
    header = heat.locator("tbody th").first
    assert header.bounding_box()["x"] >= 0
    assert page.title() == "first and second-with-quite-a-long-name-that-must-wrap on small"


@pytest.mark.parametrize(("width", "theme"), VIEWS)
def test_every_cell_can_be_read(open_page, width, theme):
    contrasts = open_page(width, theme).evaluate(CONTRASTS)
    assert len(contrasts) > 100
    assert min(contrasts) >= 4.5


def test_dark_pages_are_dark(open_page):
    colours = [
        open_page(theme=theme).evaluate("getComputedStyle(document.body).backgroundColor")
        for theme in ("light", "dark")
    ]
    assert colours == ["rgb(255, 255, 255)", "rgb(20, 24, 28)"]


def test_texts_run_in_the_direction_of_their_language(open_page):
    page = open_page()
    open_all(page)
    for lang, direction in (("ar", "rtl"), ("ur", "rtl"), ("zh", "ltr"), ("en", "ltr")):
        query = page.locator(f"p.query[lang={lang}]").first
        assert query.is_visible()
        assert query.evaluate("(text) => getComputedStyle(text).direction") == direction
    box = page.locator("p.query[lang=zh]").first.bounding_box()
    assert box["height"] > 10 and box["width"] > 50


def test_hostile_texts_stay_texts(open_page):
    page = open_page()
    open_all(page)
    hostile = page.locator("article p", has_text="<script>document.title").first
    assert hostile.is_visible()
    assert page.locator("img").count() == 0
    assert "taken" not in page.title()


def test_the_filter_works_by_keyboard(open_page):
    page = open_page()
    choice = page.get_by_role("combobox", name="Query language")
    choice.focus()
    page.keyboard.press("ArrowDown")  # from all to the first language
    shown = page.locator("details[data-language]:visible")
    assert shown.count() == 2  # one of each run
    assert {block.get_attribute("data-language") for block in shown.all()} == {"ar"}
    assert page.locator("article:visible").count() == 24
    assert page.get_by_role("status").inner_text() == "24 queries"
    page.keyboard.press("ArrowUp")
    assert shown.count() == 8
    page.locator("summary").first.focus()
    page.keyboard.press("Enter")
    assert page.locator("article:visible").count() == 12


def test_without_scripts_all_is_there(open_page):
    page = open_page(java_script_enabled=False)
    assert page.locator("#filter-language").is_hidden()
    blocks = page.locator("details[data-language]")
    assert blocks.count() == 8
    blocks.first.locator("summary").click()
    assert blocks.first.locator("article").first.is_visible()


def test_headings_and_tables_are_in_order(open_page):
    page = open_page()
    levels = page.evaluate(
        "[...document.querySelectorAll('h1,h2,h3,h4,h5,h6')].map((h) => Number(h.tagName[1]))"
    )
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    for table in page.locator("table").all():
        assert table.locator("caption").count() == 1
        assert table.locator("th:not([scope])").count() == 0
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map((e) => e.id)")
    assert len(ids) == len(set(ids))
    named = [r.get_attribute("aria-labelledby") for r in page.locator("[aria-labelledby]").all()]
    assert len(named) == len(set(named))
    assert set(" ".join(named).split()) <= set(ids)
