"""Names in a message: every value, person and title of the catalogue that it speaks of, with places.

The longest name wins; a title must be meant as one (`titles.py`); a surname must stand where a name
stands. Misspelt words are tried by their nearest neighbour. Knows nothing of wishes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from agent.understand.lexicon import MAX_PHRASE_WORDS, Entry, Lexicon
from agent.understand.message import Message, Token, is_cjk, stem
from agent.understand.titles import LIKE, WANTED, Certainty, best_of, called_for, certainty, quoted, year_after
from retrieval.words import common_words, frequent_words, function_words

MAX_CANDIDATES = 80
"""Names that are weighed in one message; a pasted page has more."""

MAX_NAME_CHARS = 40
"""How far before a value the name of its attribute may begin."""
NAMED_NEAR = 16
"""Characters on each side of a value in which the name of its attribute is looked for."""

MAX_CORRECTIONS = 12
"""Misspelt words that are looked up in one message."""

_BY = re.compile(
    r"(?:\bby|\bdirected by|\bdirector|\bfrom director|\bdirect(?:s|ed)?|\bwritten by"
    r"|导演(?:的)?)\s+(?:the\s+)?$|导演$"
)
_WITH = re.compile(
    r"(?:\bwith|\bstarring|\bstars?|\bfeaturing|\bfeatures?|\bactors?|\bactress|\bhas|\bhaving|主演"
    r"|演员)\s*(?:like\s+)?$"
)
_NAME_CUE = re.compile(
    r"(?:\bby|\bwith|\bwithout|\bstarring|\bfeaturing|\bdirector|\bdirected|\blike|\blove|\band|\bor"
    r"|\bnot|\bno|\bany|\bsome|\bmore|\bfrom|,|\bactors?|\bactress"
    r"|\b(?:any|every)thing but|\bexcept|\bexcept for|\bother than|\bapart from)\s*$"
)
_WORK_AFTER = re.compile(
    r"(?:'s)?\s*(?:films?|movies?|flicks?|pictures?|ones?|works?|books?|stuff|classics?|thrillers?|comed(?:y|ies))\b"
)
_JOINED = re.compile(r"[\"'*]?\s*(?:,|,?\s*(?:and|or|&))\s*[\"'*]?")
_SPOKEN_LIST = re.compile(
    r"\b(?:[Ll]oved?|[Ll]iked?|[Ee]njoy(?:ed)?|[Aa]dored?|[Hh]ated?|[Ss]aw|[Ss]een|[Ww]atched)\s+[\"'*]?[A-Z][\w'.-]*"
    r"(?:\s+(?:(?:of|the|in|and|a)\s+)*[A-Z\d][\w'.-]*)*[\"'*]?,?\s+(?:and|or|&)\s+[\"'*]?$"
)
"""A name in capitals, of whatever is not carried, that was seen, and an "and": "I loved Blade Runner and"."""
_LIST_ENDS = re.compile(r"[\"'*]?\s*(?:$|[,.!?;:)]|(?:and|or|but|too|both|so|please|because)\b|-)")
_IS = re.compile(r"\s*(?:(?:must |should )?(?:is|was|be|being|are|were)|:|=|named|called)?\s*(?:the\s+)?")
_AS = re.compile(r"\s+as\s+(?:the\s+|its\s+|an?\s+)?")
_SIBLINGS = re.compile(r"\s+(?:brothers|bros|sisters|siblings)\b\.?")
_MEANT = re.compile(r"(?:\bmean(?:t)?|\bas in|\bmeaning) the (?P<what>[a-z]+)")
_IN_LANGUAGE = re.compile(r"\b(?:in|speak(?:s|ing)?|dubbed in|language)\s*$")
_LANGUAGE_AFTER = re.compile(r"[\s-]*(?:language|speaking|audio|subtitles?|dub(?:bed)?)\b|语|对白")
_OWNER = re.compile(r"\b(?:my|our|your|his|their|her)\s*$")
_NOT_THIS_SENSE = re.compile(
    r"^(?:my|our|your|his|her|their) family|^short (?:on|notice)|^(?:of|the) action|^war(?:ning)"
    r"|^music (?:is|was|in)|^light(?:s|er)?\b"
)


@dataclass(frozen=True, slots=True)
class Mention:
    """A name that was found: where, which entry, and how sure it is."""

    start: int
    end: int
    entry: Entry
    certainty: Certainty = "sure"
    misspelt: bool = False


@dataclass(frozen=True, slots=True)
class _Candidate:
    tokens: list[Token]
    entries: list[Entry]
    slips: int


def mentions(message: Message, lexicon: Lexicon, free: Callable[[int, int], bool]) -> list[Mention]:
    """Every name in the free places of a message, in the order of the words, without overlaps."""
    tokens, slips = _corrected(message, lexicon)
    candidates = _candidates(tokens, slips, lexicon)
    del candidates[MAX_CANDIDATES:]
    candidates.sort(key=lambda found: (-_width(found), found.slips, found.tokens[0].start))
    accepted: list[Mention] = []
    for candidate in candidates:
        start, end = candidate.tokens[0].start, candidate.tokens[-1].end
        if not free(start, end) or any(start < other.end and other.start < end for other in accepted):
            continue
        if mention := _accept(message, lexicon, candidate):
            accepted.append(mention)
    accepted = _joined(message, candidates, accepted, free)
    accepted += _misspelt_people(message, lexicon, [m for m in accepted if m.certainty == "sure"], free)
    titles = _misspelt_titles(message, lexicon, accepted, free)
    accepted = [m for m in accepted if all(m.end <= one.start or m.start >= one.end for one in titles)] + titles
    return sorted(_apart(accepted), key=lambda mention: mention.start)


def _joined(
    message: Message, candidates: list[_Candidate], accepted: list[Mention], free: Callable[[int, int], bool]
) -> list[Mention]:
    """Everyday words that are a title where they stand in one list with a sure one: "Blade Runner and Heat"."""
    sure = [mention for mention in accepted if mention.certainty == "sure"]
    for candidate in sorted(candidates, key=lambda one: (one.tokens[0].start, -_width(one))):
        start, end = candidate.tokens[0].start, candidate.tokens[-1].end
        words = all(token.norm in function_words() for token in candidate.tokens)
        written = all(token.capital for token in candidate.tokens) if message.cased else not (words or candidate.slips)
        clear = free(start, end) and all(end <= other.start or start >= other.end for other in sure)
        titles = [one for one in sure if one.entry.kind == "title"]
        beside = any(_JOINED.fullmatch(message.low, one.end, start) for one in titles) or (
            message.cased and bool(_SPOKEN_LIST.search(message.text, 0, start))
        )
        if not (written and clear and beside and _LIST_ENDS.match(message.low, end)):
            continue
        if all(entry.kind == "title" for entry in candidate.entries):
            sure.append(Mention(start, end, best_of(candidate.entries, None)))
    doubtful = [mention for mention in accepted if mention.certainty != "sure"]
    return sure + [m for m in doubtful if all(m.end <= one.start or m.start >= one.end for one in sure)]


def _apart(found: list[Mention]) -> list[Mention]:
    """Doubtful mentions make room for the full name that they are a part of."""
    names = [mention for mention in found if mention.entry.kind == "person" and mention.misspelt]
    return [m for m in found if m in names or all(m.end <= n.start or m.start >= n.end for n in names)]


def _misspelt_people(
    message: Message, lexicon: Lexicon, sure: list[Mention], free: Callable[[int, int], bool]
) -> list[Mention]:
    """Full names with a slip in them, where a name stands: "with Audry Hepburn"."""
    found: list[Mention] = []
    for first in range(len(message.tokens) - 1):
        for n in (3, 2):
            window = message.tokens[first : first + n]
            entry = None if len(window) < n else lexicon.near_person([token.base for token in window])
            if entry is None:
                continue
            start, end = window[0].start, window[-1].end
            capital = message.cased and all(token.capital for token in window)
            cue = capital or _BY.search(message.left(start)) or _WITH.search(message.left(start))
            clear = free(start, end) and all(m.end <= start or m.start >= end for m in (*sure, *found))
            if cue and clear and not re.search(r"[^\w\s.'-]", message.low[start:end]):
                found.append(Mention(start, end, entry, "sure", misspelt=True))
                break
    return found


def _misspelt_titles(
    message: Message, lexicon: Lexicon, accepted: list[Mention], free: Callable[[int, int], bool]
) -> list[Mention]:
    """Titles with a slip in them, where the measure of a wish stands: "like The Cuious Botany Primer"."""
    titles = [(one.start, one.end) for one in accepted if one.entry.kind == "title"]
    for first, token in enumerate(message.tokens):
        if not any(cue.search(message.left(token.start)) for cue in (LIKE, WANTED)):
            continue
        for n in range(min(MAX_PHRASE_WORDS, len(message.tokens) - first), 1, -1):
            window = message.tokens[first : first + n]
            start, end = window[0].start, window[-1].end
            clear = free(start, end) and all(end <= since or start >= until for since, until in titles)
            if clear and (entry := lexicon.near_title([one.base for one in window])):
                return [Mention(start, end, entry, "sure", misspelt=True)]
    return []


def _width(candidate: _Candidate) -> int:
    """Letters, so that "Science Fiction" beats "Fiction"; Chinese characters count for several."""
    return sum(3 if is_cjk(token.norm) else len(token.norm) for token in candidate.tokens)


def _corrected(message: Message, lexicon: Lexicon) -> tuple[list[Token], list[int]]:
    """The message's words with misspelt ones replaced, and the slips of each."""
    tokens, slips, looked_up = [], [], 0
    for token in message.tokens:
        correction = None
        if len(token.base) >= 5 and looked_up < MAX_CORRECTIONS and not is_cjk(token.norm):
            correction = lexicon.correct(token.base)
            looked_up += correction is not None
        if correction:
            word = correction[0]
            tokens.append(replace(token, norm=word, base=word, stem=stem(word)))
        else:
            tokens.append(token)
        slips.append(correction[1] if correction else 0)
    return tokens, slips


