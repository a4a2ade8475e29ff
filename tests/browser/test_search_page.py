"""The search page in a browser, as wide as a desk and as narrow as a phone, in light and dark."""

import itertools
import json
from urllib.parse import parse_qs, urlencode

import pytest

pytest.importorskip("fastapi", reason="the extra 'serve' is not installed")

from isoglot.serve.app import create_app
from isoglot.serve.messages import Question
from tests.serve.library import QUESTIONS, TEXTS, Library
from tests.serve.running import running

VIEWS = [(width, theme) for width in (1280, 360) for theme in ("light", "dark")]
YOGHURT = QUESTIONS[0].text
KEY = "0123456789abcdef-secret"
LONG = "Donaudampfschifffahrtsgesellschaft" * 60
HOSTILE = {
    "script": {"en": "<script>document.title = 'taken'</script> yoghurt"},
    "image": {"en": "<img src=x onerror=\"document.title = 'taken'\"> yoghurt"},
    'id"><img src=x>': {"ar": "\u202e<b>مرحبا</b>"},
    "long": {"de": LONG},
}

# The ratio of WCAG 2.2 between text and background, as the browser paints them on a canvas.
CONTRASTS = """(selector) => {
  const context = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const luminance = (colour) => {
    context.fillStyle = colour;
    context.fillRect(0, 0, 1, 1);
    const [r, g, b] = [...context.getImageData(0, 0, 1, 1).data].map((part) => {
      const c = part / 255;
      return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  return [...document.querySelectorAll(selector)].map((one) => {
    const style = getComputedStyle(one);
    const [a, b] = [style.color, style.backgroundColor].map(luminance);
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  });
}"""

# A policy's whole card has the ring of its radio button.
FOCUS_RING = """() => {
  const one = document.activeElement;
  return getComputedStyle(one.closest(".policy") ?? one).outlineStyle;
}"""


@pytest.fixture(scope="module")
def service():
    with running(create_app(Library(), encoder="mini", questions=QUESTIONS)) as url:
        yield url


@pytest.fixture
def open_page(browser, service):
    """Open the page of a service; what it asks for elsewhere and what it complains of are faults.

    A request that is refused on purpose is named by its status.
    """
    contexts, faults, expected = [], [], []

    def fetch(route):
        if route.request.url.startswith(address[0]):
            route.continue_()
        else:
            faults.append(f"asked for {route.request.url}")
            route.abort()

    def complain(text):
        if not any(f"status of {status} " in text for status in expected):
            faults.append(text)

    address = [service]

    def open_it(state=None, width=1280, theme="light", url=service, refused=(), **options):
        address[0] = url
        expected.extend(refused)
        size = {"width": width, "height": 800}
        context = browser.new_context(viewport=size, color_scheme=theme, **options)
        contexts.append(context)
        context.route("**/*", fetch)
        page = context.new_page()
        page.set_default_timeout(5000)
        page.on("console", lambda message: complain(message.text))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(url + ("#" + urlencode(state, doseq=True) if state else ""))
        if not refused:
            page.locator("#results[aria-busy=false] #results-title").wait_for()
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert faults == []


def ask(page, state):
    """Have an open page show another state."""
    page.evaluate("(fragment) => { location.hash = fragment }", urlencode(state, doseq=True))
    kind = "compare" if "view" in state else "search" if "q" in state else "welcome"
    shown = {"compare": ".column", "search": ".list", "welcome": "h2.lead"}
    page.locator(f"#results[aria-busy=false] {shown[kind]}").first.wait_for()


def state_of(page):
    return parse_qs(page.evaluate("location.hash").removeprefix("#"))


def ids(page, where=".result"):
    return [one.inner_text() for one in page.locator(f"{where} .id").all()]


def comparison(*langs, **more):
    return {"view": "compare", "t": [f"{lang}:{YOGHURT[lang]}" for lang in langs], **more}


def test_a_search_shows_passages_with_their_languages(open_page):
    page = open_page()
    page.get_by_label("Your question, in any language").fill(YOGHURT["en"])
    page.get_by_role("button", name="Search", exact=True).click()
    page.get_by_role("heading", name="10 passages in 10 languages").wait_for()
    first = page.locator(".result").first
    assert first.locator(".chip").inner_text().split() == ["en", "English"]
    assert first.locator(".text").inner_text() == TEXTS["yoghurt"]["en"]
    assert "score 0.850" in first.locator(".score").inner_text()
    assert state_of(page) == {"q": [YOGHURT["en"]]}
    assert page.title() == f"{YOGHURT['en']} – isoglot"
    assert page.get_by_role("status").inner_text().startswith("10 passages in 10 languages: ")


