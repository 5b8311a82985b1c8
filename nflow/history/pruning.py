"""Removing runs from the history that ended long ago, at a person's word: they do not come back by themselves."""

from sqlalchemy import Select, delete, func, insert, literal, select

from nflow.history.database import Database
from nflow.history.schema import OF_RUNS, PRUNED, RUNS
from nflow.view.detail import ENDED, UNKNOWN


def prune(database: Database, namespace: str, *, before: float, now: float) -> int:
    """Remove all runs that had ended before that time; how many they were. A run that is retried comes back."""
    with database.writing() as connection:
        old = _old(namespace, before)
        count: int = connection.execute(select(func.count()).select_from(old.subquery())).scalar_one()
        fresh = old.where(RUNS.c.run.not_in(select(PRUNED.c.run))).add_columns(literal(now))
        connection.execute(insert(PRUNED).from_select(["run", "at"], fresh))
        for table in OF_RUNS:  # the runs themselves last, for they tell what is old
            connection.execute(delete(table).where(table.c.run.in_(old)))
    return count


def count_of(database: Database, namespace: str, *, before: float) -> int:
    """How many runs `prune` would remove."""
    with database.reading() as connection:
        old = _old(namespace, before).subquery()
        count: int = connection.execute(select(func.count()).select_from(old)).scalar_one()
        return count


def _old(namespace: str, before: float) -> Select[tuple[str]]:
    """Ids of the runs that ended before that time; of those whose end nobody knows, the last word counts."""
    ended = func.coalesce(RUNS.c.ended, RUNS.c.last_at)
    return select(RUNS.c.run).where(
        RUNS.c.namespace == namespace, RUNS.c.state.in_((*sorted(ENDED), UNKNOWN)), ended < before
    )