def _candidates(tokens: list[Token], slips: list[int], lexicon: Lexicon) -> list[_Candidate]:
    found = []
    for first, token in enumerate(tokens):
        forms = {token.norm, token.base, token.stem, stem(token.base)}
        longest = max((lexicon.starts.get(form, 0) for form in forms), default=0)
        longest = max(longest, 2 if first + 1 < len(tokens) else 1)  # "block buster" for "blockbuster"
        for n in range(min(longest, len(tokens) - first), 0, -1):
            window = tokens[first : first + n]
            norms, stems = [t.norm for t in window], [t.stem for t in window]
            entries = lexicon.find(norms, stems)
            if not entries and window[-1].base != window[-1].norm:
                entries = lexicon.find([*norms[:-1], window[-1].base], [*stems[:-1], stem(window[-1].base)])
            if entries:
                found.append(_Candidate(window, entries, sum(slips[first : first + n])))
    return found


def _accept(message: Message, lexicon: Lexicon, candidate: _Candidate) -> Mention | None:
    start, end = candidate.tokens[0].start, candidate.tokens[-1].end
    titles = [entry for entry in candidate.entries if entry.kind == "title"]
    values = [entry for entry in candidate.entries if entry.kind == "value"]
    people = [entry for entry in candidate.entries if entry.kind in ("person", "surname")]
    as_title: Certainty = certainty(message, candidate.tokens, titles, lexicon) if titles else "no"
    year, year_end = year_after(message, end)
    dated = year is not None and any(entry.year is not None and abs(entry.year - year) <= 1 for entry in titles)
    firm = any(not entry.soft for entry in values)
    asked = dated or quoted(message, start, end) or called_for(message, candidate.tokens, firm=firm)
    if titles and as_title == "sure" and (asked or not (values or people)):
        return _title(message, candidate, titles, as_title, year if dated else None, year_end if dated else end)
    if values and not _other_sense(message, start, end, candidate):
        entry = _value(message, values, start, end, lexicon)
        return Mention(start, end, entry, "doubtful" if candidate.slips > 1 else "sure", candidate.slips > 0)
    if people and (person := _person(message, lexicon, people, candidate)):
        return person
    if titles and as_title != "no":
        return _title(message, candidate, titles, as_title, None, end)
    return None


