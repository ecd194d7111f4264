"""Which column of a file means what: the mapping, read from TOML and written back as TOML.

    guess = true                       # what is not named here is guessed (the default)
    drop = ["internal_notes"]
    [fields]
    id = "imdb"
    text = ["overview", "tagline"]     # joined
    currency_code = "EUR"              # for rows that name none
    [attributes]
    genre = "genres"
    director = { column = "director", kind = "list", separator = "|" }

Knows nothing of rows or values.
"""

from __future__ import annotations

import dataclasses
import json
import re
import tomllib
from collections import abc
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, TypeAlias, get_args

from retrieval.errors import CatalogueError
from retrieval.loading.prices import ISO_4217

AttributeRuleKind: TypeAlias = Literal["number", "text", "list", "yes_no", "year"]
KINDS: Final = get_args(AttributeRuleKind)
RESERVED_NAMES: Final = frozenset(("id", "title", "price", "in_stock", "popularity"))
"""Fields of an item that a filter names beside attributes; an attribute may not be called so."""

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class AttributeRule:
    """Where an attribute comes from. `kind` None: told by the column; `separator` parts texts into a list."""

    column: str
    kind: AttributeRuleKind | None = None
    separator: str | None = None


@dataclass(frozen=True, slots=True)
class Mapping:
    """The columns behind an item's fields, None where there is none.

    A column inside an object is written with a dot (`dimensions.width`). `id` None means: made from the title.
    `text` columns are joined. `attributes_column` holds an object whose entries are attributes as they stand (our
    own format). With `guess`, what is neither named nor in `drop` is guessed from the columns' names and values.
    """

    id: str | None = None
    title: str | None = None
    text: tuple[str, ...] = ()
    price: str | None = None
    currency: str | None = None
    currency_code: str | None = None
    in_stock: str | None = None
    popularity: str | None = None
    url: str | None = None
    image_url: str | None = None
    attributes_column: str | None = None
    attributes: abc.Mapping[str, AttributeRule] = field(default_factory=dict)
    drop: tuple[str, ...] = ()
    guess: bool = True

    def columns(self) -> tuple[str, ...]:
        """Every column that the mapping reads, `drop` not among them."""
        singles = (getattr(self, name) for name in SINGLE_COLUMNS)
        used = [*(name for name in singles if name), *self.text, *(rule.column for rule in self.attributes.values())]
        return tuple(dict.fromkeys(used))

    def to_toml(self) -> str:
        """The mapping as a TOML text that `read_mapping` reads back as the same mapping."""
        lines = [f"guess = {str(self.guess).lower()}"]
        if self.drop:
            lines.append(f"drop = {_toml(list(self.drop))}")
        lines.append("\n[fields]")
        if self.id is None:
            lines.append("# id: made from the title (and the year)")
        for key, attribute in _FIELD_KEYS.items():
            value = getattr(self, attribute)
            if value:
                lines.append(f"{key} = {_toml(list(value) if isinstance(value, tuple) else value)}")
        if self.attributes:
            lines.append("\n[attributes]")
            lines += [f"{_key(name)} = {_rule_toml(rule)}" for name, rule in self.attributes.items()]
        return "\n".join(lines) + "\n"


_FIELD_KEYS: Final = {
    ("attributes" if name == "attributes_column" else name): name
    for name in (f.name for f in dataclasses.fields(Mapping))
    if name not in ("attributes", "drop", "guess")
}
SINGLE_COLUMNS: Final = tuple(name for name in _FIELD_KEYS.values() if name not in ("text", "currency_code"))


