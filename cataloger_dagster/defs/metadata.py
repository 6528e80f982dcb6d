"""What the UI shows of a run: a report's metadata, and errors told as Dagster tells them."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from cataloger_dagster.agent.model import Usage
from cataloger_dagster.errors import CatalogerError, ConfigurationError
from cataloger_dagster.export import escaped
from cataloger_dagster.facts import SEVERITIES
from cataloger_dagster.overview import WrittenOverview
from cataloger_dagster.publication import Report

PREVIEWED = 8
"""How many tables and findings the preview shows."""


@contextmanager
def told(context: dg.AssetExecutionContext | dg.OutputContext | dg.InputContext) -> Iterator[None]:
    """Turn an error of the core into a failure whose first line is the message, without our stack.

    A mistake in the configuration stays one however often it is tried.
    """
    try:
        yield
    except CatalogerError as error:
        context.log.error(str(error))
        raise dg.Failure(str(error), allow_retries=not isinstance(error, ConfigurationError)) from error


def report_metadata(report: Report) -> dict[str, dg.MetadataValue | int | float | str]:
    """Return what people look for in a materialization; numbers are plottable. A playbook's takes no tokens."""
    block, usage = report.page.block, report.usage
    by_kind: dict[str, dg.MetadataValue | int | float | str] = {
        "input tokens": usage.input,
        "cache write tokens": usage.cache_write,
        "cache read tokens": usage.cache_read,
        "output tokens": usage.output,
        "cache missed tokens": report.outcome.cache_missed,
    }
    return {
        "preview": dg.MetadataValue.md(_preview(report)),
        "rows": sum(table.rows or 0 for table in block.tables),
        "tables": len(block.tables),
        "columns": sum(len(table.columns) for table in block.tables),
        "findings": len(block.findings),
        "findings not listed": block.coverage.left_out,
        "changes": len(block.changes),
        "tokens": usage.first_time,
        **(by_kind if usage != Usage() else {}),
        "steps": report.outcome.steps,
        "seconds": round(report.seconds, 3),
        "agent seconds": round(report.agent_seconds, 3),
        "numbers unmeasured": report.page.unmeasured,
        "model": report.model,
        "narrative": report.page.block.narrative,
    }


def place_metadata(address: str) -> dg.MetadataValue:
    """Return where a page is: a path of this machine, or an address."""
    return dg.MetadataValue.url(address) if "://" in address else dg.MetadataValue.path(address)


def overview_metadata(written: WrittenOverview) -> dict[str, dg.MetadataValue | int | str]:
    """Return what people look for in a materialization of the overview."""
    return {
        "page": place_metadata(written.address),
        **({"transcript": place_metadata(written.transcript)} if written.transcript else {}),
        "databases": written.databases,
        "databases without a page": written.without_page,
        "text": written.text,
        **({"fault": written.fault} if written.fault else {}),
        "model": written.model,
        "tokens": written.usage.first_time,
        "numbers unmeasured": written.unmeasured,
    }


def _preview(report: Report) -> str:
    """Return the head of the page as Markdown: what it is about, its tables, its gravest findings."""
    block = report.page.block
    facts = f"{block.engine}, {len(block.tables)} tables, {len(block.findings)} findings, {len(block.changes)} changes"
    lines = [
        f"**{escaped(block.database)}**: {facts}",
        "",
        escaped(block.about or ""),
        "",
        "| table | rows | columns |",
    ]
    lines += ["|---|---:|---:|"]
    largest = sorted(block.tables, key=lambda table: -(table.rows or 0))[:PREVIEWED]
    lines += [
        f"| {escaped(table.name)} | {'?' if table.rows is None else f'{table.rows:,}'} | {len(table.columns)} |"
        for table in largest
    ]
    if len(block.tables) > len(largest):
        lines.append(f"| and {len(block.tables) - len(largest)} more | | |")
    gravest = sorted(block.findings, key=lambda finding: SEVERITIES.index(finding.severity))[:PREVIEWED]
    lines += ["", *(f"- {finding.severity}: {escaped(finding.sentence)}" for finding in gravest)]
    return "\n".join(lines)
