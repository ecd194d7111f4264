"""What speaks for an item and against it, as it may be said: facts that code found, stock, the other items of the list.

Patterns over normalised words (agent/reply_ways.py). Reads English. Knows nothing of sentences.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence

from agent.ranking import value_of
from agent.reply_facts import ReplyFact
from agent.reply_neutral import TURNS, wish_ways
from agent.reply_ways import Claim, Part, claim, limit_said, normal, one_of, ways
from agent.understand.roles import Role, parts_of, role_of
from retrieval.items import Item

CLOSE = 0.1
"""Share of a limit that is left over from which a number is well within it, and below which just within it."""
_NUMBER_WORDS = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six"}
_ENDS = "|".join(sorted((*TURNS, "as you", "just as you", "which", "so it", "it is", "it has", "it runs", "it costs")))
_SLIGHTLY = "(?:a bit |a little |slightly |somewhat |rather )?"
_NOW = "(?: at the moment| just now| right now| now| currently)?"
_OPEN_VALUE = frozenset({"language", "country", "format", "brand", "soft", "kind", "colour"})
"""Roles whose values are taken for nothing else when they were wished for."""
_COMPARED: dict[Role, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "price": (("dearest", "dearer", "most expensive", "more expensive", "priciest", "pricier", "higher in price"),
              ("cheapest", "cheaper", "least expensive", "less expensive", "lower in price")),
    "duration": (("longest", "longer"), ("shortest", "shorter")),
    "year": (("newest", "newer", "most recent", "more recent"), ("oldest", "older", "earliest", "earlier")),
}  # fmt: skip
"""Superlatives and comparatives: of the greater number, of the smaller one."""
_VERBS: dict[Role, tuple[str, str]] = {
    "price": ("costs more|(?:the )?price is {slightly}higher", "costs less|(?:the )?price is {slightly}lower"),
    "duration": ("(?:runs|takes|lasts) {slightly}longer", "(?:runs|takes|lasts) {slightly}shorter"),
    "year": ("came out later", "came out earlier"),
}
"""The same with a verb."""
_FELT: dict[str, str] = {
    "dearest": "on the (?:dear|expensive|pricey) side|{slightly}(?:expensive|pricey|dear)",
    "longest": "on the long side|(?:quite |fairly ){slightly}long|{slightly}long",
    "oldest": "an older (?:film|book|one|course)",
}
"""What a drawback may be called that the numbers show."""
_SUPERLATIVE = re.compile(r"(?:most|least) |est$")


def reasons(item: Item, facts: Sequence[ReplyFact], shown: Sequence[Item], noun: str) -> Iterator[Claim]:
    """All that may be said beside the fields; `noun` is a pattern of what the item is called."""
    others = [one for one in shown if one.id != item.id]
    yield from _stock(item, {fact.kind for fact in facts})
    for fact in facts:
        yield from _of_fact(item, fact, noun, len(others))
    yield from _comparisons(item, others, {fact.kind for fact in facts})


def _denied(body: str, field: str, part: Part) -> Claim:
    """A negation must end its clause: what follows it would be denied, too."""
    return Claim(rf"(?:{body})(?= (?:{_ENDS})(?: |$)|$)", field, part)


def _stock(item: Item, kinds: Collection[str]) -> Iterator[Claim]:
    if item.in_stock:
        said = rf"(?:currently )?(?:(?:we have it )?in stock|(?<!not )available){_NOW}"
        yield claim(said, "in_stock", "fits" if "stock" in kinds else "plain", ("stock", "available"))
    elif item.in_stock is False:
        part: Part = "but" if "out_of_stock" in kinds else "plain"
        none = "out of stock|sold out|not in stock|not available|we have none left|there (?:is|are) none left"
        yield claim(rf"(?:currently |just now |now )?(?:{none}){_NOW}", "in_stock", part)


def _of_fact(item: Item, fact: ReplyFact, noun: str, n_others: int) -> Iterator[Claim]:
    """The ways to say a fact that code found."""
    other = one_of([fact.other])
    match fact.kind:
        case "value":
            yield from _wished(item, fact, noun)
        case "learned":
            yield claim(rf"(?:{one_of([fact.value])}) which your choices speak for", fact.field, "fits")
        case "bound":
            yield from ways(item, fact.field, "fits")
            yield from _bounds(item, fact)
        case "avoids":
            yield from _avoided(fact, noun)
        case "shared":
            yield from _shared(fact, noun)
        case "like":
            way = "close in content|close in content to|close to|similar to|in the vein of|akin to"
            yield claim(rf"(?:{way})(?: to)? (?:{other})", fact.field, "fits")
        case "words":
            close = "(?:close|closest) to (?:your words|what you described|what you said)"
            yield claim(rf"(?:its description (?:is|comes) )?{close}", fact.field, "fits")
        case "popular":
            yield claim("(?:one of the most )?popular(?: ones)?(?: here| in the catalogue)?", fact.field, "fits")
        case _:
            yield from _drawback(item, fact, noun, n_others)


def _wished(item: Item, fact: ReplyFact, noun: str) -> Iterator[Claim]:
    yield from ways(item, fact.field, "fits", fact.value)
    if role_of(fact.field, number=fact.number) in _OPEN_VALUE:
        yield claim(one_of([fact.value]), fact.field, "fits")
    if not fact.number:
        yield claim(wish_ways(rf"(?:{one_of([fact.value])})s?", noun), fact.field, "fits", [fact.value])


def _avoided(fact: ReplyFact, noun: str) -> Iterator[Claim]:
    no = one_of([fact.value])
    yield _denied(rf"not (?:a |an )?(?:{no})(?: (?:{noun}))?", fact.field, "fits")
    yield _denied(rf"(?:no|without|without any|free of|not have any) (?:{no})(?: in it)?", fact.field, "fits")


def _shared(fact: ReplyFact, noun: str) -> Iterator[Claim]:
    """What two items have in common, in one piece: "like Alien" alone could be said of anything."""
    value, title = one_of([fact.value]), one_of([fact.other])
    role = role_of(fact.field, number=False)
    verbs = {"maker": "directed by|made by|by" if fact.field == "director" else "made by|by", "cast": "with|starring"}
    bare = rf"(?:{value})"
    said = rf"(?:{verbs[role]}) {bare}" if role in verbs else bare
    like = rf"(?:just )?(?:like|as in|as is|as with) (?:{title})"
    name = normal(" ".join(parts_of(fact.field)))
    yield claim(rf"(?:also )?{said} {like}|{like} (?:it is )?(?:also )?{said}", fact.field, "fits")
    yield claim(rf"(?:the |from the |by the |with the )?same {name} as (?:{title})(?: {bare})?", fact.field, "fits")
    yield claim(rf"shares (?:its|the) {name} {bare} with (?:{title})", fact.field, "fits")
    liked = rf"(?:if|since|as|because) you (?:liked?|loved?|enjoyed?|named|mentioned) (?:{title})"
    yield claim(rf"{liked}(?: here is| this is| it is)?(?: another(?: one)?(?: {noun})?)?", fact.field, "fits")
    yield claim(rf"another (?:one|{noun}) {said}", fact.field, "fits")
    if role == "maker":
        did = "directed|made" if fact.field == "director" else "made|wrote"
        it = rf"(?: (?:this one|this|it|this {noun}))?"
        yield claim(rf"{bare} who (?:also )?(?:{did}) (?:{title})(?: (?:also )?(?:{did}){it})?", fact.field, "fits")
        yield claim(rf"(?:from|by) the {name} of (?:{title})(?: {bare})?", fact.field, "fits")


def _bounds(item: Item, fact: ReplyFact) -> Iterator[Claim]:
    """How the item's number keeps a limit; "under" only where it is, "well under" only far from it."""
    value = value_of(item, fact.field)
    yield claim(rf"(?:{one_of([fact.value])} )?(?:{one_of([fact.other])})", fact.field, "fits")
    if not isinstance(value, float | int):
        return
    role = "price" if fact.field == "price" else role_of(fact.field, number=True)
    before = "(?:for |at |stays |keeps |remains |costs |comes in |sits |falls |runs |takes )?"
    for wish in fact.wishes:
        limit = float(wish.values[0])
        below = (wish.op in ("le", "lt")) == (wish.polarity == "positive")
        words = "within|inside|at most|up to|no more than|not over" if below else "at least|no less than"
        if value != limit:
            words += "|under|below|less than" if below else "|over|above|more than"
        near = abs(limit - value) < CLOSE * abs(limit)
        how = "(?:(?:only )?just )?" if near else "(?:well |comfortably )?"
        said = limit_said(item, fact.field, limit)
        bound = "limit|budget|maximum" if below else "minimum"
        your = rf"(?:(?:your |the )(?:(?:{bound}) of )?)?(?:{said})(?: (?:{bound}))?"
        yield claim(rf"{before}{how}(?:{words}) {your}", fact.field, "fits")
        if below:
            fits = rf"(?:{'just ' if near else ''}|easily )fits?(?: (?:in|into|within))?"
            of = rf"(?: of (?:{said}))?"
            yield claim(rf"(?:{before}{how}(?:{words})|{fits}) your (?:budget|limit|maximum){of}", fact.field, "fits")
            if role == "duration":
                yield claim("fits your time", fact.field, "fits")
        if fact.field == "year" and (value != limit or not below):
            when = rf"before (?:{said})" if below else rf"(?:since|from) (?:{said}) (?:or later|on)"
            yield claim(when, fact.field, "fits")


