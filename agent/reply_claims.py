"""Which claims about an item may be said, and whether a sentence is made of nothing else.

A sentence passes when it can be laid out, from its first word to its last, with claims that fields back and with
words that claim nothing. Every clause holds a claim; what is said to be wished for was wished for; what is said against
an item is a drawback that code found. Reads English. Not covered: style, and whether a claim is worth saying.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from agent.ranking import value_of
from agent.reply_facts import ReplyFact
from agent.understand.roles import Role, parts_of, role_of
from agent.wording import in_minutes, plain_number
from retrieval.items import Item
from retrieval.text import fold

Part: TypeAlias = Literal["plain", "fits", "but"]
"""What a claim is said for: just true of the item, a reason why it fits, a drawback."""

_PLAIN_TEXT = re.compile(r"[\w\s.,;:!?&/'’‘\"“”()\-–—€$£]*(?<!\?)")
"""Signs that a sentence may hold; markup, brackets and addresses have others."""
_TOKEN = re.compile(r"\d+(?:[.,]\d+)+|[€$£]|[^\W_]+(?:'[^\W_]+)?")
_GLUE = frozenset(
    "a an the this that these it its is and also which as it's that's here's are has have with so here there being "
    "both plus besides one title pick item choice just what why because listed".split()
)
"""Words that claim nothing wherever they stand."""
_WISHED = frozenset(
    "you your you're you've wish wishes wished asked ask want wanted were looking for fits fit suits suit matches "
    "match meets meet hoped named how speaks had".split()
)
"""Words that say that it is what the customer wants: only beside claims that meet a wish."""
_WARNING = frozenset(
    "drawback downside catch note mind keep in unfortunately sadly admittedly be aware still to honest mention".split()
)
"""Words that announce a drawback: only beside one."""
_TURNS = frozenset("but though although however yet".split())
"""Words that begin the clause of a drawback."""
_NO_BARE = frozenset("yes no not none true false never nothing without only yet more less most least".split()) | _TURNS
"""Values that would turn or weigh other words when they stand alone."""
_FILM_WORDS = ("film", "movie")
_NOUNS = ("course", "book", "album", "game", "novel", "class", "workshop", "lamp", "product")
_MONEY = {"EUR": ("eur", "euros", "euro"), "USD": ("usd", "dollars"), "GBP": ("gbp", "pounds")}
_SIGNS = {"EUR": "€", "USD": r"\$", "GBP": "£"}
_OF_LIST = r"(?: one| title)? (?:of|in|on|among) (?:this list|the list|these|them|all of these|those shown)"
_REST = r"(?:the rest|the others|all the others|everything else)(?: of this list| in this list| on this list| shown)?"
_MOST = r"most(?: of the others| of this list| of the list| of these)?"
_BEFORE: dict[Role, str] = {
    "language": "in ",
    "country": "(?:from |made in )",
    "format": "(?:on |as |as a |in )?",
    "brand": "(?:by |from |of )?",
    "soft": "(?:about )?",
}
"""What stands before a value; where it may not be left out, the value alone could mean something else."""
_COMPARED: dict[Role, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "price": (("dearest", "dearer", "most expensive", "more expensive", "priciest", "pricier"),
              ("cheapest", "cheaper", "least expensive", "less expensive")),
    "duration": (("longest", "longer"), ("shortest", "shorter")),
    "year": (("newest", "newer", "most recent", "more recent"), ("oldest", "older", "earliest", "earlier")),
}  # fmt: skip
"""Superlatives and comparatives: of the greater number, of the smaller one."""
_SUPERLATIVE = re.compile(r"(?:most|least) |est$")


@dataclass(frozen=True, slots=True)
class Claim:
    """Words, as a pattern over normalised text, that are true of the item; `part` is what they may be said for.

    `needs`: one of these must stand in a sentence for the pattern to be worth compiling; () for always.
    """

    pattern: str
    field: str
    part: Part = "plain"
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Spoken:
    """What an accepted sentence says, beside plain facts: why it fits, a drawback."""

    fits: bool = False
    but: bool = False


@dataclass(frozen=True, slots=True)
class _State:
    """What the clause so far holds, and what the clauses before it said."""

    fits: bool = False
    but: bool = False
    plain: bool = False
    wished: bool = False
    warns: bool = False
    said: Spoken = Spoken()

    def claim(self, part: Part) -> _State:
        return replace(
            self, fits=self.fits or part == "fits", but=self.but or part == "but", plain=self.plain or part == "plain"
        )

    def closed(self) -> Spoken | None:
        """What has been said when the clause ends here; None where it must not end so."""
        if not (self.fits or self.but or self.plain):
            return None
        if self.wished and (self.plain or self.but or self.warns):
            return None
        if self.warns and (not self.but or self.fits):
            return None
        return Spoken(self.said.fits or self.fits, self.said.but or self.but)


class Claims:
    """All that may be said of one item, beside the words of its own text."""

    def __init__(self, item: Item, facts: Sequence[ReplyFact] = (), shown: Sequence[Item] = ()) -> None:
        """`facts` are those that code found about `item`, `shown` the items of the list that it stands in."""
        self._title = normal(item.title)
        self._claims = (*_claims(item, facts), *_comparisons(item, shown, {fact.kind for fact in facts}))
        document = set(normal(item.document()).split())
        film = "director" in item.attributes
        self._nouns = frozenset(noun for noun in _NOUNS if noun in document) | frozenset(_FILM_WORDS if film else ())

    def read(self, sentence: str) -> Spoken | None:
        """What `sentence` says; None where any of it is backed by nothing."""
        if not _PLAIN_TEXT.fullmatch(sentence):
            return None
        text = normal(sentence)
        start = 0
        if self._title and f"{text} ".startswith(f"{self._title} "):
            start = len(self._title) + 1
        claims = [
            (re.compile(claim.pattern), claim.part)
            for claim in self._claims
            if not claim.needs or any(need in text for need in claim.needs)
        ]
        states: dict[int, set[_State]] = {start: {_State()}}
        for place in range(start, len(text)):
            for state in states.pop(place, ()):
                for end, following in self._steps(text, place, state, claims):
                    states.setdefault(end, set()).add(following)
        closed = [one for state in states.get(len(text) + 1, ()) if (one := state.closed()) is not None]
        return max(closed, key=lambda one: (one.fits, one.but), default=None)

    def _steps(
        self, text: str, place: int, state: _State, claims: Sequence[tuple[re.Pattern[str], Part]]
    ) -> Iterator[tuple[int, _State]]:
        """Where the next piece may end, one past the space after it, and what is known then."""
        for pattern, part in claims:
            if match := pattern.match(text, place):
                yield match.end() + 1, state.claim(part)
        word = text[place:].split(" ", 1)[0]
        end = place + len(word) + 1
        if word in _GLUE or word in self._nouns:
            yield end, state
        if word in _WISHED:
            yield end, replace(state, wished=True)
        if word in _WARNING:
            yield end, replace(state, warns=True)
        if word in _TURNS:
            fresh = state in (_State(), _State(warns=True))
            if fresh:
                yield end, replace(state, warns=True)
            elif (said := state.closed()) is not None:
                yield end, _State(warns=True, said=said)


def normal(text: str) -> str:
    """Words and numbers alone, folded, one space between: the form that claims are matched in."""
    return " ".join(_TOKEN.findall(fold(text).replace("’", "'")))


def _claim(body: str, field: str, part: Part, needs: Iterable[str] = ()) -> Claim:
    return Claim(rf"(?:{body})(?= |$)", field, part, tuple(filter(None, map(normal, needs))))


def _denied(body: str, field: str, part: Part) -> Claim:
    """A negation must end its clause: what follows it would be denied, too."""
    ends = "|".join(sorted((*_TURNS, "as you", "just as you")))
    return Claim(rf"(?:{body})(?= (?:{ends}) |$)", field, part)


def _one_of(texts: Iterable[str]) -> str:
    """A pattern for any of `texts`, the longest first."""
    said = sorted({normal(text) for text in texts} - {""}, key=len, reverse=True)
    return "|".join(map(re.escape, said)) or r"(?!)"


def _claims(item: Item, facts: Sequence[ReplyFact]) -> Iterator[Claim]:
    """Each field as it may be said, then again as a reason or a drawback where a fact makes it one."""
    for name in (*item.attributes, "price"):
        yield from _field(item, name, "plain")
    yield from _stock(item, facts)
    for fact in facts:
        yield from _of_fact(item, fact)


def _stock(item: Item, facts: Sequence[ReplyFact]) -> Iterator[Claim]:
    kinds = {fact.kind for fact in facts}
    if item.in_stock:
        yield _claim("in stock", "in_stock", "fits" if "stock" in kinds else "plain")
    elif item.in_stock is False:
        part: Part = "but" if "out_of_stock" in kinds else "plain"
        yield _claim("(?:out of stock|sold out)(?: at the moment| just now| right now)?", "in_stock", part)


def _field(item: Item, name: str, part: Part, only: str = "") -> Iterator[Claim]:
    """The ways to say one field; `only`: of a list this value alone."""
    value = value_of(item, name)
    if value is None:
        return
    label = normal(" ".join(parts_of(name)))
    if isinstance(value, float | int):
        yield _claim(_number(item, name, float(value)), name, part)
        return
    values = [one for one in (value if isinstance(value, tuple) else (value,)) if not only or fold(one) == fold(only)]
    bare = _one_of(one for one in values if normal(one) not in _NO_BARE and not normal(one).isdigit())
    role = role_of(name, number=False)
    if role in ("maker", "cast"):
        yield from _people(name, role, values, part)
        return
    yield _claim(f"{_BEFORE.get(role, '')}(?:{bare})", name, part, values)
    yield _claim(f"(?:its |the )?{label}(?: is)? (?:{_one_of(values)})", name, part, values)


def _people(name: str, role: Role, people: Sequence[str], part: Part) -> Iterator[Claim]:
    """Who did what: a name never stands without the word that says its part."""
    anyone = _one_of(people)
    some = rf"(?:{anyone})(?:(?: and)? (?:{anyone}))*"
    if role == "cast":
        yield _claim(rf"(?:with|starring|featuring|stars|it stars) {some}", name, part, people)
        yield _claim(rf"{some} (?:stars? in it|stars?|plays in it|is in it|are in it)", name, part, people)
        return
    verbs = {"director": "directed by|a film by", "author": "written by|a book by"}.get(name, "made by")
    yield _claim(rf"(?:{verbs}|by|the {re.escape(name)} is|its {re.escape(name)} is) {some}", name, part, people)
    if name == "director":
        yield _claim(rf"{some} (?:directed it|directed|directs)", name, part, people)


def _number(item: Item, name: str, value: float) -> str:
    """A number with its unit or its name; a year may stand alone."""
    role = "price" if name == "price" else role_of(name, number=True)
    if role == "price":
        return rf"(?:(?:it )?costs |(?:its |the )?price is |priced at |for |at )?(?:{_money(value, item.currency)})"
    said = _one_of((plain_number(value), f"{value:,.10g}"))
    if role == "year":
        return rf"(?:(?:released |made |dating )?(?:from|in) |of )?(?:{said})"
    if in_minutes(name):
        return rf"(?:it runs |runs |lasts |it lasts |runs for |at |of )?(?:{said}) (?:min|minutes?)(?: long)?"
    words = parts_of(name)
    unit = rf"(?:{said}) {words[-1]}" if len(words) > 1 else r"(?!)"
    if role == "rating":
        unit = rf"rated (?:at )?(?:{said})|(?:{said}) stars"
    return rf"{unit}|(?:its |the |a )?{' '.join(words)}(?: is| of)? (?:{said})"


def _money(value: float, currency: str | None) -> str:
    amounts = _one_of((f"{value:.2f}", f"{value:,.2f}", plain_number(value)))
    codes = "|".join(_MONEY.get(currency or "", (normal(currency or ""),)))
    if not codes:
        return rf"(?:{amounts})"
    sign = _SIGNS.get(currency or "")
    before = rf"|(?:{codes.split('|')[0]}{'|' + sign if sign else ''}) (?:{amounts})"
    return rf"(?:{amounts}) (?:{codes}){before}"


def _of_fact(item: Item, fact: ReplyFact) -> Iterator[Claim]:
    """The ways to say a fact that code found."""
    other = _one_of([fact.other])
    match fact.kind:
        case "value":
            yield from _field(item, fact.field, "fits", fact.value)
            if role_of(fact.field, number=fact.number) in _BEFORE:  # what was wished for is not taken for anything else
                yield _claim(_one_of([fact.value]), fact.field, "fits")
        case "learned":
            yield _claim(rf"(?:{_one_of([fact.value])}) which your choices speak for", fact.field, "fits")
        case "bound":
            yield from _field(item, fact.field, "fits")
            yield from _bounds(item, fact)
        case "avoids":
            no = _one_of([fact.value])
            yield _denied(rf"not (?:a |an )?(?:{no})|(?:no|without|free of) (?:{no})", fact.field, "fits")
        case "shared":
            yield from _shared(fact)
        case "like":
            way = "close in content|close in content to|close to|similar to|in the vein of|akin to"
            yield _claim(rf"(?:{way})(?: to)? (?:{other})", fact.field, "fits")
        case "words":
            close = "(?:close|closest) to (?:your words|what you described|what you said)"
            yield _claim(rf"(?:its description (?:is|comes) )?{close}", fact.field, "fits")
        case "popular":
            yield _claim("(?:one of the most )?popular(?: ones)?(?: here| in the catalogue)?", fact.field, "fits")
        case _:
            yield from _drawback(item, fact)


def _shared(fact: ReplyFact) -> Iterator[Claim]:
    """What two items have in common, in one piece: "like Alien" alone could be said of anything."""
    value, title = _one_of([fact.value]), _one_of([fact.other])
    role = role_of(fact.field, number=False)
    verbs = {"maker": "directed by|made by|by" if fact.field == "director" else "made by|by", "cast": "with|starring"}
    said = rf"(?:{verbs[role]}) (?:{value})" if role in verbs else rf"(?:{value})"
    like = rf"(?:just )?(?:like|as in|as is|as with) (?:{title})"
    name = normal(" ".join(parts_of(fact.field)))
    yield _claim(rf"(?:also )?{said} {like}|{like} (?:it is )?(?:also )?{said}", fact.field, "fits")
    yield _claim(rf"(?:the )?same {name} as (?:{title})(?: (?:{value}))?", fact.field, "fits")
    yield _claim(rf"shares (?:its|the) {name} (?:{value}) with (?:{title})", fact.field, "fits")


def _bounds(item: Item, fact: ReplyFact) -> Iterator[Claim]:
    """How the item's number keeps a limit; "under" only where it is."""
    value = value_of(item, fact.field)
    yield _claim(rf"(?:{_one_of([fact.value])} )?(?:{_one_of([fact.other])})", fact.field, "fits")
    for wish in fact.wishes:
        limit = float(wish.values[0])
        below = (wish.op in ("le", "lt")) == (wish.polarity == "positive")
        strict = isinstance(value, float | int) and value != limit
        words = "within|at most|up to|no more than|not over" if below else "at least|no less than"
        if strict:
            words += "|under|below|less than" if below else "|over|above|more than"
        said = _bare_number(item, fact.field, limit)
        yield _claim(rf"(?:well )?(?:{words}) (?:your |the )?(?:(?:limit|budget) of )?(?:{said})", fact.field, "fits")
        if below:
            yield _claim(rf"(?:well )?(?:{words}) your (?:budget|limit)", fact.field, "fits")
        if fact.field == "year" and (strict or not below):
            when = rf"before (?:{said})" if below else rf"(?:since|from) (?:{said}) (?:or later|on)"
            yield _claim(when, fact.field, "fits")


