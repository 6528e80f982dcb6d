"""Adds up the verdicts of many databases and says what comes of them, as a table and as JSON."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from benchmarks.score.flaws import RATES
from benchmarks.score.grader import Grade
from benchmarks.score.judging import Count, Sets, Verdict

GOAL_RATE = 0.001
"""From this rate on a flaw is to be found; below, it is graded apart."""


@dataclass
class Score:
    """All that was judged so far."""

    verdicts: list[Verdict] = field(default_factory=list)
    clean: list[Verdict] = field(default_factory=list)
    references: list[Sets] = field(default_factory=list)
    labels: list[Sets] = field(default_factory=list)
    grades: list[Grade] = field(default_factory=list)

    def by_kind(self, counts: Callable[[float | None], bool] = lambda _: True) -> dict[str, Count]:
        """Return each kind's count, of the plants whose rate *counts* and the false alarms of those databases."""
        result: dict[str, Count] = defaultdict(Count)
        for verdict in self.verdicts:
            for plant, _ in verdict.hits:
                if plant.rate is None or counts(plant.rate):
                    result[plant.kind].hits += 1
            for plant, _ in verdict.misses:
                if plant.visible and (plant.rate is None or counts(plant.rate)):
                    result[plant.kind].misses += 1
            if counts(verdict.rate):
                for finding in verdict.false:
                    result[finding["kind"]].false += 1
        return dict(sorted(result.items()))

    def by_rate(self) -> dict[float | None, Count]:
        """Return each rate's count; null stands for flaws of whole columns and tables, and their false alarms."""
        result: dict[float | None, Count] = defaultdict(Count)
        for rates in self.by_kind_and_rate().values():
            for rate, count in rates.items():
                result[rate] += count
        return dict(sorted(result.items(), key=_place))

    def by_kind_and_rate(self) -> dict[str, dict[float | None, Count]]:
        """Return each kind's count at each rate; null stands for whole columns and tables."""
        result: dict[str, dict[float | None, Count]] = defaultdict(lambda: defaultdict(Count))
        for verdict in self.verdicts:
            for plant, _ in verdict.hits:
                result[plant.kind][plant.rate].hits += 1
            for plant, _ in verdict.misses:
                result[plant.kind][plant.rate].misses += plant.visible
            for finding in verdict.false:
                whole = None in RATES.get(finding["kind"], ())
                result[finding["kind"]][None if whole else verdict.rate].false += 1
        return {kind: dict(sorted(rates.items(), key=_place)) for kind, rates in sorted(result.items())}

    @property
    def headline(self) -> Count:
        """The count at the rates that are to be found, whole columns and tables included."""
        return sum(self.by_kind(lambda rate: rate is not None and rate >= GOAL_RATE).values(), Count())

    @property
    def invisible(self) -> tuple[int, int]:
        """How many flaws nobody with only the data could see, and how many of them were found all the same."""
        found = sum(not plant.visible for verdict in self.verdicts for plant, _ in verdict.hits)
        return found, found + sum(not plant.visible for verdict in self.verdicts for plant, _ in verdict.misses)

    def false_per_100(self, verdicts: Iterable[Verdict]) -> float | None:
        """Return the false alarms per hundred clean columns."""
        chosen = list(verdicts)
        columns = sum(verdict.untouched_columns for verdict in chosen)
        return 100 * sum(verdict.untouched_false for verdict in chosen) / columns if columns else None

    @property
    def reference_count(self) -> Count:
        """The count of inferred references."""
        return sum((each.count for each in self.references), Count())

    @property
    def label_count(self) -> Count:
        """The count of labels of personal data."""
        return sum((each.count for each in self.labels), Count())

    def figures(self) -> dict[str, Any]:
        """Return the whole score, for programs."""
        return {
            "headline": self.headline.figures(),
            "by_kind": {kind: count.figures() for kind, count in self.by_kind().items()},
            "by_rate": {_rate(rate): count.figures() for rate, count in self.by_rate().items()},
            "by_kind_and_rate": {
                kind: {_rate(rate): count.figures() for rate, count in rates.items()}
                for kind, rates in self.by_kind_and_rate().items()
            },
            "invisible": {"found": self.invisible[0], "planted": self.invisible[1]},
            "false_per_100_clean_columns": {
                "clean_twins": self.false_per_100(self.clean),
                "untouched_columns": self.false_per_100(self.verdicts),
            },
            "references": self.reference_count.figures(),
            "personal_data": self.label_count.figures(),
            "numbers": {
                "compared": sum(grade.compared for grade in self.grades),
                "estimates": sum(grade.estimates for grade in self.grades),
                "masked": sum(grade.masked for grade in self.grades),
                "absent": sorted({place for grade in self.grades for place in grade.absent}),
                "wrong": [vars(deviation) for grade in self.grades for deviation in grade.wrong],
            },
            "coverage": {
                "tables": [sum(grade.tables[i] for grade in self.grades) for i in (0, 1)],
                "columns": [sum(grade.columns[i] for grade in self.grades) for i in (0, 1)],
            },
        }

    def lines(self) -> Iterator[str]:
        """Yield the score as text."""
        yield _row("kind", "planted", "found", "false", "precision", "recall", "F1")
        for kind, count in self.by_kind().items():
            yield _line(kind, count)
        yield ""
        yield _row("rate", "planted", "found", "false", "precision", "recall", "F1")
        for rate, count in self.by_rate().items():
            yield _line(_rate(rate), count)
        yield _line(f"rates from {_rate(GOAL_RATE)} on, and whole", self.headline)
        yield ""
        yield _row("kind and rate", "planted", "found", "false", "precision", "recall", "F1")
        for kind, rates in self.by_kind_and_rate().items():
            for rate, count in rates.items():
                yield _line(f"{kind} {_rate(rate)}", count)
        yield "Found of what nobody with only the data could see: {} of {}, in no other figure".format(*self.invisible)
        yield ""
        yield f"False alarms per 100 clean columns, in clean twins: {_number(self.false_per_100(self.clean))}"
        yield f"False alarms per 100 untouched columns beside flaws: {_number(self.false_per_100(self.verdicts))}"
        yield _row("", "true", "found", "false", "precision", "recall", "F1")
        yield _line("inferred references", self.reference_count)
        yield _line("labels of personal data", self.label_count)
        yield from self._numbers()

    def _numbers(self) -> Iterator[str]:
        numbers = self.figures()["numbers"]
        wrong, compared = len(numbers["wrong"]), numbers["compared"]
        if compared:
            share = 100 * (compared - wrong) / compared
            yield (f"Numbers: {compared:,} compared, {numbers['estimates']:,} of them estimates, {numbers['masked']:,} "
                   f"masked; {wrong:,} wrong ({share:.4f} % right), {len(numbers['absent']):,} not given")  # fmt: skip
            coverage = self.figures()["coverage"]
            yield "Coverage: tables {}/{}, columns {}/{}".format(*coverage["tables"], *coverage["columns"])

    def details(self) -> Iterator[str]:
        """Yield every miss, every false alarm and every wrong number, one a line."""
        for verdict in (*self.clean, *self.verdicts):
            for plant, instead in verdict.misses:
                seen = "" if plant.visible else " (nobody could see it)"
                yield (f"missed  {_rate(plant.rate):7} {plant.kind} {plant.table} {','.join(plant.columns)} "
                       f"rows {plant.least}..{plant.most} [{plant.note}]: found {instead}{seen}")  # fmt: skip
            for finding in verdict.false:
                where = "clean" if verdict.rate is None else _rate(verdict.rate)
                yield (f"false   {where:7} {finding['kind']} {finding['table']} {','.join(finding['columns'])} "
                       f"rows {finding['rows']}: {finding.get('sentence', '')}")  # fmt: skip
        for name, sets in (("reference", self.references), ("label", self.labels)):
            for found in sets:
                yield from (f"missed  {name} {each}" for each in sorted(found.missed))
                yield from (f"false   {name} {each}" for each in sorted(found.wrong))
        for grade in self.grades:
            for each in grade.wrong:
                yield f"wrong   {each.place} {each.fact}: shown {each.shown!r}, true {each.true!r}"


def _place(item: tuple[float | None, Count]) -> float:
    return item[0] or 2.0  # whole columns and tables last


def _rate(rate: float | None) -> str:
    return "whole" if rate is None else f"{rate * 100:g} %"


def _row(*cells: str) -> str:
    return f"{cells[0]:28}" + "".join(f"{cell:>10}" for cell in cells[1:])


def _line(name: str, count: Count) -> str:
    figures = (count.precision, count.recall, count.f1)
    return _row(name, str(count.hits + count.misses), str(count.hits), str(count.false), *map(_number, figures))


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