def test_the_bar_of_languages_says_the_same_in_words(open_page):
    page = open_page({"q": YOGHURT["en"], "languages": "en,sw", "k": 5})
    bar = page.get_by_role("img", name="Languages of the passages: English 3, Swahili 2")
    widths = [part.bounding_box()["width"] for part in bar.locator("> span").all()]
    assert widths[0] == pytest.approx(1.5 * widths[1], rel=0.01)
    assert page.locator(".shares li").all_inner_texts() == ["English 3", "Swahili 2"]


def test_another_policy_is_one_click_and_asks_the_same(open_page):
    page = open_page({"q": YOGHURT["en"], "k": 20})
    before = ids(page)
    # What the other policies make of the question stands beside them already.
    page.locator(".sample [role=img]").nth(2).wait_for()
    asked = []
    page.on("request", lambda request: asked.append(request.method))
    page.get_by_role("radio", name="Balanced").check()
    page.locator(".head p", has_text="Balanced").wait_for()
    assert state_of(page) == {"q": [YOGHURT["en"]], "k": ["20"], "policy": ["balanced"]}
    assert ids(page) != before
    assert page.locator(".similarity").count() == 20
    assert "POST" not in asked  # the answer was there
    page.get_by_role("radio", name="Quota").check()
    page.get_by_role("heading", name="20 passages in 10 languages").wait_for()
    page.get_by_label("Places per language").select_option("1")
    page.get_by_role("heading", name="10 passages in 10 languages").wait_for()
    page.go_back()
    page.go_back()
    page.locator(".head p", has_text="Balanced").wait_for()
    assert page.get_by_role("radio", name="Balanced").is_checked()


def test_passages_can_be_limited_to_some_languages_and_in_number(open_page):
    page = open_page({"q": YOGHURT["ar"]})
    page.get_by_role("checkbox", name="fa Persian").check()
    page.get_by_role("checkbox", name="ar Arabic").check()
    page.get_by_role("heading", name="6 passages in 2 languages").wait_for()
    page.get_by_label("Passages", exact=True).select_option("5")
    page.get_by_role("heading", name="5 passages in 2 languages").wait_for()
    assert state_of(page)["languages"] == ["ar,fa"]
    page.get_by_role("button", name="All languages again").click()
    page.get_by_role("heading", name="5 passages in 5 languages").wait_for()


def test_an_address_brings_back_the_search(open_page):
    state = {"q": YOGHURT["zh"], "policy": "quota", "quota": 1, "k": 7, "languages": "zh,ja,ko"}
    page = open_page({**state, "words": 1})
    assert page.get_by_label("Your question, in any language").input_value() == YOGHURT["zh"]
    assert page.get_by_role("radio", name="Quota").is_checked()
    assert page.get_by_label("Passages", exact=True).input_value() == "7"
    assert page.get_by_label("Places per language").input_value() == "1"
    assert page.get_by_label("Match words as well").is_checked()
    assert page.get_by_role("heading", name="3 passages in 3 languages").is_visible()


@pytest.mark.parametrize(
    ("lang", "direction"),
    [("ar", "rtl"), ("fa", "rtl"), ("zh", "ltr"), ("hi", "ltr"), ("th", "ltr")],
)
def test_texts_run_in_the_direction_of_their_language(open_page, lang, direction):
    page = open_page({"q": "x", "languages": lang})
    text = page.locator(".result .text").first
    assert text.get_attribute("lang") == lang
    assert text.evaluate("(one) => getComputedStyle(one).direction") == direction
    box = page.get_by_label("Your question, in any language")
    box.fill(TEXTS["honey"][lang])
    assert box.evaluate("(one) => getComputedStyle(one).direction") == direction


def test_translations_stand_side_by_side_with_shared_passages_marked(open_page):
    page = open_page(comparison("en", "ar", "zh", k=5))
    columns = page.locator(".column")
    assert columns.count() == 3
    boxes = [column.bounding_box() for column in columns.all()]
    assert all(a["x"] + a["width"] <= b["x"] for a, b in itertools.pairwise(boxes))
    assert page.locator(".column h3 [lang=ar]").inner_text() == YOGHURT["ar"]
    assert page.get_by_role("heading", name="The answers share").is_visible()
    everywhere = page.locator(".badge.every")
    assert everywhere.count() % 3 == 0 and everywhere.count() > 0
    assert everywhere.first.inner_text() == "in all 3"
    card = page.locator(".card", has=page.locator(".badge")).first
    card.hover()
    echoes = {one.get_attribute("data-doc") for one in page.locator(".echo").all()}
    assert echoes == {card.get_attribute("data-doc")}
    assert page.locator(".echo").count() > 1


