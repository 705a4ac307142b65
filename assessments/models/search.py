"""The search of assessments: columns that the database itself keeps, without the marks that people write or leave out.

A generated column is right whichever door changed a fact: a form, a command, an older version or SQL by hand.
"""

from functools import reduce
from typing import Any

from django.db.models import F, Func, GeneratedField, Q, TextField, Value
from django.db.models.functions import Coalesce, Lower, Replace

# People write CA 123-456, CA123456 or ca 123 456, and mean the same plate.
MARKS = " -/.,_'()"
# Stands between two facts, so that no word is found across them.
BETWEEN = "|"
# The most words of a search that count.
WORDS = 8
BARE = str.maketrans("", "", MARKS + BETWEEN)


class SearchColumn(GeneratedField):
    def _check_supported(self, databases: Any) -> list[Any]:
        """Ask nothing: Django asks PostgreSQL for its version, and without a database no command would start."""
        return []

    def deconstruct(self) -> Any:
        name, _, arguments, options = super().deconstruct()
        return name, "django.db.models.GeneratedField", arguments, options


def search_column(*columns: str) -> GeneratedField:
    """Return the column that holds other columns of the same row, as a search compares them."""
    facts: list[Any] = [Coalesce(F(column), Value(""), output_field=TextField()) for column in columns]
    apart = [part for fact in facts for part in (fact, Value(BETWEEN))]
    # Django's Concat nests, too deep for the parser of SQLite.
    together: Any = Func(*apart, template="(%(expressions)s)", arg_joiner=" || ", output_field=TextField())
    bare = reduce(lambda text, mark: Replace(text, Value(mark), output_field=TextField()), MARKS, together)
    return SearchColumn(
        expression=Lower(bare, output_field=TextField()), output_field=TextField(), db_persist=True, editable=False
    )


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