def _title(
    message: Message, candidate: _Candidate, titles: list[Entry], sure: Certainty, year: float | None, end: int
) -> Mention | None:
    if (
        len(candidate.tokens) == 1
        and _part_of_another_name(message, candidate.tokens)
        and not quoted(message, candidate.tokens[0].start, end)
    ):
        return None
    if candidate.slips and (len(candidate.tokens) == 1 or candidate.slips > 2):
        if len(candidate.tokens[0].norm) < 6:
            return None
        sure = "doubtful" if not message.cased and len(candidate.tokens[0].norm) < 9 else sure
    return Mention(candidate.tokens[0].start, end, best_of(titles, year), sure, candidate.slips > 0)


def _value(message: Message, values: list[Entry], start: int, end: int, lexicon: Lexicon) -> Entry:
    """Of several attributes with that value the one that the words around it call."""
    if len(values) == 1:
        return values[0]
    roles = lexicon.attributes.roles
    if meant := _MEANT.search(message.low):
        for _, _, name in lexicon.attributes.named(meant["what"]):
            if fitting := [entry for entry in values if entry.attribute == name]:
                return fitting[0]
    named = attributes_near(message, start, end, lexicon)
    for entry in values:
        if entry.attribute in named:
            return entry
    if _IN_LANGUAGE.search(message.left(start)) or _LANGUAGE_AFTER.match(message.low, end):
        for entry in values:
            if roles[entry.attribute] == "language":
                return entry
    every = [entry for entry in values if entry.every]
    return every[0] if every else values[0]