def _bare_number(item: Item, name: str, value: float) -> str:
    if name == "price":
        return _money(value, item.currency)
    unit = r"(?: (?:min|minutes))" if in_minutes(name) else ""
    return rf"(?:{_one_of((plain_number(value), f'{value:,.10g}'))}){unit}"


def _drawback(item: Item, fact: ReplyFact) -> Iterator[Claim]:
    value, other, field = _one_of([fact.value]), _one_of([fact.other]), fact.field
    match fact.kind:
        case "misses":
            wished = _one_of([fact.other, *map(str, fact.wishes[0].values)])
            asked = "(?: you asked for| you wanted| you wished for| which you wanted)?"
            yield _denied(rf"not (?:listed as |listed with |a |an )?(?:{wished}){asked}", field, "but")
            yield _denied(rf"(?:no|without) (?:{wished}){asked}", field, "but")
            yield _denied(rf"(?:misses|does not meet) your wish for (?:{wished})", field, "but")
        case "unwanted":
            avoid = "which you (?:wanted to avoid|did not want|would rather avoid)"
            yield _claim(rf"(?:a |an )?(?:{value}) (?:film |one )?{avoid}", field, "but")
        case "dearest" | "longest" | "oldest":
            yield from _field(item, field, "but")
        case "near_bound":
            yield from _field(item, field, "but")
            near = "(?:very )?(?:close to|near)|just (?:under|within)|nearly at"
            yield _claim(rf"(?:is )?(?:{near}) your (?:limit|budget)(?: of (?:{other}))?", field, "but")
        case "unlike":
            yield _denied(rf"not (?:a |an )?(?:{value}) (?:film )?(?:like|unlike|as is) (?:{other})", field, "but")
            yield _denied(rf"unlike (?:{other}) (?:it is )?not (?:a |an )?(?:{value})", field, "but")
        case "little_known":
            yield _claim(rf"less (?:in demand|popular|well known|known) than {_REST}", field, "but")
        case "little_text":
            yield _claim("the catalogue says little(?: more)? about it", field, "but")


