"""The relationship diagram: tables as boxes in layers, references as curves, as inline SVG.

Tables that refer to others stand left of those they refer to; tables that hang together stand together, apart from
the other groups. Groups that stand side by side are one drawing, those below them another, so that paper can end
between the two. Declared references are solid, inferred ones dashed. The layout is deterministic: the same facts give
the same picture, so snapshots can be compared by eye.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from unicodedata import east_asian_width

from markupsafe import Markup

from cataloger_dagster.facts import Facts, Reference
from cataloger_dagster.report.numbers import count

BOX, GAP, MARGIN = 168, 84, 6
HEAD, LINE, PAD = 22, 15, 6
BETWEEN = 18
# A layer with more boxes than this stands in several columns.
TALL = 30
# What a wide page has room for; groups stand side by side up to it. A group of more layers than fit goes on below.
WIDE = 960
LAYERS = 4
# So far beside its boxes a curve turns that goes on below, the curves beside each other in a band so wide.
TURN = 12
BAND = 20
# Between the layers of such a group, which needs room for its bands.
NEAR = 70
APART = 34
# Beyond this many boxes only names are drawn, or nobody finds anything.
DETAILED = 40
LETTERS = 21


@dataclass
class _Node:
    """A box of a table, or (``table`` empty) a bend of a curve that passes a layer."""

    table: str
    rank: int
    columns: list[str] = field(default_factory=list)
    height: float = 4.0
    x: float = 0.0
    y: float = 0.0
    # Of the last layer before a group goes on below: where the band between the two rows begins.
    lane: float | None = None

    @property
    def middle(self) -> float:
        return self.y + self.height / 2

    def line(self, columns: Sequence[str]) -> float:
        """Return the height at which a reference of *columns* meets the box."""
        if self.table and columns and columns[0] in self.columns:
            return self.y + HEAD + LINE * self.columns.index(columns[0]) + LINE / 2 - 1
        return self.middle if not self.table or self.columns else self.y + self.height / 2


@dataclass
class _Row:
    """Groups that stand side by side: their tables, from where on, and how high the highest is."""

    top: float = 0.0
    height: float = 0.0
    tables: dict[str, None] = field(default_factory=dict)


def related(facts: Facts) -> list[str]:
    """Return the tables that refer to another or are referred to, in the facts' order."""
    touched = {end for r in facts.references for end in (r.from_[0], r.to[0])}
    return [table.name for table in facts.tables if table.name in touched]


def diagram(facts: Facts, anchor: Callable[[str], str]) -> Markup:
    """Return the diagram of *facts*; *anchor* gives the id of a table's section. Empty without references."""
    tables = related(facts)
    known = set(tables)
    references = [r for r in facts.references if r.from_[0] in known and r.to[0] in known]
    if not references:
        return Markup("")
    detailed = len(tables) <= DETAILED
    ranks = _ranks(tables, references)
    boxes = {name: _Node(name, ranks[name]) for name in tables}
    if detailed:
        for reference in references:
            for table, columns in (reference.from_, reference.to):
                shown = boxes[table].columns
                shown.extend(column for column in columns if column not in shown)
    for box in boxes.values():
        box.height = HEAD + LINE * len(box.columns) + (PAD if box.columns else 2)
    routes = [_route(reference, boxes) for reference in references]
    width, rows = _place_groups(boxes, routes)
    _untangle(boxes, references, routes)
    loops = any(r.from_[0] == r.to[0] for r in references)
    width += 26 if loops else 0
    turns = _turns(references, routes)
    edges = [_edge(*each, turns) for each in zip(references, routes, strict=True)]
    drawings = []
    for row in rows:
        inside = [edge for edge, route in zip(edges, routes, strict=True) if route[0].table in row.tables]
        label = f"{count(len(row.tables), 'table')} and {count(len(inside), 'reference')} between them"
        label += "; the list below says the same"
        parts = [*inside, *(_box(boxes[name], anchor(name)) for name in row.tables)]
        drawings.append(
            Markup(
                '<svg class="er" viewBox="0 {top} {w} {h}" width="{w}" height="{h}" role="group"'
                ' aria-label="{label}">{parts}</svg>'
            ).format(top=round(row.top), w=round(width), h=round(row.height), label=label, parts=Markup("").join(parts))
        )
    return Markup("").join(drawings)