def _drawback(item: Item, fact: ReplyFact, noun: str, n_others: int) -> Iterator[Claim]:
    value, other, field = one_of([fact.value]), one_of([fact.other]), fact.field
    match fact.kind:
        case "misses":
            wished = one_of([fact.other, *map(str, fact.wishes[0].values)])
            asked = "(?: (?:that |which )?you (?:asked for|wanted|wished for|hoped for))?"
            yield _denied(rf"not (?:listed as |listed with |a |an |the )?(?:{wished})(?: {noun})?{asked}", field, "but")
            yield _denied(rf"(?:no|without|without the) (?:{wished}){asked}", field, "but")
            yield _denied(rf"(?:rather than|instead of) (?:a |an |the )?(?:{wished}){asked}", field, "but")
            yield _denied(rf"(?:misses|does not meet) your wish for (?:an? )?(?:{wished})", field, "but")
        case "unwanted":
            avoid = "(?:which|that) you (?:wanted to avoid|did not want|would rather avoid|hoped to avoid)"
            yield claim(rf"(?:a |an )?(?:{value}) (?:{noun} |one )?{avoid}", field, "but")
        case "dearest" | "longest" | "oldest":
            yield from ways(item, field, "but")
            yield claim(_FELT[fact.kind].format(slightly=_SLIGHTLY), field, "but")
        case "near_bound":
            yield from ways(item, field, "but")
            near = "(?:very )?(?:close to|near)|just (?:under|within)|nearly at"
            yield claim(rf"(?:is )?(?:{near}) your (?:limit|budget)(?: of (?:{other}))?", field, "but")
        case "unlike":
            yield _denied(rf"not (?:a |an )?(?:{value}) (?:{noun} )?(?:like|unlike|as is) (?:{other})", field, "but")
            yield _denied(rf"unlike (?:{other}) (?:it is )?not (?:a |an )?(?:{value})", field, "but")
        case "little_known":
            less = "less (?:in demand|popular|well known|known)|not as (?:popular|well known)"
            yield claim(rf"(?:{less}) (?:than|as) {_rest(n_others)}", field, "but")
        case "little_text":
            yield claim("the catalogue says little(?: more)? about it", field, "but")


