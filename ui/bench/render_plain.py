"""Any benchmark's result as Markdown tables, for results that have no page of their own.

Numbers stand side by side in a table; a list of objects is a table of its own; an object with `value`, `low` and `high`
is one cell. Knows nothing of what the figures mean: names are those of the fields.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from pydantic import JsonValue

from ui.bench.render_talk import escaped, table

MAX_COLUMNS = 8
"""A wider table is turned on its side."""


def plain_lines(result: JsonValue) -> list[str]:
    """The tables of a result, an empty line between them."""
    blocks = list(_blocks("", result))
    return [line for number, block in enumerate(blocks) for line in ([""] if number else []) + block]


def _blocks(title: str, value: JsonValue) -> Iterator[list[str]]:
    """One block of lines for each table."""
    if isinstance(value, dict) and not _is_interval(value):
        cells = {name: one for name, one in value.items() if _is_cell(one)}
        if cells:
            yield [*_heading(title), *table(("", ""), [(_words(name), _cell(one)) for name, one in cells.items()])]
        for name, one in value.items():
            if name not in cells:
                yield from _blocks(f"{title}, {_words(name)}" if title else _words(name), one)
    elif isinstance(value, list) and value and all(isinstance(one, dict) for one in value):
        objects = [one for one in value if isinstance(one, dict)]
        if any(not _is_row(one) for one in objects):
            for number, one in enumerate(objects, 1):
                yield from _blocks(f"{title} {number}".strip(), one)
        else:
            yield [*_heading(title), *_side_by_side([_flat(one) for one in objects])]
    elif value not in ([], {}):
        yield [*_heading(title), _cell(value)]


def _side_by_side(rows: Sequence[Mapping[str, str]]) -> list[str]:
    """A row for each object, or a column where they have many fields."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    if len(names) <= MAX_COLUMNS:
        return table(names, [[row.get(name, "-") for name in names] for row in rows])
    return table(
        ["", *map(str, range(1, len(rows) + 1))], [[name, *(row.get(name, "-") for row in rows)] for name in names]
    )


def _heading(title: str) -> list[str]:
    return [f"{title[:1].upper()}{title[1:]}:", ""] if title else []


def _flat(row: Mapping[str, JsonValue], before: str = "") -> dict[str, str]:
    """One row's cells by column; objects within it become columns, too."""
    flat: dict[str, str] = {}
    for name, value in row.items():
        column = f"{before}{_words(name)}"
        if isinstance(value, dict) and not _is_interval(value):
            flat |= _flat(value, f"{column} ")
        else:
            flat[column] = _cell(value)
    return flat


def _is_interval(value: JsonValue) -> bool:
    return isinstance(value, dict) and {"value", "low", "high"} <= value.keys()


def _is_cell(value: JsonValue) -> bool:
    if isinstance(value, list):
        return all(_is_interval(one) or not isinstance(one, dict | list) for one in value)
    return not isinstance(value, dict) or _is_interval(value)


def _is_row(value: JsonValue) -> bool:
    """Whether it fits into one row: no list of objects within it, however deep."""
    if isinstance(value, dict):
        return all(_is_row(one) for one in value.values())
    return not isinstance(value, list) or _is_cell(value)


def _cell(value: JsonValue) -> str:
    if isinstance(value, dict):
        if _is_interval(value):
            return f"{_cell(value['value'])} [{_cell(value['low'])} – {_cell(value['high'])}]"
        return "; ".join(f"{_words(name)} {_cell(one)}" for name, one in value.items())
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "-"}[value]
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.4g}"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(_cell, value)) or "-"
    return escaped(str(value))


def _words(name: str) -> str:
    return escaped(name.replace("_", " "))