def attributes_near(message: Message, start: int, end: int, lexicon: Lexicon) -> frozenset[str]:
    """The attribute that is called by its name right before the span, else all that are named beside it."""
    left = message.left(start, MAX_NAME_CHARS)
    before = lexicon.attributes.named(left)
    if before and _IS.fullmatch(left, before[-1][1]):
        return frozenset({before[-1][2]})
    around = message.low[max(0, start - NAMED_NEAR) : end + NAMED_NEAR]
    return frozenset(name for _, _, name in lexicon.attributes.named(around))


def _other_sense(message: Message, start: int, end: int, candidate: _Candidate) -> bool:
    """A value that is an everyday word, used as the everyday word: "my family", "at war"."""
    if len(candidate.tokens) > 1:
        return [token.norm for token in candidate.tokens] == ["us", "a"]  # "show us a comedy"
    left, word = message.left(start), candidate.tokens[0].norm
    if _OWNER.search(left):
        return not re.search(r"\b(?:for|with) (?:my|our|the)\s*$", left)
    if word in ("light", "classic", "new", "short", "good", "independent", "black", "white") and re.match(
        r"\s*(?:of|on|at|time|year|and white)\b", message.low[end:]
    ):
        return True
    if word == "us" and (re.search(r"\bthe\s*$", left) or message.text[start:end] == "US"):
        return False
    return word in function_words()


def _part_of_another_name(message: Message, tokens: list[Token], names: frozenset[str] = frozenset()) -> bool:
    """Whether a capital of nobody in the catalogue stands beside: "Jason Segal" is no George Segal."""
    first, last = tokens[0].place, tokens[-1]
    if not message.cased or not tokens[0].capital:
        return False
    for token in (message.tokens[first - 1] if first else None, _next(message, first + len(tokens))):
        if token is None or not token.capital or (token.norm in frequent_words() and token.norm not in names):
            continue
        gap = message.low[min(token.end, last.end) : max(token.start, tokens[0].start)]
        if not gap.strip() and not message.starts_sentence(token.start):
            return True
    return False