def _comparisons(item: Item, others: Sequence[Item], kinds: Collection[str]) -> Iterator[Claim]:
    """Dearer, longer, newer ... than the rest, than most, or than one other item of the list, as the numbers say."""
    for name in ("price", *(name for name, value in item.attributes.items() if isinstance(value, float | int))):
        role: Role = "price" if name == "price" else role_of(name, number=True)
        mine = value_of(item, name)
        if role not in _COMPARED or not isinstance(mine, float | int):
            continue
        numbers = [(one.title, float(v)) for one in others if isinstance(v := value_of(one, name), float | int)]
        drawback = {"price": "dearest", "duration": "longest", "year": "oldest"}[role] in kinds
        parts: tuple[Part, Part] = (
            "but" if drawback and role != "year" else "plain",
            "but" if drawback and role == "year" else "plain",
        )
        beaten = ([t for t, n in numbers if mine > n], [t for t, n in numbers if mine < n])
        for side in (0, 1):
            verbs = _VERBS[role][side].format(slightly=_SLIGHTLY)
            yield from _compared(_COMPARED[role][side], verbs, beaten[side], len(others), name, parts[side])


def _compared(
    words: Sequence[str], verbs: str, beaten: Sequence[str], n_others: int, field: str, part: Part
) -> Iterator[Claim]:
    """`beaten` are the titles that the item is more of `words` than."""
    if not beaten:
        return
    best = one_of(word for word in words if _SUPERLATIVE.search(word))
    more = one_of(word for word in words if not _SUPERLATIVE.search(word))
    more = rf"{_SLIGHTLY}(?:{more})|{verbs}"
    yield claim(rf"(?:{more}) than (?:the )?(?:{one_of(beaten)})", field, part, beaten)
    if len(beaten) == n_others >= 2:
        count = _NUMBER_WORDS.get(n_others + 1, "these")
        which = rf"this list|the list|these|the {count}|them|all of these|those shown"
        of_list = rf"(?: one| title)? (?:of|in|on|among) (?:{which})"
        yield claim(rf"(?:the )?(?:{best}){of_list}", field, part, ("these", "list", "them", "those", count))
        yield claim(rf"(?:{more}) than {_rest(n_others)}", field, part, ("than",))
    if 2 * len(beaten) > n_others >= 2:
        most = r"most(?: of the others| of this list| of the list| of these)?"
        yield claim(rf"(?:{more}) than {most}", field, part, ("than",))


def _rest(n_others: int) -> str:
    """All the other items of the list."""
    count = _NUMBER_WORDS.get(n_others)
    numbered = rf"|the other {count}" if count else ""
    everything = r"(?:the rest|the others|all the others|everything else)(?: (?:of|in|on) this list| shown)?"
    return rf"(?:{everything}|anything else (?:of|in|on) this list{numbered})"