def _ranks(tables: Sequence[str], references: Sequence[Reference]) -> dict[str, int]:
    """Return each table's layer: right of everything that refers to it, cycles broken where they close."""
    targets: dict[str, list[str]] = defaultdict(list)
    for reference in references:
        if reference.from_[0] != reference.to[0] and reference.to[0] not in targets[reference.from_[0]]:
            targets[reference.from_[0]].append(reference.to[0])
    ranks: dict[str, int] = {}
    order: list[str] = []
    state: dict[str, int] = {}
    back: set[tuple[str, str]] = set()
    for start in tables:
        stack = [(start, iter(targets[start]))] if start not in state else []
        state.setdefault(start, 1)
        while stack:
            name, rest = stack[-1]
            for target in rest:
                if state.get(target) == 1:
                    back.add((name, target))
                elif target not in state:
                    state[target] = 1
                    stack.append((target, iter(targets[target])))
                    break
            else:
                state[name] = 2
                order.append(name)
                stack.pop()
    for name in reversed(order):
        ranks.setdefault(name, 0)
        for target in targets[name]:
            if (name, target) not in back:
                ranks[target] = max(ranks.get(target, 0), ranks[name] + 1)
    # A table that only refers stands next to what it refers to, not at the far left.
    referred = {target for name in tables for target in targets[name] if (name, target) not in back}
    for name in tables:
        forward = [ranks[t] for t in targets[name] if (name, t) not in back]
        if name not in referred and forward:
            ranks[name] = min(forward) - 1
    return ranks


def _route(reference: Reference, boxes: dict[str, _Node]) -> list[_Node]:
    """Return the nodes a curve goes through: its two boxes, and a bend in each layer between them."""
    start, end = boxes[reference.from_[0]], boxes[reference.to[0]]
    step = 1 if end.rank > start.rank else -1
    bends = [_Node("", rank) for rank in range(start.rank + step, end.rank, step)]
    return [start, *bends, end]


def _place_groups(boxes: dict[str, _Node], routes: list[list[_Node]]) -> tuple[float, list[_Row]]:
    """Lay every group out by itself, the groups side by side in rows, and return the width of the whole and these."""
    width = x = 0.0
    rows = [_Row()]
    for group in _groups(boxes, routes):
        own = [route for route in routes if route[0].table in group]
        layers = _layers([boxes[name] for name in group], own)
        _order(layers, own)
        wide, high = _place(layers)
        if x and x + wide > WIDE:
            x = 0.0
            rows.append(_Row(rows[-1].top + rows[-1].height))
        for node in (node for layer in layers for node in layer):
            node.x += x
            _lower(node, rows[-1].top)
        rows[-1].tables |= group
        rows[-1].height = max(rows[-1].height, high)
        x += wide + APART
        width = max(width, x - APART)
    return width, rows


def _groups(boxes: dict[str, _Node], routes: list[list[_Node]]) -> list[dict[str, None]]:
    """Return the tables that hang together, the most first, each group in the facts' order."""
    group = {name: {name: None} for name in boxes}
    for route in routes:
        one, other = group[route[0].table], group[route[-1].table]
        if one is not other:
            one |= other
            group |= dict.fromkeys(other, one)
    distinct = {id(names): names for names in group.values()}
    order = {name: number for number, name in enumerate(boxes)}
    found = [dict.fromkeys(sorted(names, key=order.__getitem__)) for names in distinct.values()]
    return sorted(found, key=lambda names: (-len(names), order[next(iter(names))]))


def _layers(boxes: list[_Node], routes: list[list[_Node]]) -> list[list[_Node]]:
    nodes = [*boxes, *(bend for route in routes for bend in route[1:-1])]
    ranks = [box.rank for box in boxes]
    layers: list[list[_Node]] = [[] for _ in range(min(ranks), max(ranks) + 1)]
    for node in nodes:
        layers[node.rank - min(ranks)].append(node)
    return layers


def _order(layers: list[list[_Node]], routes: list[list[_Node]]) -> None:
    """Sort each layer by the mean place of its neighbours, back and forth, so that few curves cross."""
    neighbours: dict[int, list[_Node]] = defaultdict(list)
    for route in routes:
        for one, other in pairwise(route):
            if one.rank != other.rank:
                neighbours[id(one)].append(other)
                neighbours[id(other)].append(one)
    for sweep in range(8):
        place = {id(node): index / max(len(layer), 1) for layer in layers for index, node in enumerate(layer)}
        for layer in layers if sweep % 2 == 0 else reversed(layers):
            means = {}
            for node in layer:
                near = [place[id(other)] for other in neighbours[id(node)]]
                means[id(node)] = sum(near) / len(near) if near else place[id(node)]
            layer.sort(key=_by(means))
            place |= {id(node): index / max(len(layer), 1) for index, node in enumerate(layer)}