def test_an_example_is_compared_in_the_languages_one_picks(open_page):
    page = open_page()
    page.get_by_role("link", name="Compare translations").click()
    page.locator(".column").nth(3).wait_for()
    assert page.get_by_role("checkbox", name="en English").first.is_checked()
    page.locator("#picks").get_by_role("checkbox", name="fa Persian").check()
    page.locator(".column").nth(4).wait_for()
    page.locator("#picks").get_by_role("checkbox", name="ar Arabic").uncheck()
    page.locator(".column h3 [lang=ar]").wait_for(state="detached")
    page.get_by_label("Example", exact=True).select_option("moon")
    page.locator(".column h3 [lang=ko]").wait_for()
    assert state_of(page)["t"][0] == f"en:{QUESTIONS[1].text['en']}"


def test_translations_of_ones_own_can_be_compared(open_page):
    page = open_page(comparison("en"))
    page.get_by_text("Change the wording").click()
    page.get_by_role("button", name="Add a translation").click()
    row = page.locator("#rows li").last
    row.get_by_label("Language").select_option("fa")
    row.get_by_label("Question").fill("عسل چرا فاسد نمی‌شود؟")
    assert row.get_by_label("Question").get_attribute("dir") == "rtl"
    page.get_by_role("button", name="Compare", exact=True).click()
    page.locator(".column").nth(1).wait_for()
    assert page.locator(".column h3 [lang=fa]").inner_text() == "عسل چرا فاسد نمی‌شود؟"
    row.get_by_role("button", name="Take this translation out").click()
    assert page.locator("#rows li").count() == 1


def test_all_can_be_done_by_keyboard(open_page):
    page = open_page()
    page.keyboard.press("/")
    page.keyboard.type(YOGHURT["sw"])
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="10 passages").wait_for()

    def go_to(selector, key="Tab"):
        for _ in range(40):
            if page.evaluate("(one) => document.activeElement.matches(one)", selector):
                assert page.evaluate(FOCUS_RING) != "none", selector
                return
            page.keyboard.press(key)
        raise AssertionError(f"{selector} cannot be reached")

    go_to("[name=policy]:checked")
    page.keyboard.press("ArrowDown")
    page.locator(".head p", has_text="Balanced").wait_for()
    go_to("[name=language]")
    page.keyboard.press("Space")
    page.get_by_role("heading", name="3 passages in 1 language").wait_for()
    go_to("#count")
    go_to("#view-compare", "Shift+Tab")
    page.keyboard.press("Enter")
    page.locator(".column").first.wait_for()
    go_to("#wording summary")
    page.keyboard.press("Enter")
    go_to("#add-row")
    go_to(".side-by-side")
    page.locator("#skip").focus()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "results"
    assert state_of(page)["view"] == ["compare"]


def test_a_slash_in_the_box_stays_a_slash(open_page):
    page = open_page()
    page.keyboard.press("/")
    page.keyboard.type("and/or")
    assert page.get_by_label("Your question, in any language").input_value() == "and/or"


@pytest.fixture(scope="module")
def hostile():
    questions = [Question(id="<b>", text={"en": "<img src=x onerror=alert(1)>", "sw": "</script>"})]
    with running(create_app(Library(HOSTILE), encoder="<i>mini</i>", questions=questions)) as url:
        yield url


def test_hostile_texts_stay_texts(open_page, hostile):
    attack = "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script>"
    page = open_page({"q": attack}, url=hostile)
    shown = page.locator(".result .text").all_inner_texts()
    assert HOSTILE["script"]["en"] in shown and HOSTILE["image"]["en"] in shown
    assert page.locator("#output img, #output script, #output b b, .id img").count() == 0
    ask(page, {"view": "compare", "t": ["en:" + attack, "sw:b"]})
    assert page.locator(".column .asked").first.inner_text() == attack
    ask(page, {})
    assert page.get_by_role("button", name="<img src=x").is_visible()
    assert page.locator("main img, main script").count() == 0
    assert "taken" not in page.title()
    assert page.locator("#facts").inner_text().endswith("<i>mini</i>")


@pytest.mark.parametrize(("width", "theme"), VIEWS)
def test_the_page_is_as_wide_as_the_window(open_page, hostile, width, theme):
    long = {"q": LONG[:1500]}
    page = open_page(None, width, theme, hostile)
    for state in ({}, long, {"view": "compare", "t": ["de:" + LONG[:300], "ar:" + LONG[:300]]}):
        ask(page, state)
        page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
        assert page.evaluate("document.documentElement.scrollWidth") == width


