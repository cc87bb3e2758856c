"""Reading tables: text with a separator, or Parquet, as columns of cells; every bad line named.

A cell is text without the spaces around it, or None where it is missing: empty, NA, N/A, null or ?.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from hyperplane.contracts import Problem
from hyperplane.data.blocks import files
from hyperplane.data.blocks.problems import Refusal, name, one_line, quote, unreadable
from hyperplane.errors import UserError

MISSING = frozenset({"", "na", "n/a", "null", "?"})
SEPARATORS = (",", ";", "\t", "|")
SUFFIXES = frozenset({".csv", ".tsv", ".parquet", ".pq"})

Cell = str | None


@dataclass(frozen=True)
class Table:
    """Named columns of equally many cells."""

    where: str
    """What to call it in messages: its file."""
    names: tuple[str, ...]
    columns: tuple[list[Cell], ...]
    lines: list[int]
    """The line of the file that each row starts on, from 1; in Parquet, which has none, the row's number."""
    unit: str = "line"
    notes: list[str] = field(default_factory=list)

    def __getitem__(self, column: str) -> list[Cell]:
        return self.columns[self.names.index(column)]

    def __len__(self) -> int:
        return len(self.lines)

    def at(self, row: int, column: str) -> str:
        """Return what to call a cell in messages: file, line and column."""
        return f"{self.where}: {self.unit} {self.lines[row]}, column {quote(column)}"


def read(place: Path | bytes, problems: list[Problem]) -> Table | None:
    """Return the table in a file, or in the bytes of a text; None where nothing can be made of it.

    What is wrong is added to `problems`; rows of the wrong length are left out of the table.
    """
    try:
        where = name(place) if isinstance(place, Path) else "standard input"
        if isinstance(place, Path) and _is_parquet(place):
            table = _read_parquet(place, where)
        else:
            content = place if isinstance(place, bytes) else files.read(place)
            table = _read_text(_decode(content, where), where, problems)
        _check_names(table)
        return table
    except Refusal as refusal:
        problems.append(refusal.problem)
        return None


def peek(path: Path) -> Table | None:
    """Return the table in the first 64 KiB of a text file, as far as it can be read; None where it is no table."""
    try:
        with path.open("rb") as stream:
            content = stream.read(1 << 16)
        if len(content) == 1 << 16:
            content = content[: content.rfind(b"\n") + 1]
        return _read_text(_decode(content, name(path)), name(path), [])
    except (OSError, UserError):
        return None


def has_parquet_magic(path: Path) -> bool:
    """Say whether a file starts as Parquet does."""
    try:
        with path.open("rb") as stream:
            return stream.read(4) == b"PAR1"
    except OSError:
        return False


def _is_parquet(path: Path) -> bool:
    return path.suffix.lower() in (".parquet", ".pq") or has_parquet_magic(path)


def _decode(content: bytes, where: str) -> str:
    if not content.strip():
        raise Refusal(where, "is empty, expected a line of column names and a row for each sample", "export it again")
    if content[:2] == b"PK":
        raise Refusal(where, "is a zip or spreadsheet file, expected text", "save it as CSV (UTF-8)")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line, byte = content[: error.start].count(b"\n") + 1, content[error.start]
        raise Refusal(
            where, f"is not UTF-8 text (byte 0x{byte:02x} in line {line})", "save it as CSV (UTF-8)"
        ) from error
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise Refusal(where, f"holds a NUL byte in line {line}, expected text", "export it again as CSV (UTF-8)")
    return text


