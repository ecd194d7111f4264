"""What attribute names usually mean, so that known names get better language.

A catalogue may call its attributes anything; whatever is not known here is a plain text, list or number.
Knows nothing of values and messages.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal, TypeAlias

from agent.understand.message import stem
from retrieval.shape import CatalogueShape

Role: TypeAlias = Literal[
    "kind",  # what sort of thing it is: genre, category
    "maker",  # people behind it: director, author
    "cast",  # people in it
    "brand",
    "format",
    "colour",
    "country",
    "language",
    "soft",  # moods, themes, tags: rank, do not filter
    "year",
    "duration",
    "price",
    "rating",
    "popularity",
    "weight",
    "size",
    "skip",  # codes, links, long texts
    "other",
]

PERSON_ROLES: frozenset[Role] = frozenset({"maker", "cast"})
NUMBER_ROLES: frozenset[Role] = frozenset({"year", "duration", "price", "rating", "popularity", "weight", "size"})

_NAME_WORDS: dict[Role, str] = {
    "skip": "id ids imdb sku barcode isbn ean upc slug url link image picture photo description overview synopsis"
    " summary text",
    "price": "price cost",
    "year": "year released release published decade vintage",
    "duration": "runtime duration minutes playtime length_min hours",
    "kind": "genre category type kind department subcategory section subject",
    "maker": "director author writer artist composer creator singer band screenwriter developer designer showrunner",
    "cast": "cast actor actress star starring performer",
    "brand": "brand manufacturer maker label publisher studio",
    "format": "format medium edition",
    "colour": "color colour",
    "country": "country origin",
    "language": "language",
    "soft": "mood tag theme keyword vibe feel style topic atmosphere occasion",
    "popularity": "popularity review reviews votes sales",
    "rating": "rating score stars tomatometer metascore rated",
    "weight": "weight",
    "size": "size screen inch inches display capacity",
}
_SPOKEN: dict[Role, str] = {
    "price": "price|prices|cost|costs|budget|money|价格|价钱|预算",
    "year": "year|years|date|decade|era|period|release year|age|年份|年代",
    "duration": "runtime|running time|length|duration|time|时长|片长|长度",
    "kind": "genre|genres|category|categories|type|kind|类型|种类|类别",
    "maker": "director|directors|author|writer|artist|导演|作者",
    "cast": "actor|actors|actress|actresses|cast|star|stars|演员|主演",
    "brand": "brand|brands|manufacturer|maker|品牌|牌子",
    "format": "format|formats|edition|medium|格式|版本",
    "colour": "color|colour|colors|colours|颜色",
    "country": "country|countries|origin|国家|地区",
    "language": "language|languages|语言",
    "soft": "mood|moods|vibe|theme|themes|style|氛围|心情|主题",
    "popularity": "popularity|人气",
    "rating": "rating|ratings|score|scores|stars|rated|rating of|reviews|评分|分数",
    "weight": "weight|重量",
    "size": "size|screen|screen size|尺寸|大小",
}
_UNITS = {
    "min",
    "mins",
    "minutes",
    "usd",
    "eur",
    "gb",
    "tb",
    "kg",
    "g",
    "cm",
    "mm",
    "inches",
    "inch",
    "hz",
    "mah",
    "l",
    "w",
    "n",
    "avg",
}
_NAME_PART = re.compile(r"[a-z]+|[\u4e00-\u9fff]+")


def parts_of(name: str) -> list[str]:
    """The words of an attribute name: "runtime_min" -> ["runtime", "min"], "releaseYear" -> ["release", "year"]."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return _NAME_PART.findall(spaced.lower())


def role_of(name: str, *, number: bool) -> Role:
    """The role that an attribute's name suggests; numbers only get roles of numbers and the others only theirs."""
    parts = parts_of(name)
    stems = set(parts) | {stem(part) for part in parts}
    for role, words in _NAME_WORDS.items():
        if role != "skip" and (role in NUMBER_ROLES) is not number:
            continue
        known = set(words.split())
        if stems & known or stems & {stem(word) for word in known}:
            return role
    if number and "length" in stems and not stems & {"cm", "mm", "m", "inches"}:
        return "duration"
    return "other"


class Attributes:
    """The attributes of one catalogue with their roles, and the words by which customers call them."""

    def __init__(self, shape: CatalogueShape) -> None:
        self.roles: dict[str, Role] = {}
        for name, attribute in shape.attributes.items():
            self.roles[name] = "price" if name == "price" else role_of(name, number=attribute.kind == "number")
        self.numbers = frozenset(name for name, value in shape.attributes.items() if value.kind == "number")
        self._by_role: dict[Role, list[str]] = {}
        for name in sorted(shape.attributes, key=lambda name: -shape.attributes[name].count):
            self._by_role.setdefault(self.roles[name], []).append(name)
        self._spoken = self._spoken_names()
        self._pattern = re.compile(
            r"(?<![^\W_])(?:" + "|".join(map(re.escape, sorted(self._spoken, key=len, reverse=True))) + r")(?![^\W_])"
            if self._spoken
            else r"(?!)"
        )

    def of(self, *roles: Role) -> str | None:
        """The attribute that plays the first of `roles` that is played at all; the best filled one."""
        for role in roles:
            if names := self._by_role.get(role):
                return names[0]
        return None

    def all_of(self, roles: Iterable[Role]) -> list[str]:
        """Every attribute that plays one of `roles`."""
        return [name for role in roles for name in self._by_role.get(role, [])]

    def named(self, low: str) -> list[tuple[int, int, str]]:
        """Where lower-case text names attributes: (start, end, attribute), in order."""
        return [(m.start(), m.end(), self._spoken[m.group()]) for m in self._pattern.finditer(low)]

    def unit(self, word: str) -> list[str]:
        """The number attributes that a unit word fits: "gb" -> ["storage_gb"], "stars" -> ["rating"]."""
        key = stem(word)
        return [name for name in sorted(self.numbers) if key in {stem(part) for part in parts_of(name)}]

    def _spoken_names(self) -> dict[str, str]:
        spoken: dict[str, str] = {}
        for role, words in _SPOKEN.items():
            if name := self.of(role):
                spoken.update(dict.fromkeys(words.split("|"), name))
        for name, role in self.roles.items():
            parts = [part for part in parts_of(name) if part not in _UNITS] or parts_of(name)
            if role != "skip" and parts:
                words = " ".join(parts)
                spoken[words] = name
                spoken.setdefault(stem(words), name)
                spoken.setdefault(words + "s", name)
        return spoken
