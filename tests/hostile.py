"""Hostile texts by the thousand, the same for one seed: values of a database, and what a model could submit.

Each tries to bring a script, a request or a navigation to a page; a script that runs calls ``ran()``. They are put
together of what is known to have got through sanitisers, and of what parsers are known to differ on.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from playwright.sync_api import Browser, Route

from cataloger_dagster.facts import Facts
from cataloger_dagster.report.catalog import catalog_page
from tests import samples

RUN = ("ran()", "top.ran()", "alert(1)", "location='https://x.test/'", "fetch('https://x.test/')", "ran&#40;&#41;")
REQUEST = ("https://x.test/a.png", "//x.test/b", "http://x.test/c", "data:text/html,<script>ran()</script>")
REQUEST += ("javascript:ran()", "java\tscript:ran()", " javascript:ran()", "JaVaScRiPt:ran()", "&#106;avascript:ran()")
REQUEST += ("vbscript:ran()", "blob:x", "file:///etc/passwd", "data:image/svg+xml,<svg onload=ran()>", "\\\\x.test\\d")
ELEMENTS = tuple(
    """
    a abbr address annotation-xml applet area article audio b base bdo big blink body br button canvas caption center
    code col colgroup data datalist dd del desc details dialog div dl dt em embed fieldset figure font foreignObject
    form frame frameset g h1 h2 head hr html i iframe image img input ins isindex kbd keygen label legend li link
    listing main map mark marquee math menu meta mglyph mi mn mo ms mtext nav nobr noembed noframes noscript object ol
    optgroup option output p param path picture plaintext portal pre progress rb rp rt ruby s script section select
    set slot small source span strike style sub summary sup svg table tbody td template text textarea tfoot th thead
    time title tr track tt u ul use var video wbr xmp xss fact-value fact-table fact-chart fact-relations fact-findings
    """.split()  # noqa: SIM905
)
ATTRIBUTES = tuple(
    """
    onclick onload onerror onfocus onmouseover ontoggle onbegin onanimationstart onpointerenter src href xlink:href
    action formaction data srcdoc srcset poster background style cite ping manifest longdesc lowsrc dynsrc codebase
    archive classid profile usemap icon content http-equiv id name class data-for ref data-claim target download
    autofocus accesskey slot is nonce encoding definitionurl values from to attributename contenteditable title
    """.split()  # noqa: SIM905
)
STYLES = (
    "background:url(https://x.test/e)",
    "position:fixed;inset:0;z-index:9",
    "width:expression(ran())",
    "@import 'https://x.test/f'",
    "b\\61 ckground:u\\72l(https://x.test/g)",
    "-moz-binding:url(https://x.test/h)",
    "color:red",
)
HARMFUL = (
    '<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=ran()&gt;">',
    '<svg></p><style><a id="</style><img src=1 onerror=ran()>">',
    '<noscript><p title="</noscript><img src=x onerror=ran()>">',
    "<form><math><mtext></form><form><mglyph><style></math><img src onerror=ran()>",
    "<table><a href=x><table><a href=y>b</a></table></a></table>",
    "<svg><foreignobject><math><mi><style><img src=x onerror=ran()></style>",
    '<math><annotation-xml encoding="text/html"><script>ran()</script></annotation-xml></math>',
    "<select><template><style><img src=x onerror=ran()></style></template></select>",
    '<xmp><p title="</xmp><img src=x onerror=ran()>">',
    '<textarea><p title="</textarea><svg onload=ran()>">',
    '<title><p title="</title><svg onload=ran()>">',
    "<svg><title><p><style><!--</style></p></title><img src=x onerror=ran()>--></svg>",
    '<svg><a xlink:href="javascript:ran()"><text y=20>x</text></a></svg>',
    "<svg><animate onbegin=ran() attributeName=x dur=1s></svg>",
    '<svg><use href="data:image/svg+xml,<svg id=x onload=ran()></svg>#x"></svg>',
    "<details open ontoggle=ran()><summary>x</summary></details>",
    '<meta http-equiv=refresh content="0;url=https://x.test/">',
    '<base href="https://x.test/"><a href="a">x</a>',
    '<link rel=stylesheet href="https://x.test/s.css"><link rel=prefetch href="https://x.test/p">',
    '<iframe srcdoc="<script>parent.ran()</script>"></iframe>',
    '<object data="data:text/html,<script>ran()</script>"></object><embed src="https://x.test/e">',
    '<form id=x action="javascript:ran()"><button>x</button></form><button form=x formaction="javascript:ran()">y',
    "<img src=x onerror=ran()><image href=x onerror=ran()><input autofocus onfocus=ran()>",
    '<video poster="https://x.test/v"><source src=x onerror=ran()></video><audio src="https://x.test/w" autoplay>',
    "<style>@import 'https://x.test/i';*{background:url(https://x.test/j)}</style>",
    '<script type="application/json" id="cataloger">{"format":1}</script>',
    '<data value=1 data-claim="flights.rows">1</data>',
    '<div style="position:fixed;inset:0;background:#fff">covers</div>',
)
OPEN = (
    "<p id=cataloger>x</p><p id=page-main>y</p><p id=query-q1>z</p><a href=#cataloger>c</a><form name=body></form>",
    "<plaintext>", "<!--", "<![CDATA[", "<textarea>", "<title>", "<script>", "<style>", "<frameset>", "</body></html>",
    "<p data-for='flights.dest'><script>ran()</script>",
    "<template shadowrootmode=open><script>ran()</script></template>",
    "{{ 7 * 7 }}{% raw %}", "<p>\ud800 \udfff\ufffe\x00\x0b", "<a href='#%22%3E%3Cscript%3Eran()%3C/script%3E'>x</a>",
)  # fmt: skip
WHOLE = HARMFUL + OPEN
ENDS = ("", '"', "'", '">', "'>", "-->", "]]>", "</title>", "</style>", "</script>", "</textarea>", "</pre>", "</svg>")
ENDS += (
    "</noscript>",
    "`",
    "*/",
    "\\",
    "\u2028",
    "\x00",
    "\u202e",
    "&quot;>",
    "</data>",
    "</section>",
    "</td></table>",
)
PLAIN = (
    "a",
    "7",
    "12 %",
    "é",
    "東京",
    " ",
    "\n",
    "\t",
    "\r",
    "&",
    "&lt;",
    "&#x3c;",
    "<",
    ">",
    "=",
    "$(x)",
    "|",
    "`",
    "#",
)


def values(count: int, seed: int) -> list[str]:
    """Return *count* different values, none of them empty."""
    chance = random.Random(seed)
    found: dict[str, None] = {}
    while len(found) < count:
        end, rest = chance.choice(ENDS), chance.choice((_start_tag, _whole, _plain))(chance)
        found.setdefault((end + rest).strip() or "x")
    return list(found)


def fragments(count: int, seed: int) -> list[str]:
    """Return *count* submissions: known ones first, then such as nobody has seen."""
    chance = random.Random(seed)
    found = list(WHOLE[:count])
    while len(found) < count:
        parts = [
            chance.choice((_start_tag, _start_tag, _end_tag, _whole, _plain))(chance)
            for _ in range(chance.randint(1, 9))
        ]
        found.append("".join(parts))
    return found


def _start_tag(chance: random.Random) -> str:
    name = chance.choice(ELEMENTS)
    if chance.random() < 0.2:
        name = "".join(chance.choice((c.upper(), c)) for c in name)
    given = [f"{chance.choice(ATTRIBUTES)}{_value(chance)}" for _ in range(chance.randint(0, 3))]
    return (
        f"<{chance.choice((' ', '/', chr(12), ' ')).join([name, *given])}{chance.choice(('>', '>', '/>', ' ', '>x'))}"
    )


def _end_tag(chance: random.Random) -> str:
    return f"</{chance.choice(ELEMENTS)}>"


def _value(chance: random.Random) -> str:
    value = chance.choice(chance.choice((RUN, REQUEST, STYLES, PLAIN, ("flights", "flights.rows", "refresh", "x"))))
    return chance.choice(("", "=", f"={value}", f'="{value}"', f"='{value}'", f"=`{value}`"))


def _whole(chance: random.Random) -> str:
    return chance.choice(WHOLE)


def _plain(chance: random.Random) -> str:
    return "".join(chance.choice(chance.choice((PLAIN, RUN, REQUEST))) for _ in range(chance.randint(1, 4)))


def page(facts: Facts, submissions: Sequence[str], small: Facts) -> str:
    """Return a page of *facts*, and after them what became of each of *submissions* about *small*."""
    made = []
    for submission in submissions:
        html = catalog_page(samples.run(previous=None), small, submission, {}, []).html
        made.append(html.partition('<main id="page-main">')[2].partition("</main>")[0])
    whole = catalog_page(samples.run(), facts, None, {}, []).html
    return whole.replace("</main>", "".join(made) + "</main>", 1)


@dataclass
class Deeds:
    """What a page did in a browser: scripts run, requests, navigations; and attributes that could do so (leading)."""

    ran: int
    requests: list[str]
    navigations: list[str]
    leading: list[str]


def deeds(browser: Browser, html: str, address: str) -> Deeds:
    """Open *html* at *address*, without its content security policy, point at everything, and say what it did."""
    # The policy would stop what the page tries: here nothing may be tried.
    context = browser.new_context(bypass_csp=True, viewport={"width": 1280, "height": 900})
    context.add_init_script(_COUNTERS)
    tab = context.new_page()
    requests: list[str] = []
    visits: list[str] = []

    def answer(route: Route) -> None:
        requests.append(route.request.url)
        route.fulfill(status=200, body=html if route.request.url == address else "", content_type="text/html")

    tab.route("**", answer)
    tab.on("framenavigated", lambda frame: visits.append(frame.url))
    tab.on("dialog", lambda dialog: dialog.dismiss())
    tab.goto(address)
    tab.evaluate(_PROD)
    tab.wait_for_timeout(300)
    found = Deeds(tab.evaluate("window.__ran"), requests[1:], visits[1:], tab.evaluate(_LEADING))
    context.close()
    return found


_COUNTERS = """
window.__ran = 0;
window.ran = window.alert = window.prompt = window.confirm = () => { window.__ran++; };
"""
_PROD = """() => {
  for (const e of document.querySelectorAll("*"))
    for (const { name } of [...e.attributes].filter(a => a.name.startsWith("on")))
      e.dispatchEvent(new Event(name.slice(2)));
  document.querySelectorAll("details").forEach(e => { e.open = true; });
  window.scrollTo(0, document.body.scrollHeight);
}"""
_LEADING = """() => [...document.querySelectorAll("*")].flatMap(e => [...e.attributes].filter(a =>
  a.name.startsWith("on") ||
  ["src", "action", "formaction", "data", "srcdoc", "srcset", "poster", "background", "xlink:href"].includes(a.name) ||
  (a.name === "href" && !a.value.startsWith("#")) ||
  (a.name === "style" && !/^width:[0-9.]+%$/.test(a.value))).map(a => e.tagName + " " + a.name + "=" + a.value))"""