def _by(means: dict[int, float]) -> Callable[[_Node], float]:
    return lambda node: means[id(node)]


def _place(layers: list[list[_Node]]) -> tuple[float, float]:
    """Give every node of a group its place and return the size of the whole."""
    if len(layers) > LAYERS:
        wide, high = _place_row(layers[:LAYERS], NEAR, TURN + BAND)
        for node in layers[LAYERS - 1]:
            node.lane = high + BETWEEN / 2
        rest = layers[LAYERS:]
        further, below = _place(rest) if len(rest) > LAYERS else _place_row(rest, NEAR, TURN + BAND)
        for node in (node for layer in rest for node in layer):
            _lower(node, high + BETWEEN + BAND)
        return max(wide, further), high + BETWEEN + BAND + below
    return _place_row(layers, GAP, 0)


def _lower(node: _Node, by: float) -> None:
    node.y += by
    if node.lane is not None:
        node.lane += by


def _place_row(layers: list[list[_Node]], gap: float, beside: float) -> tuple[float, float]:
    """Give the nodes of layers that stand side by side, *gap* apart, their places, with room *beside* for curves."""
    between = BETWEEN if all(len(layer) <= TALL for layer in layers) else 8
    columns = [_columns(layer) for layer in layers]
    heights = [[sum(n.height + between for n in column) - between for column in layer] for layer in columns]
    total = max(height for layer in heights for height in layer)
    x = MARGIN + beside
    for layer, tall in zip(columns, heights, strict=True):
        for column, height in zip(layer, tall, strict=True):
            y = MARGIN + (total - height) / 2
            for node in column:
                node.x, node.y = x, y
                y += node.height + between
            x += BOX + 14
        x += gap - 14
    return x - gap + MARGIN + beside, total + 2 * MARGIN