def test_long_texts_are_folded_until_asked_for(open_page, hostile):
    page = open_page({"q": "x", "languages": "de"}, url=hostile)
    text = page.locator(".result .text")
    folded = text.bounding_box()["height"]
    page.get_by_role("button", name="Show all").click()
    assert text.bounding_box()["height"] > 1.5 * folded
    page.get_by_role("button", name="Show less").click()
    assert text.bounding_box()["height"] == folded


def test_on_a_phone_results_are_near_and_columns_scroll(open_page):
    page = open_page({"q": YOGHURT["en"]}, width=360)
    assert page.locator(".result").first.bounding_box()["y"] < 800
    page = open_page(comparison("en", "ar", "zh"), width=360)
    region = page.get_by_role("region", name="Answers side by side")
    assert region.evaluate("(one) => one.scrollWidth > one.clientWidth")
    region.evaluate("(one) => { one.scrollLeft = one.scrollWidth }")
    assert page.locator(".column").last.bounding_box()["x"] < 300


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_colour_of_a_language_can_be_read(open_page, theme):
    langs = "ar bn de en es fi fr hi id ja ko ru sw te th".split()
    many = {topic: dict.fromkeys(langs, "text") for topic in ("one", "two")}
    with running(create_app(Library(many), encoder="mini")) as url:
        page = open_page({"q": "x", "k": 100}, theme=theme, url=url)
        contrasts = page.evaluate(CONTRASTS, ".code, .share > span, .primary")
        assert len(contrasts) > 60
        assert min(contrasts) >= 4.5
        tones = {
            one.evaluate("(e) => getComputedStyle(e).backgroundColor")
            for one in page.locator(".language .code").all()
        }
        assert len(tones) == 12


def test_motion_is_only_for_those_who_want_it(open_page):
    page = open_page(reduced_motion="reduce")
    page.evaluate("document.getElementById('results').setAttribute('aria-busy', 'true')")
    name = "getComputedStyle(document.querySelector('.progress'), '::before').animationName"
    assert page.evaluate(name) == "none"


def test_nothing_found_is_said(open_page):
    with running(create_app(Library({}), encoder="mini")) as url:
        page = open_page({"q": "anything"}, url=url)
        assert page.get_by_role("heading", name="Nothing found").is_visible()
        assert page.get_by_role("status").inner_text() == "Nothing found"


def test_a_refusal_is_explained_and_can_be_tried_again(open_page):
    page = open_page({"q": "x", "languages": "fr"}, refused=(422,))
    alert = page.get_by_role("alert").filter(has_text="the index has no passages in fr")
    alert.wait_for()
    assert "allowed: ar, en, fa" in alert.inner_text()
    page.get_by_role("button", name="Try again").click()
    alert.wait_for()
    page.get_by_label("Your question, in any language").fill(YOGHURT["en"])
    page.goto(page.url.partition("#")[0] + "#q=x")
    page.get_by_role("heading", name="10 passages").wait_for()


def test_a_service_that_is_gone_is_told_from_one_that_refuses(open_page):
    page = open_page({"q": "x"}, refused=())
    page.route("**/search", lambda route: route.fulfill(status=200, body="<html>a proxy's</html>"))
    page.get_by_label("Your question, in any language").fill("something else")
    page.keyboard.press("Enter")
    page.get_by_role("alert").filter(has_text="cannot be read").wait_for()


def test_other_policies_that_are_not_answered_do_not_matter(open_page):
    page = open_page(refused=())
    asked = []

    def refuse_others(route):
        asked.append(json.loads(route.request.post_data)["policy"])
        if asked[-1] == "score":
            route.continue_()
        else:
            route.fulfill(status=200, body="not JSON")

    page.route("**/search", refuse_others)
    page.get_by_label("Your question, in any language").fill(YOGHURT["en"])
    page.keyboard.press("Enter")
    page.locator(".sample [role=img]").first.wait_for()
    assert page.get_by_role("heading", name="10 passages").is_visible()
    assert page.locator(".sample [role=img]").count() == 1
    assert asked == ["score", "balanced"]


