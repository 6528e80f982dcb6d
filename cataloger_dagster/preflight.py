"""The pre-flight: what a database and its role are, seen before anything is spent on them.

What is looked at is ``cataloger_sandbox.preflight``'s, which runs in the sandbox. Whether a run goes on after it
is ``cataloging``'s.
"""

from dataclasses import dataclass

from cataloger_dagster.databases import Database
from cataloger_dagster.sandbox.session import Sandbox, Session

PREFLIGHT_SECONDS = 60.0
SHOWN_RIGHTS = 8
"""How many rights a message names."""


@dataclass(frozen=True)
class Verdict:
    """What the pre-flight found: the engine, what is there, and what the role could write (nothing, if right).

    Attributes:
        rights: each right to write, as text.
        notes: what the role may do beyond reading that is no reason to refuse it, a sentence each.
        forwarded: what it means that the server is reached through a relay that looks at first words alone; null for
            other databases.
        remedy: SQL after which there is a role that can write nothing; null where there is nothing to mend.
    """

    engine: str
    tables: int
    views: int
    rights: list[str]
    notes: list[str]
    role: str | None = None
    remedy: str | None = None
    forwarded: str | None = None

    @property
    def read_only(self) -> bool:
        """Whether the role can write nothing."""
        return not self.rights

    def refusal(self, database: Database) -> str:
        """Say why *database* is not read with this role, and how to make a right one."""
        return (
            f"{database.name}: the role {self.role!r} can write ({self._shown}). "
            f"Cataloger reads with a read-only role. This SQL puts it right:\n{self.remedy}\n"
            "Or set allow_writable_role: true for this database; the page will say so."
        )

    @property
    def warnings(self) -> list[str]:
        """What a page must say of how it was read: a role that can write, a relay that does not look."""
        found = [self.forwarded] if self.forwarded else []
        return [self.warning, *found] if self.rights else found

    @property
    def warning(self) -> str:
        """What is said of a role that can write."""
        return f"The role {self.role!r} that this was measured with can write: {self._shown}."

    @property
    def _shown(self) -> str:
        more = f"; and {len(self.rights) - SHOWN_RIGHTS} more" if len(self.rights) > SHOWN_RIGHTS else ""
        return "; ".join(self.rights[:SHOWN_RIGHTS]) + more


def preflight(database: Database, sandbox: Sandbox) -> Verdict:
    """Look at *database* before anything is spent on it: reachable, what is there, what its role may do.

    Raises:
        DatabaseError: it can't be opened or read.
        SandboxError: the sandbox failed.
    """
    with sandbox.open(database, cells=False) as session:
        return look(database, session)


def look(database: Database, session: Session) -> Verdict:
    """Do the same in a *session* that is open on *database* already."""
    arguments = {"connection": dict(session.connection), "schemas": database.schemas}
    return Verdict(**session.call("cataloger_sandbox.preflight:preflight", arguments, PREFLIGHT_SECONDS))
