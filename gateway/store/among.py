"""``column IN (...)`` whose values are one parameter: the statement is the same however many there are.

A parameter for each value would have SQLAlchemy write the text anew for every number of them, and PostgreSQL plan each.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final, TypeVar

from sqlalchemy import BigInteger, Boolean, ColumnElement, Dialect, Text, bindparam
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine

T = TypeVar("T", str, int)


def among(column: ColumnElement[T], parameter: str) -> ColumnElement[bool]:
    """Whether a text or a number is one of those in a parameter, which is a sequence."""
    kind: TypeEngine[Any] = BigInteger() if column.type.python_type is int else Text()
    return _Among(column, bindparam(parameter, type_=_Values(kind)))


class _Values(TypeDecorator[Sequence[Any]]):
    """An array on PostgreSQL; a text in JSON on SQLite, which has none."""

    impl = Text
    cache_ok = True

    def __init__(self, item: TypeEngine[Any]) -> None:
        super().__init__()
        self.item: Final = item

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """The type that the driver is told."""
        if dialect.name != "postgresql":
            return dialect.type_descriptor(Text())
        # Two megabytes that a node on SQLite has no use for.
        from sqlalchemy.dialects import postgresql

        return dialect.type_descriptor(postgresql.ARRAY(self.item))

    def process_bind_param(self, value: Sequence[Any] | None, dialect: Dialect) -> Any:
        """The value as the driver takes it."""
        values = list(value or ())
        return values if dialect.name == "postgresql" else json.dumps(values)


class _Among(FunctionElement[bool]):
    """The column and the parameter."""

    name = "among"
    type = Boolean()
    inherit_cache = True

    def self_group(self, against: Any = None) -> Any:
        """As it is: compared with 1, as functions are on SQLite, it would find no index."""
        return self


@compiles(_Among, "sqlite")
def _for_sqlite(element: _Among, compiler: SQLCompiler, **options: Any) -> str:
    column, values = (compiler.process(each, **options) for each in element.clauses)
    return f"{column} IN (SELECT value FROM json_each({values}))"  # noqa: S608 - of our columns and a placeholder


@compiles(_Among, "postgresql")
def _for_postgresql(element: _Among, compiler: SQLCompiler, **options: Any) -> str:
    column, values = (compiler.process(each, **options) for each in element.clauses)
    return f"{column} = ANY ({values})"
