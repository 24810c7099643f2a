"""Judges a history of sends and reads: was anything lost, doubled, moved or made up?

The anomalies and their names are those of Jepsen's Kafka workload, without transactions:

- lost write: acknowledged, but not in the log at the end;
- duplicate: one value at several offsets (allowed to producers that retry without idempotence);
- inconsistent offsets: two values seen at one offset, by whomever and whenever;
- misplaced: acknowledged at one offset, found at another;
- non-monotonic send: a producer's later value lies before its earlier one in a partition;
- non-monotonic poll: one pass of a reader goes back in a partition;
- skipped poll: one pass of a reader leaves out offsets that hold records;
- phantom: a value that nobody sent.
"""

from collections import defaultdict
from typing import NamedTuple


class Value(NamedTuple):
    """Who sent it, and as which of its messages."""

    producer: str
    number: int

    def encode(self):
        return f"{self.producer}:{self.number}".encode()

    @staticmethod
    def decode(data):
        producer, number = data.decode().rsplit(":", 1)
        return Value(producer, int(number))


class Place(NamedTuple):
    partition: int
    offset: int


class History:
    """All that was observed."""

    def __init__(self):
        # Sent, acknowledged or not: how many each producer sent, numbered from 0.
        self.sent = defaultdict(int)
        # Acknowledged values and where the broker said they are.
        self.acknowledged = {}
        # Every pass of every reader: (place, value) in the order of reading.
        self.passes = []

    def check(self, log, *, once):
        """Compares with `log`, the last and complete pass. Returns {anomaly: examples}.

        `once` names the producers whose values may be in the log only once.
        """
        places = defaultdict(list)
        for place, value in log:
            places[value].append(place)
        anomalies = {
            "lost write": self._lost(places),
            "misplaced": self._misplaced(places),
            "duplicate": self._duplicates(places, once),
            "phantom": self._phantoms(),
            "inconsistent offsets": self._inconsistent(),
            "non-monotonic send": self._unordered_sends(log),
            "non-monotonic poll": self._backward_polls(),
            "skipped poll": self._skipped_polls(log),
        }
        return {name: found[:5] for name, found in anomalies.items() if found}

    def _lost(self, places):
        return [
            (value, place) for value, place in self.acknowledged.items() if value not in places
        ]

    def _misplaced(self, places):
        return [
            (value, place, places[value])
            for value, place in self.acknowledged.items()
            if value in places and place not in places[value]
        ]

    @staticmethod
    def _duplicates(places, once):
        return [
            (value, where)
            for value, where in places.items()
            if len(where) > 1 and value.producer in once
        ]

    def _phantoms(self):
        return [
            (place, value)
            for records in self.passes
            for place, value in records
            if not 0 <= value.number < self.sent[value.producer]
        ]

    def _inconsistent(self):
        seen = {place: value for value, place in self.acknowledged.items()}
        clashes = []
        for records in self.passes:
            for place, value in records:
                if seen.setdefault(place, value) != value:
                    clashes.append((place, seen[place], value))
        return clashes

    @staticmethod
    def _unordered_sends(log):
        """Looks at the first copy of each value: a retry may lay a second one behind later ones."""
        seen, newest, found = set(), {}, []
        for place, value in sorted(log):
            if value in seen:
                continue
            seen.add(value)
            key = (value.producer, place.partition)
            if value.number < newest.get(key, -1):
                found.append((place, value, newest[key]))
            newest[key] = max(value.number, newest.get(key, -1))
        return found

    def _backward_polls(self):
        found = []
        for records in self.passes:
            at = {}
            for place, _ in records:
                if place.offset <= at.get(place.partition, -1):
                    found.append((place, at[place.partition]))
                at[place.partition] = place.offset
        return found

    def _skipped_polls(self, log):
        held = {place for place, _ in log}
        found = []
        for records in self.passes:
            at = {}
            for place, _ in records:
                before = at.get(place.partition, place.offset - 1)
                between = range(before + 1, place.offset)
                inside = [o for o in between if (place.partition, o) in held]
                found += [Place(place.partition, o) for o in inside]
                at[place.partition] = place.offset
        return found