def test_the_key_is_asked_for_and_kept_in_this_tab_only(open_page):
    with running(create_app(Library(), encoder="mini", questions=QUESTIONS, key=KEY)) as url:
        page = open_page({"q": YOGHURT["en"]}, url=url, refused=(401,))
        box = page.get_by_label("API key", exact=True)
        box.wait_for()
        assert box.get_attribute("type") == "password"
        box.fill("a wrong one")
        page.get_by_role("button", name="Use it").click()
        page.get_by_text("That key was not accepted.").wait_for()
        box.fill(KEY)
        page.keyboard.press("Enter")
        page.get_by_role("heading", name="10 passages").wait_for()
        assert page.evaluate("Object.values(sessionStorage)") == [KEY]
        assert page.evaluate("localStorage.length + document.cookie.length") == 0
        assert KEY not in page.url
        page.reload()
        page.get_by_role("heading", name="10 passages").wait_for()


def test_the_key_is_still_asked_for_when_the_dialog_is_closed(open_page):
    with running(create_app(Library(), encoder="mini", questions=QUESTIONS, key=KEY)) as url:
        page = open_page({"q": YOGHURT["en"]}, url=url, refused=(401,))
        box = page.get_by_label("API key", exact=True)
        box.wait_for()
        for _ in range(3):  # a browser lets a page refuse to close a dialog only once
            page.keyboard.press("Escape")
        box.fill(KEY)
        page.keyboard.press("Enter")
        page.get_by_role("heading", name="10 passages").wait_for()
        assert not page.locator("dialog").is_visible()


def test_a_late_answer_does_not_stand_in_for_a_newer_one(open_page):
    page = open_page()
    held = []

    def hold_first(route):
        if json.loads(route.request.post_data)["query"] == "slow":
            held.append(route)
        else:
            route.continue_()

    page.route("**/search", hold_first)
    box = page.get_by_label("Your question, in any language")
    box.fill("slow")
    page.keyboard.press("Enter")
    page.locator("#results[aria-busy=true]").wait_for()
    box.fill(YOGHURT["sw"])
    page.keyboard.press("Enter")
    page.locator(".result").first.wait_for()
    for route in held:
        route.fulfill(status=200, body="{}")
    page.locator(".sample [role=img]").nth(2).wait_for()
    assert page.get_by_role("heading", name="10 passages").is_visible()
    assert page.title().startswith(YOGHURT["sw"])
    page.go_back()
    page.locator("#results[aria-busy=true]").wait_for()
    assert box.input_value() == "slow"


def test_a_language_that_is_none_is_refused_and_examples_go_on(open_page):
    state = {"view": "compare", "t": ["constructor:x", f"en:{YOGHURT['en']}"]}
    page = open_page(state, refused=(422,))
    page.get_by_role("alert").filter(has_text="is no language").wait_for()
    page.get_by_label("Example", exact=True).select_option("moon")
    page.locator(".column").nth(3).wait_for()


def test_texts_of_unknown_language_run_as_their_script_does(open_page):
    library = Library({"one": {"und": TEXTS["moon"]["ar"]}, "two": {"en": "hello"}})
    with running(create_app(library, encoder="mini")) as url:
        page = open_page({"q": "x", "languages": "und"}, url=url)
        text = page.locator(".result .text")
        assert text.evaluate("(one) => getComputedStyle(one).direction") == "rtl"
        assert page.get_by_role("heading", name="1 passage in 1 language").is_visible()


def test_only_queries_for_this_service_leave_and_none_in_an_address(open_page):
    asked = []
    page = open_page()
    page.on("request", lambda request: asked.append((request.url, request.post_data)))
    page.get_by_label("Your question, in any language").fill("a private question")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="10 passages").wait_for()
    assert asked and all("private" not in url.partition("#")[0] for url, _ in asked)
    assert json.loads(asked[0][1])["query"] == "a private question"


def test_headings_and_landmarks_are_in_order(open_page):
    page = open_page()
    for state in ({}, {"q": "x"}, comparison("en", "zh")):
        ask(page, state)
        levels = page.evaluate(
            "[...document.querySelectorAll('h1,h2,h3')].filter((h) => h.checkVisibility())"
            ".map((h) => Number(h.tagName[1]))"
        )
        assert levels[0] == 1 and levels.count(1) == 1
        assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
        for role in ("banner", "main", "contentinfo", "complementary", "navigation"):
            assert page.get_by_role(role).count() == 1, role
        found = page.evaluate("[...document.querySelectorAll('[id]')].map((one) => one.id)")
        assert len(found) == len(set(found))


@pytest.mark.parametrize(("width", "theme"), [(1280, "light"), (360, "dark")])
def test_axe_finds_no_fault(open_page, width, theme):
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed"
    ).Axe()
    page = open_page(None, width, theme)
    for state in ({}, {"q": YOGHURT["en"], "k": 20}, comparison("en", "ar", "ja", "zh")):
        ask(page, state)
        page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
        found = axe.run(page)
        assert found.violations_count == 0, found.generate_report()
