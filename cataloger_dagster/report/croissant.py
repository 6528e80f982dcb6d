"""Croissant JSON-LD: the database as a dataset that machine-learning tools and search engines understand.

First form: a live dataset without downloads, with a record set per table and a field per column. mlcroissant
reads it without an error; license, version and citation, which it recommends, are not ours to state.
"""

import re
from typing import Any

from cataloger_dagster.facts import Column, Table
from cataloger_dagster.report import anchors
from cataloger_dagster.report.block import Block, as_json

_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "equivalentProperty": "cr:equivalentProperty",
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}

_TYPES = (
    (r"bool", "sc:Boolean"),
    (r"timestamp|datetime", "sc:DateTime"),
    (r"date", "sc:Date"),
    (r"time(?!stamp)", "sc:Time"),
    (r"^u?(tiny|small|big|huge|medium)?int|integer|serial|^int\d", "sc:Integer"),
    (r"float|double|real|decimal|numeric|money", "sc:Float"),
)


def croissant(block: Block, *, fields: bool = True) -> str:
    """Return the page's Croissant description as JSON that is safe inside a script element.

    With *fields* every column is there, else the tables alone.
    """
    ids = {
        (table.name, column.name): f"{anchors.place(table.name)}/{anchors.place(column.name)}"
        for table in block.tables
        for column in table.columns
    }
    references = {(r.from_[0], r.from_[1][0]): (r.to[0], r.to[1][0]) for r in block.references if len(r.from_[1]) == 1}
    return as_json(
        {
            "@context": _CONTEXT,
            "@type": "sc:Dataset",
            "conformsTo": "http://mlcommons.org/croissant/1.1",
            "name": block.database,
            "description": block.about or f"The {block.engine} database {block.database}.",
            "datePublished": block.snapshot,
            "dateModified": block.snapshot,
            "isLiveDataset": True,
            "distribution": [
                {
                    "@type": "cr:FileObject",
                    "@id": "database",
                    "name": block.database,
                    "description": "The database itself; this page is its description as of one moment.",
                    "encodingFormat": "application/sql",
                    "contentUrl": f"urn:cataloger:{anchors.place(block.database)}",
                }
            ],
            "recordSet": [
                _records(table, ids, references) if fields else _without_fields(table) for table in block.tables
            ],
        }
    )


def _without_fields(table: Table) -> dict[str, Any]:
    return {"@type": "cr:RecordSet", "@id": anchors.place(table.name), "name": table.name}


def _records(
    table: Table, fields: dict[tuple[str, str], str], references: dict[tuple[str, str], tuple[str, str]]
) -> dict[str, Any]:
    key = table.primary_key or (table.keys[0] if table.keys else None)
    records = _without_fields(table)
    if table.comment:
        records["description"] = table.comment
    if key:
        records["key"] = [{"@id": fields[table.name, name]} for name in key if (table.name, name) in fields]
    records["field"] = []
    for column in table.columns:
        item = _field(table, column, fields[table.name, column.name])
        target = references.get((table.name, column.name))
        if target in fields:
            item["references"] = {"field": {"@id": fields[target]}}
        records["field"].append(item)
    return records


def _field(table: Table, column: Column, key: str) -> dict[str, Any]:
    kind = column.type.lower()
    found = next((name for pattern, name in _TYPES if re.search(pattern, kind)), "sc:Text")
    field: dict[str, Any] = {
        "@type": "cr:Field",
        "@id": key,
        "name": f"{table.name}/{column.name}",
        "dataType": found,
        "source": {"fileObject": {"@id": "database"}, "extract": {"column": column.name}},
    }
    if column.comment:
        field["description"] = column.comment
    return field
