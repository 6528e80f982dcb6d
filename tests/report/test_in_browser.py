"""The pages as readers see them: in Chromium, wide, on a phone, in the dark and by keyboard."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from cataloger_dagster.report.block import block_of
from cataloger_dagster.report.catalog import catalog_page
from cataloger_dagster.report.changes import changes, claims
from cataloger_dagster.report.overview import Entry, overview_page
from cataloger_dagster.report.safety import unsafe
from cataloger_dagster.report.summary import summary_page
from tests import hostile, samples
from tests.report.narrated import SMALL

ADDRESS = "http://page.test/"

CONTRAST = """() => {
  const channel = v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const parse = c => (c.match(/[\\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const behind = e => {
    for (; e; e = e.parentElement) {
      const c = parse(getComputedStyle(e).backgroundColor);
      if (c.length === 3 || c[3] === 1) return c;
    }
    return [255, 255, 255];
  };
  const bad = new Set();
  for (const e of document.body.querySelectorAll("*")) {
    if (e.closest("svg, script")) continue;
    if (![...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()) || !e.getClientRects().length) continue;
    const [a, b] = [light(parse(getComputedStyle(e).color)), light(behind(e))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) bad.add(e.tagName + "." + e.className + " " + ratio.toFixed(2));
  }
  return [...bad];
}"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    now, before = samples.flights(), samples.flights(11)
    blocks = [block_of(samples.run(), now), block_of(samples.run(snapshot=samples.BEFORE), before)]
    found, named = changes(blocks), claims(blocks[1], now)
    catalog = catalog_page(samples.run(notes=("The role may write.",)), now, samples.NARRATIVE, named, found)
    written = {
        "catalog": catalog.html,
        "summary": summary_page(samples.run(), now, None, named, found, blocks).html,
        "overview": overview_page(samples.AT, [Entry("flights", catalog.block), Entry("shop", reason="Gone.")]).html,
        "hostile": catalog_page(samples.run(), samples.hostile(), None, {}, []).html,
    }
    folder = tmp_path_factory.mktemp("pages")
    paths = {}
    for name, html in written.items():
        paths[name] = folder / f"{name}.html"
        paths[name].write_text(html, encoding="utf-8")
    return paths


@pytest.fixture
def tab(chromium: Browser) -> Iterator[Page]:
    context = chromium.new_context(viewport={"width": 1400, "height": 1000})
    yield context.new_page()
    context.close()


@pytest.mark.parametrize("name", ["catalog", "summary", "overview", "hostile"])
def test_a_page_asks_for_nothing_complains_of_nothing_and_fits_a_phone(
    tab: Page, pages: dict[str, Path], name: str
) -> None:
    requests: list[str] = []
    complaints: list[str] = []
    tab.on("request", lambda request: requests.append(request.url))
    tab.on("console", lambda message: complaints.append(message.text))
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.on("dialog", lambda dialog: complaints.append(dialog.message))
    tab.goto(pages[name].as_uri())
    for width in (1400, 768, 500, 390):
        tab.set_viewport_size({"width": width, "height": 900})
        assert tab.evaluate("document.documentElement.scrollWidth") <= width, width
    assert complaints == []
    assert requests == [pages[name].as_uri()]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["catalog", "summary", "overview"])
def test_text_can_be_read_in_the_light_and_in_the_dark(
    tab: Page, pages: dict[str, Path], name: str, scheme: str
) -> None:
    tab.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    tab.goto(pages[name].as_uri())
    assert tab.evaluate(CONTRAST) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_barrier_on_any_page(chromium: Browser, pages: dict[str, Path], scheme: str) -> None:
    context = chromium.new_context(bypass_csp=True, color_scheme="dark" if scheme == "dark" else "light")
    tab = context.new_page()
    for name in ("overview", "summary", "catalog"):
        tab.goto(pages[name].as_uri())
        tab.evaluate("document.querySelectorAll('details').forEach(e => { e.open = true; })")
        found = Axe().run(tab).response["violations"]
        assert [(rule["id"], rule["nodes"][0]["html"]) for rule in found] == [], name
    tab.evaluate("document.querySelector('h1').insertAdjacentHTML('afterend', '<img src=data:, style=color:red>')")
    # That axe sees anything at all; by this rule alone, for the whole of them takes seconds.
    found = Axe().run(tab, options={"runOnly": ["image-alt"]}).response["violations"]
    assert [rule["id"] for rule in found] == ["image-alt"]
    context.close()


def test_following_a_value_opens_its_query(tab: Page, pages: dict[str, Path]) -> None:
    tab.goto(pages["catalog"].as_uri())
    query = tab.locator("#query-q2")
    assert not query.is_visible()
    tab.locator('data[data-claim="flights.rows"] a').first.click()
    assert query.is_visible()
    assert tab.url.endswith("#query-q2")


def test_following_an_odd_name_finds_its_table(tab: Page, pages: dict[str, Path]) -> None:
    tab.goto(pages["hostile"].as_uri())
    for link in tab.locator("nav .tb a").all():
        href = link.get_attribute("href") or ""
        tab.goto(pages["hostile"].as_uri() + href)
        assert tab.evaluate("document.querySelector(':target')?.className") == "t", href


def test_contents_stand_open_beside_a_wide_page_and_fold_on_a_phone(tab: Page, pages: dict[str, Path]) -> None:
    tab.goto(pages["catalog"].as_uri())
    assert tab.locator("nav li a").first.is_visible()
    tab.set_viewport_size({"width": 390, "height": 800})
    assert not tab.locator("nav li a").first.is_visible()
    tab.locator("nav summary").click()
    assert tab.locator("nav li a").first.is_visible()


def test_the_first_key_leads_past_the_contents(tab: Page, pages: dict[str, Path]) -> None:
    tab.goto(pages["catalog"].as_uri())
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.textContent") == "Skip to the content"


def test_print_has_no_contents_and_loses_no_column(tab: Page, pages: dict[str, Path]) -> None:
    tab.goto(pages["catalog"].as_uri())
    tab.emulate_media(media="print")
    tab.set_viewport_size({"width": 700, "height": 1000})
    assert not tab.locator("nav li a").first.is_visible()
    assert tab.locator("#query-q2").is_visible()
    assert tab.evaluate("document.documentElement.scrollWidth") <= 700


def test_thousands_of_hostile_texts_run_nothing_ask_for_nothing_and_lead_nowhere(chromium: Browser) -> None:
    html = hostile.page(samples.hostile(hostile.values(1000, 5), 40), hostile.fragments(5000, 6), SMALL)
    assert unsafe(html) == []
    assert hostile.deeds(chromium, html, ADDRESS) == hostile.Deeds(0, [], [], [], [], [])


def test_what_a_hostile_text_would_do_is_seen(chromium: Browser) -> None:
    html = "".join(f"<p>{trick}</p>" for trick in hostile.HARMFUL if "http-equiv" not in trick and "<base" not in trick)
    done = hostile.deeds(chromium, f"<!doctype html><body>{html}", ADDRESS)
    assert done.ran > 20
    assert done.requests
    assert done.leading
    away = hostile.deeds(chromium, "<!doctype html><script>location = 'https://x.test/'</script>", ADDRESS)
    assert away.navigations == ["https://x.test/"]
    windows = "<script>open('https://x.test/w'); location = 'data:text/html,x'</script><a download href=/a>x</a>"
    clicked = f"<!doctype html>{windows}<script>document.querySelector('a').click()</script>"
    assert hostile.deeds(chromium, clicked, ADDRESS).others
    # Taken as it stands, the one nests a link in a link, the other is read in another way when it is written again.
    for trick in ("<div><a href='#a'>x<table><a href='#b'>y</a></table></div>", "<pre>\n\nx</pre><table><tr>x"):
        assert hostile.deeds(chromium, f"<!doctype html><main>{trick}</main>", ADDRESS).misread