def _comparisons(item: Item, shown: Sequence[Item], kinds: Collection[str]) -> Iterator[Claim]:
    """Dearer, longer, newer ... than the rest, than most, or than one other item of the list, as the numbers say."""
    others = [one for one in shown if one.id != item.id]
    for name in ("price", *(name for name, value in item.attributes.items() if isinstance(value, float | int))):
        role = "price" if name == "price" else role_of(name, number=True)
        mine = value_of(item, name)
        if role not in _COMPARED or not isinstance(mine, float | int):
            continue
        numbers = [(one.title, float(v)) for one in others if isinstance(v := value_of(one, name), float | int)]
        drawback = {"price": "dearest", "duration": "longest", "year": "oldest"}[role] in kinds
        more: Part = "but" if drawback and role != "year" else "plain"
        less: Part = "but" if drawback and role == "year" else "plain"
        greater, smaller = _COMPARED[role]
        yield from _compared(greater, [title for title, number in numbers if mine > number], len(others), name, more)
        yield from _compared(smaller, [title for title, number in numbers if mine < number], len(others), name, less)


def _compared(words: Sequence[str], beaten: Sequence[str], n_others: int, field: str, part: Part) -> Iterator[Claim]:
    """`beaten` are the titles that the item is more of `words` than."""
    if not beaten:
        return
    best = _one_of(word for word in words if _SUPERLATIVE.search(word))
    more = _one_of(word for word in words if not _SUPERLATIVE.search(word))
    yield _claim(rf"(?:{more}) than (?:{_one_of(beaten)})", field, part, beaten)
    if len(beaten) == n_others >= 2:
        yield _claim(rf"(?:the )?(?:{best}){_OF_LIST}", field, part, ("these", "list", "them", "those"))
        yield _claim(rf"(?:{more}) than {_REST}", field, part, ("than",))
    if 2 * len(beaten) > n_others >= 2:
        yield _claim(rf"(?:{more}) than {_MOST}", field, part, ("than",))