def _columns(layer: list[_Node]) -> list[list[_Node]]:
    boxes = sum(bool(node.table) for node in layer)
    size = len(layer) if boxes <= TALL else -(-len(layer) // -(-boxes // TALL))
    return [layer[start : start + size] for start in range(0, len(layer), size)]


def _untangle(boxes: dict[str, _Node], references: Sequence[Reference], routes: Sequence[list[_Node]]) -> None:
    """Sort the lines of each box by the height that their curves go to."""
    heights: dict[tuple[str, str], list[float]] = defaultdict(list)
    for reference, route in zip(references, routes, strict=True):
        for (table, columns), other in ((reference.from_, route[1]), (reference.to, route[-2])):
            heights[table, columns[0]].append(other.middle)
    for name, box in boxes.items():
        means = {column: sum(y) / len(y) for (table, column), y in heights.items() if table == name}
        # The further columns of a key stay behind its first.
        last = 0.0
        keys: dict[str, float] = {}
        for column in box.columns:
            last = means.get(column, last)
            keys[column] = last
        box.columns.sort(key=keys.__getitem__)


def _heights(reference: Reference, route: list[_Node]) -> list[float]:
    """Return at what height a curve meets each node on its way."""
    bends = [node.middle for node in route[1:-1]]
    return [route[0].line(reference.from_[1]), *bends, route[-1].line(reference.to[1])]


def _turns(
    references: Sequence[Reference], routes: Sequence[list[_Node]]
) -> dict[tuple[int, int], tuple[float, float]]:
    """Return where in its band each curve that goes on below runs, by its way from node to node: on which line of the
    band, from its upper and inner edge, and how wide the band is.

    Of the curves of a band the one that comes from the lowest is the innermost on its right, so that none crosses
    another there.
    """
    bands: dict[float, list[tuple[float, tuple[int, int]]]] = defaultdict(list)
    for reference, route in zip(references, routes, strict=True):
        heights = _heights(reference, route)
        for at, (one, other) in enumerate(pairwise(route)):
            upper = one if other.rank > one.rank else other
            if one.rank != other.rank and upper.lane is not None:
                bands[upper.lane].append((heights[at if upper is one else at + 1], (id(route), at)))
    turns = {}
    for band in bands.values():
        apart = min(4.0, BAND / max(1, len(band) - 1))
        for number, (_, key) in enumerate(sorted(band, reverse=True)):
            turns[key] = (apart * number, apart * (len(band) - 1))
    return turns


def _edge(reference: Reference, route: list[_Node], turns: Mapping[tuple[int, int], tuple[float, float]]) -> Markup:
    start, end = route[0], route[-1]
    y1, y2 = start.line(reference.from_[1]), end.line(reference.to[1])
    if start is end or start.rank == end.rank:
        x, y2 = start.x + BOX, y2 + (4 if y1 == y2 else 0)
        path = f"M{x:.0f} {y1:.0f}C{x + 32:.0f} {y1:.0f} {x + 32:.0f} {y2:.0f} {x:.0f} {y2:.0f}"
    else:
        forward = end.rank > start.rank
        x, y = (start.x + BOX if forward else start.x), y1
        path, before = f"M{x:.0f} {y:.0f}", start
        for step, node in enumerate(route[1:]):
            at = y2 if node is end else node.middle
            near = node.x if forward else node.x + BOX
            lane = (before if forward else node).lane
            if lane is None:
                half = (near - x) / 2
                path += f"C{x + half:.0f} {y:.0f} {near - half:.0f} {at:.0f} {near:.0f} {at:.0f}"
            else:
                line, band = turns[id(route), step]
                out, into = TURN + line, TURN + band - line
                path += _below(x, y, lane + line, near, at, *((1, out, into) if forward else (-1, into, out)))
            before = node
            if node is not end:
                x = node.x + BOX if forward else node.x
                path += f"H{x:.0f}"
                y = at
    words = describe(reference)
    tip = Markup('<circle cx="{}" cy="{}" r="2.5"/>').format(
        f"{(end.x if end.rank > start.rank else end.x + BOX):.0f}",
        f"{y2:.0f}",
    )
    return Markup('<g{}><title>{}</title><path d="{}"/>{}</g>').format(
        Markup("") if reference.declared else Markup(' class="inferred"'), words, path, tip
    )


def _below(x: float, y: float, lane: float, near: float, at: float, way: int, out: float, into: float) -> str:
    """Return the path from (*x*, *y*) by the lane to (*near*, *at*) in the next row, or (*way* -1) in the one above.

    It turns *out* beside where it comes from, and *into* beside where it goes.
    """
    r = TURN / 2
    out, into = x + way * out, near - way * into
    return (
        f"H{out - way * r:.0f}Q{out:.0f} {y:.0f} {out:.0f} {y + way * r:.0f}V{lane - way * r:.0f}"
        f"Q{out:.0f} {lane:.0f} {out - way * r:.0f} {lane:.0f}H{into + way * r:.0f}"
        f"Q{into:.0f} {lane:.0f} {into:.0f} {lane + way * r:.0f}V{at - way * r:.0f}"
        f"Q{into:.0f} {at:.0f} {into + way * r:.0f} {at:.0f}H{near:.0f}"
    )


def describe(reference: Reference) -> str:
    """Return a reference in words."""
    (table, columns), (target, keys) = reference.from_, reference.to
    words = f"{table} ({', '.join(columns)}) refers to {target} ({', '.join(keys)}), "
    words += "declared" if reference.declared else "inferred"
    return words + (f", {reference.orphans:,} rows without a match" if reference.orphans else "")


def _box(box: _Node, anchor: str) -> Markup:
    lines = [
        Markup('<text x="{}" y="{}">{}</text>').format(
            f"{box.x + 10:.0f}", f"{box.y + HEAD + LINE * index + 10:.0f}", _cut(column)
        )
        for index, column in enumerate(box.columns)
    ]
    return Markup(
        '<a href="#{anchor}"><title>{title}</title><rect x="{x}" y="{y}" width="{w}" height="{h}" rx="4"/>'
        '<text class="b" x="{tx}" y="{ty}">{name}</text>{lines}</a>'
    ).format(
        anchor=anchor,
        title=box.table,
        x=f"{box.x:.0f}",
        y=f"{box.y:.0f}",
        w=BOX,
        h=f"{box.height:.0f}",
        tx=f"{box.x + 10:.0f}",
        ty=f"{box.y + 15:.0f}",
        name=_cut(box.table),
        lines=Markup("").join(lines),
    )


def _cut(name: str) -> str:
    """Return what a box has room for of a name: its beginning and its end, by which long names differ."""
    if _wide(name) <= LETTERS:
        return name
    head, tail = name, name
    while _wide(head) > LETTERS - 9:
        head = head[:-1]
    while _wide(tail) > 8:
        tail = tail[1:]
    return f"{head}…{tail}"


def _wide(text: str) -> int:
    """Return how many letters' room *text* takes: those of East Asia are twice as wide."""
    return sum(2 if east_asian_width(letter) in "WF" else 1 for letter in text)
