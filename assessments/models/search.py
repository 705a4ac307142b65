"""The search of assessments: columns that the database itself keeps, without the marks that people write or leave out.

A generated column is right whichever door changed a fact: a form, a command, an older version or SQL by hand.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import reduce
from typing import Any, Self

from django.db.models import F, Func, Model, Q, QuerySet, TextField, Value
from django.db.models.functions import Coalesce, Lower, Replace

from .fields import Generated

# People write CA 123-456, CA123456 or ca 123 456, and mean the same plate.
MARKS = " -/.,_'()"
# Stands between two facts, so that no word is found across them.
BETWEEN = "|"
# The most words of a search that count.
WORDS = 8
# All hits of a search are found and then put in order, up to FEW. Of more hits, only the first MOST are shown.
FEW = 2_000
MOST = 100
BARE = str.maketrans("", "", MARKS + BETWEEN)


def search_column(*columns: str) -> Generated:
    """Return the column that holds other columns of the same row, as a search compares them."""
    facts: list[Any] = [Coalesce(F(column), Value(""), output_field=TextField()) for column in columns]
    apart = [part for fact in facts for part in (fact, Value(BETWEEN))]
    # Django's Concat nests, too deep for the parser of SQLite.
    together: Any = Func(*apart, template="(%(expressions)s)", arg_joiner=" || ", output_field=TextField())
    bare = reduce(lambda text, mark: Replace(text, Value(mark), output_field=TextField()), MARKS, together)
    return Generated(expression=Lower(bare, output_field=TextField()), output_field=TextField())


def bare(text: str) -> str:
    return text.translate(BARE)


def words(text: str) -> list[str]:
    """Return the words of a search, each once and without marks."""
    return list(dict.fromkeys(filter(None, map(bare, text.split()))))[:WORDS]


def rarity(word: str) -> tuple[bool, int]:
    """Return a measure of how few rows hold a word: a part of a number is rarer than a name, and a long word rarer."""
    return len(word) > 2 and any(map(str.isdigit, word)), len(word)


def holding(column: str, word: str) -> Q:
    """Return the condition that a column of ``search_column`` holds a word."""
    # Some databases change only the letters A to Z to small letters.
    forms = dict.fromkeys([word.lower(), word.encode().lower().decode()])
    return Q(*((f"{column}__contains", form) for form in forms), _connector=Q.OR)


# The names of columns as seen from the two tables in whose indexes words are looked up.
OWN = {"key": "pk", "here": "searched", "there": "vehicle__searched"}
OF_VEHICLE = {"key": "assessment", "here": "searched", "there": "assessment__searched"}


def anywhere(place: Mapping[str, str], word: str) -> Q:
    return holding(place["here"], word) | holding(place["there"], word)


def ways(rows: QuerySet[Any], place: Mapping[str, str], wanted: list[str]) -> list[QuerySet[Any]]:
    """Return queries for the keys of the assessments in a table that hold all words, the rarest in this table itself.

    With OR between two tables, the database would read both. So there is a query for each place of the next word, too.
    """
    rarest, *others = sorted(wanted, key=rarity, reverse=True)
    rows = rows.filter(holding(place["here"], rarest)).order_by().values_list(place["key"], flat=True)
    if not others:
        return [rows]
    for word in others[1:]:
        rows = rows.filter(anywhere(place, word))
    return [rows.filter(holding(place[side], others[0])) for side in ("here", "there")]


class SearchQuerySet[Row: Model](QuerySet[Row]):
    def search(self, text: str) -> tuple[Self, bool]:
        """Return the assessments that hold every word of a text: in number, claim, vehicle, client or assessor.

        A word may be a part of a fact, and may leave out or add blanks and dashes. Of very many, return only the first
        in the order of the query set, and True.
        """
        wanted = words(text)
        if not wanted:
            return self, False
        # There are few clients and people, so the database is asked for their keys alone.
        named: defaultdict[str, defaultdict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
        alike: defaultdict[tuple[str, tuple[str, ...]], list[int]] = defaultdict(list)
        for lookup, pk, name in self.names():
            for word in (held := tuple(word for word in wanted if word.lower() in bare(name).lower())):
                named[word][lookup].append(pk)
            if held:
                alike[lookup, held].append(pk)
        own: QuerySet[Any] = self.model._default_manager.all()
        vehicles = self.related("vehicle")
        queries = ways(own, OWN, wanted) + ways(vehicles, OF_VEHICLE, wanted)
        for (lookup, held), keys in alike.items():
            theirs = own.filter(**{lookup: keys})
            if rest := [word for word in wanted if word not in held]:
                queries += ways(theirs, OWN, rest)
                queries += ways(vehicles.filter(**{f"assessment__{lookup}": keys}), OF_VEHICLE, rest)
            else:
                queries.append(theirs.order_by().values_list("pk", flat=True))
        first, *others = queries
        found = set(first.union(*others, all=True).order_by()[: FEW + 1])
        if len(found) <= FEW:
            return self.filter(pk__in=found), False
        # Words that so many assessments hold are soon found in the order of the query set.
        every = self.prefetch_related(None)
        for word in wanted:
            every = every.filter(anywhere(OWN, word) | Q(**named[word], _connector=Q.OR))
        first_keys = list(every.values_list("pk", flat=True)[: MOST + 1])
        return self.filter(pk__in=first_keys[:MOST]), len(first_keys) > MOST

    def names(self) -> Iterator[tuple[str, int, str]]:
        """Return the names of clients, and of people as lists show them, each with its lookup from an assessment."""
        for pk, name in self.related("client").values_list("pk", "name"):
            yield "client__in", pk, name
        people = self.related("assessor").values_list("pk", "first_name", "last_name", "username")
        for pk, *full, username in people:
            yield "assessor__in", pk, " ".join(full) if any(full) else username

    def related(self, name: str) -> QuerySet[Any]:
        model: Any = self.model._meta.get_field(name).related_model
        rows: QuerySet[Any] = model._default_manager.order_by()
        return rows
