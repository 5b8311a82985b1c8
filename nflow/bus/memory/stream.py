"""One stream of records in memory, and which subjects match which patterns."""

import re
from bisect import bisect_right
from collections.abc import Iterable
from functools import lru_cache
from operator import attrgetter

from nflow.bus.port import Page, Record
from nflow.bus.topology import head_of


@lru_cache(maxsize=4096)
def _pattern(subject: str) -> re.Pattern[str]:
    tokens = {"*": r"[^.]+", ">": ".+"}
    return re.compile(r"\.".join(tokens.get(token, re.escape(token)) for token in subject.split(".")))


def matches(pattern: str, subject: str) -> bool:
    """Whether `subject` is one of those that `pattern` names: `*` is one token, a last `>` is one or more."""
    if pattern.endswith(".>") and "*" not in pattern:
        return subject.startswith(pattern[:-1]) and len(subject) >= len(pattern)
    return pattern == subject or _pattern(pattern).fullmatch(subject) is not None


class Stream:
    """Records in order, found by subject."""

    def __init__(self, *, one_per_subject: bool = False) -> None:
        self._one_per_subject = one_per_subject
        self._seq = 0
        self._records: dict[str, list[Record]] = {}

    @property
    def newest(self) -> int:
        """The last sequence that it has given."""
        return self._seq

    def newest_before(self, subject: str, moment: float | None) -> int:
        """The last sequence; with a moment, the one before the first that came to `subject` from then on."""
        if moment is None:
            return self._seq
        later = (record.seq for records in self._matching([subject]) for record in records if record.at >= moment)
        return min(later, default=self._seq + 1) - 1

    def append(self, subject: str, payload: bytes, at: float) -> Record:
        """Store a record."""
        self._seq += 1
        record = Record(subject, self._seq, at, payload, self.last_seq(subject))
        if self._one_per_subject:
            self._records[subject] = [record]
        else:
            self._records.setdefault(subject, []).append(record)
        return record

    def last(self, subject: str) -> Record | None:
        """The newest record on exactly this subject."""
        records = self._records.get(subject)
        return records[-1] if records else None

    def last_seq(self, subject: str) -> int:
        """The newest sequence on a subject (wildcards allowed); 0 where there is none."""
        last = self.last(subject)
        if last is None and ("*" in subject or ">" in subject):
            return max((records[-1].seq for records in self._matching([subject])), default=0)
        return last.seq if last else 0

    def read(self, subject: str, after: int, limit: int) -> Page:
        """Records that match, oldest first."""
        found = [record for records in self._matching([subject]) for record in _later(records, after)]
        found.sort(key=attrgetter("seq"))
        return Page(found[:limit], max(0, len(found) - limit))

    def last_of_each(self, subjects: Iterable[str]) -> list[Record]:
        """The newest record of every subject that matches, in stream order."""
        return sorted((records[-1] for records in self._matching(subjects)), key=attrgetter("seq"))

    def heads(self, subject: str, tokens: int) -> set[str]:
        """How the subjects that match begin."""
        return {head_of(records[-1].subject, tokens) for records in self._matching([subject])}

    def purge(self, subject: str, through: int | None = None) -> list[Record]:
        """Remove what matches, and tell what that was."""
        found = [record for records in self._matching([subject]) for record in records]
        gone = [record for record in found if through is None or record.seq <= through]
        for record in gone:
            self.remove(record)
        return gone

    def remove(self, record: Record) -> None:
        """Remove one record, unless it is gone already."""
        records = self._records.get(record.subject, [])
        if record in records:
            records.remove(record)
        if not records:
            self._records.pop(record.subject, None)

    def _matching(self, patterns: Iterable[str]) -> list[list[Record]]:
        wanted = list(patterns)
        exact = [subject for subject in wanted if "*" not in subject and ">" not in subject]
        wild = [subject for subject in wanted if "*" in subject or ">" in subject]
        names = dict.fromkeys(name for name in exact if name in self._records)
        if wild:
            names |= dict.fromkeys(name for name in self._records if any(matches(each, name) for each in wild))
        return [self._records[name] for name in names]


def _later(records: list[Record], after: int) -> list[Record]:
    return records[bisect_right(records, after, key=attrgetter("seq")) :]