def read_mapping(path: Path) -> Mapping:
    """Read a mapping from a TOML file.

    Raises:
        CatalogueError: the file is missing, is no TOML, or holds a key or value that a mapping has not.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise CatalogueError(f"the mapping {path.name} is not UTF-8: save it as UTF-8") from error
    except OSError as error:
        raise CatalogueError(f"the mapping {str(path)!r} cannot be read ({error.strerror}): check its path") from error
    return parse_mapping(text, where=f"the mapping {path.name}")


def parse_mapping(text: str, *, where: str = "the mapping") -> Mapping:
    """The same for a text; `where` names it in errors."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise CatalogueError(f"{where} is not valid TOML: {error}") from error
    _refuse_unknown(table, ("fields", "attributes", "drop", "guess"), where)
    fields, attributes = table.get("fields", {}), dict(table.get("attributes", {}))
    if not isinstance(fields, dict) or not isinstance(table.get("attributes", {}), dict):
        raise CatalogueError(f"{where}: expected tables [fields] and [attributes]")
    _refuse_unknown(fields, tuple(_FIELD_KEYS), f"{where}, [fields]")
    drop = table.get("drop", [])
    if isinstance(attributes.get("drop"), list):  # written below [attributes], where TOML takes it for an attribute
        drop = [*drop, *attributes.pop("drop")]
    guess = table.get("guess", True)
    if not isinstance(guess, bool):
        raise CatalogueError(f"{where}: guess is {guess!r}, expected true or false")
    values = {attribute: _field(key, fields[key], where) for key, attribute in _FIELD_KEYS.items() if key in fields}
    rules = {name: _rule(name, value, where) for name, value in attributes.items()}
    return Mapping(**values, attributes=rules, drop=_strings("drop", drop, where), guess=guess)  # type: ignore[arg-type]


def _refuse_unknown(table: abc.Mapping[str, object], allowed: tuple[str, ...], where: str) -> None:
    unknown = [key for key in table if key not in allowed]
    if unknown:
        raise CatalogueError(f"{where} has unknown keys {unknown}: allowed are {', '.join(allowed)}")


def _field(key: str, value: object, where: str) -> str | tuple[str, ...]:
    if key == "text":
        return _strings(key, [value] if isinstance(value, str) else value, where)
    if not isinstance(value, str) or not value:
        raise CatalogueError(f"{where}: {key} is {value!r}, expected the name of a column")
    if key == "currency_code" and value.upper() not in ISO_4217:
        raise CatalogueError(f'{where}: currency_code is {value!r}, expected a code of ISO 4217 such as "EUR"')
    return value.upper() if key == "currency_code" else value


def _strings(key: str, value: object, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(name, str) and name for name in value):
        raise CatalogueError(f"{where}: {key} is {value!r}, expected a list of columns")
    return tuple(value)


def _rule(name: str, value: object, where: str) -> AttributeRule:
    here = f"{where}, attribute {name!r}"
    if name in RESERVED_NAMES:
        raise CatalogueError(f"{here}: {', '.join(sorted(RESERVED_NAMES))} are fields of an item; choose another name")
    if isinstance(value, str) and value:
        return AttributeRule(value)
    if not isinstance(value, dict) or not isinstance(value.get("column"), str):
        raise CatalogueError(f'{here} is {value!r}: expected a column, or {{ column = "...", kind = "..." }}')
    _refuse_unknown(value, ("column", "kind", "separator"), here)
    kind, separator = value.get("kind"), value.get("separator")
    if kind is not None and kind not in KINDS:
        raise CatalogueError(f"{here}: kind is {kind!r}, expected one of {', '.join(KINDS)}")
    if separator is not None and (not isinstance(separator, str) or not separator or kind not in (None, "list")):
        raise CatalogueError(f'{here}: separator is {separator!r}, expected a text, and only with kind "list"')
    return AttributeRule(value["column"], "list" if separator else kind, separator)


def _rule_toml(rule: AttributeRule) -> str:
    if rule.kind is None:
        return _toml(rule.column)
    parts = [f"column = {_toml(rule.column)}", f"kind = {_toml(rule.kind)}"]
    if rule.separator:
        parts.append(f"separator = {_toml(rule.separator)}")
    return "{ " + ", ".join(parts) + " }"


def _toml(value: str | list[str]) -> str:
    # JSON strings are TOML strings but for DEL, which TOML wants escaped.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) else _toml(name)