def _next(message: Message, place: int) -> Token | None:
    return message.tokens[place] if place < len(message.tokens) else None


def _person(message: Message, lexicon: Lexicon, people: list[Entry], candidate: _Candidate) -> Mention | None:
    start, end = candidate.tokens[0].start, candidate.tokens[-1].end
    left, right = message.left(start), message.low[end:]
    people = _called(lexicon, people, left, right) or _by_role(lexicon, people, left, right)
    entry = people[0]
    misspelt = candidate.slips > 0
    if len(candidate.tokens) > 1 and not all(token.norm in frequent_words() for token in candidate.tokens):
        return Mention(start, end, entry, "sure", misspelt)
    if is_cjk(candidate.tokens[0].norm):
        return Mention(start, end, entry)
    if _part_of_another_name(message, candidate.tokens, lexicon.first_names):
        return None
    return _called_by_surname(message, lexicon, entry, candidate)


def _called_by_surname(message: Message, lexicon: Lexicon, entry: Entry, candidate: _Candidate) -> Mention | None:
    """One word that is a name: it must stand where a name stands, all the more where it is a word besides."""
    start, end, word = candidate.tokens[0].start, candidate.tokens[-1].end, candidate.tokens[0]
    left, right = message.left(start), message.low[end:]
    misspelt, single = candidate.slips > 0, len(candidate.tokens) == 1
    capital = message.cased and all(token.capital for token in candidate.tokens)
    cue = bool(_NAME_CUE.search(left) or _WORK_AFTER.match(right) or _BY.search(left) or _WITH.search(left))
    if siblings := _SIBLINGS.match(right):
        end, cue = end + siblings.end(), True
    if single and word.base in function_words():
        return None
    if word.base in common_words() or word.norm in common_words():
        named = capital and cue and not message.starts_sentence(start)
        return Mention(start, end, entry, "doubtful" if single else "sure", misspelt) if named else None
    if misspelt or not capital:  # "stoner comedies" are not by Ms Stoner
        work = _WORK_AFTER.match(right) and _is_maker(entry.attribute, lexicon)
        cue = bool(_BY.search(left) or _WITH.search(left) or work)
    if not cue and len(word.norm) < (7 if misspelt else 4):
        return None
    alone = len(message.tokens) <= (3 if capital else 1) or message.language == "zh"
    sure = cue or (alone and not misspelt and (single or entry.kind != "person"))
    return Mention(start, end, entry, "sure" if sure else "doubtful", misspelt)


def _called(lexicon: Lexicon, people: list[Entry], left: str, right: str) -> list[Entry]:
    """Those whose attribute is called by its name beside them: "whose director is X", "with X as director"."""
    before = [name for _, end, name in lexicon.attributes.named(left) if _IS.fullmatch(left, end)]
    after = _AS.match(right)
    behind = lexicon.attributes.named(right[after.end() : after.end() + 30]) if after else []
    names = before[-1:] + [name for start, _, name in behind[:1] if start == 0]
    return [entry for entry in people if entry.attribute in names]


def _by_role(lexicon: Lexicon, people: list[Entry], left: str, right: str) -> list[Entry]:
    """Those whose attribute fits "by" or "starring", else all, the weightiest first; full names first."""
    makers = [entry for entry in people if _is_maker(entry.attribute, lexicon)]
    actors = [entry for entry in people if not _is_maker(entry.attribute, lexicon)]
    full = [entry for entry in people if entry.kind == "person"]
    if makers and (_BY.search(left) or re.match(r"'s\b", right)):
        return makers
    if actors and _WITH.search(left):
        return actors
    if makers and _WORK_AFTER.match(right) and not full:
        return makers
    pool = full or people
    return sorted(pool, key=lambda entry: (-entry.weight, not _is_maker(entry.attribute, lexicon)))


def _is_maker(attribute: str, lexicon: Lexicon) -> bool:
    return lexicon.attributes.roles.get(attribute) == "maker"
