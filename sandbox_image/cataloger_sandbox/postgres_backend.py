"""Ibis's backend for PostgreSQL where nothing can be made: it asks for a query's columns without a temporary view."""

from ibis.backends.postgres import Backend
from ibis.expr.schema import Schema


class ReadingBackend(Backend):  # type: ignore[misc]  # ibis has no types
    """The backend of ``con``; ``con.sql`` works on a read-only connection too."""

    def _get_schema_using_query(self, query: str) -> Schema:
        with self.con.cursor() as cursor, self.con.transaction():
            cursor.execute(f"SELECT * FROM ({query.rstrip().rstrip(';')}\n) AS q LIMIT 0")
            columns = [(cursor.pgresult.ftype(at), cursor.pgresult.fmod(at)) for at in range(cursor.pgresult.nfields)]
            names = [item.name for item in cursor.description]
            types = cursor.execute(
                "SELECT format_type(t.kind, t.modifier) FROM unnest(%s::oid[], %s::int[]) "
                "WITH ORDINALITY AS t (kind, modifier, place) ORDER BY place",
                [[kind for kind, _ in columns], [modifier for _, modifier in columns]],
            ).fetchall()
        mapper = self.compiler.type_mapper
        return Schema({name: mapper.from_string(kind) for name, (kind,) in zip(names, types, strict=True)})
