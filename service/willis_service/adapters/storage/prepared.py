"""Statements for the path of every received instance: compiled once, run by the driver alone.

SQLAlchemy writes the SQL for the database at hand and converts the values. What is left out is its
bookkeeping for each execution, which would cost several times what the statement itself costs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Delete, Dialect, Insert, Select, Update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.compiler import SQLCompiler

Values = Mapping[str, Any]
_Convert = Callable[[Any], Any]


@dataclass(frozen=True)
class _Compiled:
    text: str
    names: Sequence[str]
    converters: Mapping[str, _Convert]
    is_positional: bool

    def parameters(self, values: Values) -> Any:
        convert = self.converters
        if self.is_positional:
            return [
                convert[name](values[name]) if name in convert else values[name]
                for name in self.names
            ]
        return {
            name: convert[name](values[name]) if name in convert else values[name]
            for name in self.names
        }


@dataclass(frozen=True)
class Prepared:
    """A statement; ``columns`` are those that an INSERT sets. Values go by their names."""

    statement: Select[Any] | Insert | Update | Delete
    columns: Sequence[str] = ()
    _compiled: dict[str, _Compiled] = field(default_factory=dict, repr=False, compare=False)

    def run(self, connection: Connection, values: Values) -> list[tuple[Any, ...]]:
        """Execute it; the rows, as the driver gives them."""
        dialect = connection.dialect
        compiled = self._compiled.get(dialect.name)
        if compiled is None:
            compiled = self._compiled[dialect.name] = _compile(self, dialect)
        cursor = connection.connection.cursor()
        try:
            cursor.execute(compiled.text, compiled.parameters(values))
            return list(cursor.fetchall()) if cursor.description else []
        except dialect.loaded_dbapi.Error as error:
            # As SQLAlchemy would raise it, but without the values.
            kind = dialect.loaded_dbapi.Error
            raise DBAPIError.instance(compiled.text, None, error, kind, dialect=dialect) from error
        finally:
            cursor.close()


def _compile(prepared: Prepared, dialect: Dialect) -> _Compiled:
    keys = list(prepared.columns) or None
    compiled = prepared.statement.compile(dialect=dialect, column_keys=keys)
    if not isinstance(compiled, SQLCompiler):
        raise TypeError("Only SQL can be prepared.")
    names = compiled.positiontup if compiled.positional else list(compiled.binds)
    converters = {
        name: convert
        for name, bind in compiled.binds.items()
        if (convert := bind.type.dialect_impl(dialect).bind_processor(dialect)) is not None
    }
    return _Compiled(compiled.string, names or (), converters, compiled.positional)