def _read_text(text: str, where: str, problems: list[Problem]) -> Table:
    separator = _separator(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    rows: list[list[Cell]] = []
    lines: list[int] = []
    names: tuple[str, ...] = ()
    start = 1
    try:
        for row in reader:
            start, line = reader.line_num + 1, start
            if not any(cell.strip() for cell in row) and len(row) < max(2, len(names)):
                continue
            if not names:
                names = tuple(cell.strip() or f"column {i + 1}" for i, cell in enumerate(row))
            elif len(row) != len(names):
                problems.append(
                    Problem(
                        f"{where}: line {line}",
                        f"found {len(row)} fields, expected {len(names)} as in the header",
                        f"correct the line, or put quotes round a field that holds {quote(separator)}",
                    )
                )
            else:
                rows.append([_cell(cell) for cell in row])
                lines.append(line)
    except csv.Error as error:
        raise Refusal(
            f"{where}: line {start}", f"has broken quotes or an endless field ({one_line(error)})", "correct the line"
        ) from error
    columns = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in names]
    notes = [] if separator == "," else _read_decimal_commas(columns)
    return Table(where, names, tuple(columns), lines, notes=notes)


def _separator(text: str) -> str:
    """Return the separator that gives the header several fields and the first rows as many."""

    def fitness(separator: str) -> tuple[bool, float, int]:
        rows: list[list[str]] = []
        try:
            for row in csv.reader(io.StringIO(text[: 1 << 16], newline=""), delimiter=separator):
                if row:
                    rows.append(row)
                if len(rows) == 20:
                    break
        except csv.Error:
            pass  # the rows before the broken one are enough to choose by
        fields = len(rows[0]) if rows else 0
        same = sum(len(row) == fields for row in rows) / max(len(rows), 1)
        return fields > 1, same, fields

    return max(SEPARATORS, key=fitness)


def _read_decimal_commas(columns: list[list[Cell]]) -> list[str]:
    """Turn 1,5 into 1.5 where the separator is no comma, no number has a point, and whole columns are numbers so."""
    comma = re.compile(r"[+-]?\d+(,\d+)?([eE][+-]?\d+)?")
    turned = 0
    for cells in columns:
        held = [cell for cell in cells if cell is not None]
        if any("," in cell for cell in held) and all(comma.fullmatch(cell) for cell in held):
            cells[:] = [cell.replace(",", ".") if cell else cell for cell in cells]
            turned += 1
    return [f"Columns of numbers with a decimal comma were read so: {turned}."] if turned else []


def _cell(text: str) -> Cell:
    text = text.strip()
    return None if text.lower() in MISSING else text


def _read_parquet(path: Path, where: str) -> Table:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise Refusal(where, "is Parquet, which needs pyarrow", "type: pip install 'hyperplane[parquet]'") from error
    if not path.is_file():
        raise unreadable(path, FileNotFoundError())
    if not has_parquet_magic(path):
        files.read(path)
        raise Refusal(where, "is not a Parquet file (its first bytes are not PAR1)", "export it again")
    try:
        held = pyarrow.parquet.ParquetFile(path).read()
        columns = tuple([_from_parquet(value) for value in column.to_pylist()] for column in held.columns)
    except TypeError as error:
        raise Refusal(where, f"has a column of {one_line(error)}, expected numbers or text", "flatten it") from error
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise Refusal(where, f"cannot be read as Parquet ({one_line(error)})", "export it again") from error
    return Table(where, tuple(held.column_names), columns, list(range(1, held.num_rows + 1)), "row")


def _from_parquet(value: object) -> Cell:
    if isinstance(value, list | dict | bytes | tuple):
        raise TypeError(f"{type(value).__name__} values")
    return None if value is None else _cell(repr(value) if isinstance(value, float) else str(value))


def _check_names(table: Table) -> None:
    twice = [column for column, count in Counter(table.names).items() if count > 1]
    if twice:
        times = table.names.count(twice[0])
        raise Refusal(
            table.where, f"has {times} columns named {quote(twice[0])}, expected different names", "rename them"
        )
    if table.names and all(re.fullmatch(r"[+-]?\d*\.?\d+([eE][+-]?\d+)?", column) for column in table.names):
        raise Refusal(
            table.where, f"starts with numbers ({quote(table.names[0])}), expected column names", "add a line of names"
        )
    if not len(table):
        raise Refusal(table.where, "has a header and no rows, expected a row for each sample", "export it again")
