"""Free text: what the item is about, and descriptive words that no attribute of the catalogue has.

Knows no catalogue. Words of request ("show me something for tonight") are not a wish.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from functools import cache

from agent.understand.lexicon import Lexicon
from agent.understand.message import Message, Token, is_cjk, words_of
from agent.understand.negation import Stances
from agent.understand.wishes import Wish
from retrieval.words import common_words, function_words

MAX_ABOUT_CHARS = 160
MIN_WORDS_OF_A_PAIR = 4

_CUE = re.compile(
    r"(?<!what )(?<!how )(?<!know )(?<!care )(?<!talk )(?<!forget )(?<!think )(?<!sure )(?<!me )(?<!more"
    r" )(?<!'s it )(?<!is it )(?<!thought )(?<!heard )(?<!worry )(?<!something )?"
    r"\b(?:about|where|in which|set (?:in|during|on|at)|dealing with|on the (?:subject|topic|theme) of"
    r"|involving|centered (?:on|around)|focus(?:ed|ing) on|based on|revolv\w+ around)\s+"
    r"(?P<text>(?!it\b|that\b|this\b|them\b|these\b|those\b|the same\b|you\b|your?s?\b|to\b|a (?:week"
    r"|month|day)\b|(?:\d|an? (?:couple of )?hour|(?:half|one|two|three|five|ten|twelve|fifteen|twenty"
    r"|thirty|forty|fifty|ninety|a hundred)[\w\s-]{0,14}(?:hours?|minutes?|euros?|dollars?|bucks|years?"
    r"|pounds|quid)\b)|the (?:second|first|third|last|fourth|fifth)\b|i\b|(?:some|any)thing\b"
    r"|my order)[^.;!?\n]{3,})"
    r"|(?:关于|讲述?)(?P<han>[^,.;!?的]{2,20})(?:的|$|[,.])"
)
_TALK = re.compile(
    r"\b(?:that|it|lot|read|say|said|hear|heard|told|thinking|dream\w*|excited|worried|right|wrong|crazy"
    r"|more|learn\w*|asked|like)\s*$"
)
_STOP = re.compile(
    r",?\s*\b(?:but|preferably|ideally|please|though|from the|from (?:19|20)\d\d|starring|directed by"
    r"|made (?:in|before|after)|(?:under|below|before|after|over) (?:\d|two|an?\b|[€$£])"
    r"|on (?:blu|dvd|4k)|with (?:no|less|[A-Z])|and (?:not|nothing|no|under|preferably|it|ideally)"
    r"|if possible|for (?:my |the |our |small |young )*(?:kids?|children|toddlers?)|thanks?)\b|,\s*(?:not?"
    r"|nothing|without|under|from|something|preferably|by|with|in|on"
    r"|can|do|i|it|nothing)\b|\bi only\b|\bnothing (?:with|by|from)\b"
)
_NEXT_WISH = frozenset(
    "with without no not nothing under over below above before after since from rated ideally preferably at i".split()
)
_BY_OR_WITH = re.compile(r"[\s,]*\b(?:(?:directed|written|made|taught) by|nothing with|by|with|starring|featuring)\s+")
_REQUEST = frozenset(
    """
able above absolutely accept accepted acted acting actings actor actors actress actually advice after again ago
agree agreed ah already alright also always amazing another answer any anything anyway around available away awesome
bad based been before believe below best better between bit boring bot both boyfriend bro bucks buff buy came cant
care cast catalogue category character characters chat chatting cheap check checked choice choices cinema classic
come comes cool correct could currently dad day days decent definitely details directed director directors dollar
dollars dont down dude early else ending enjoy enjoyed enjoying enough euro euros even evening ever exactly
excellent expensive family fantastic favorite favourite feel feeling film films find finding fine first flick flicks
friend friends fun genre genres gift gifts present
get girlfriend give go god going gonna good goodness gosh got gotta great guess guy
guys had haha hahaha half has have haven hear heard hell hello help here hey hi hmm hmmm home hope hour hours house
hru huge hulu husband id idea ideally ideas im imdb indeed instead interested interesting item items ive job just
kids kind kinds know last late later least less lets like liked likes list little lol long look looking looks lot
lots love loved lovely made main make man matter max maximum maybe me mean meant min minimum minute minutes mmm
mom moment month mood more most movie movies my name need needs netflix never new next nice night no nope nothing
now often oh ok okay old omg one ones only open option options order orders other others out over part partner parts
people perfect perfectly performance perhaps person picture plan plans please plot pls plz point popcorn possible
pounds prefer preferably preference pretty price probably product products question quite rather rating ratings
really reccomend reccomendation reccommend recent recomend recommand recommend recommendation recommendations review
reviews right s said same saw say scene scenes search searching second see seeing seem seems seen shop short should
show shown similar sir some someone something sorry sort sorts sound sounds star starring stars still stock store
story storyline stuff style suggest suggestion suggestions super sure talk talking tell terrible than thank thanks
thats theater theaters there theres thing things think third though thought thx time times title titles today
tomorrow tonight totally trailer trailers trouble true try type types u uh um umm under up ur us usually vein wanna
want wanted wants watch watched watching watchs week weekend welcome well went whats wife wish wonderful work
working works worse would wow zero two three four five six seven eight nine ten dozen
wrong ya yay yea yeah year years yep yes yet yup
""".split()
)
_ENDINGS = tuple(
    "s es ed ing er ers ly y ish ness less ful able ible al ic ist ists ism ian ous ive ation est ier iest".split()
)
_BEGINNINGS = ("un", "non", "anti", "re", "over", "under", "super", "post", "pre", "mid", "dis", "mis", "in", "cyber")
_NOUN = frozenset(
    "film films movie movies flick flicks picture pictures one ones item items product products book"
    " books show shows stuff thing things".split()
)
_LEAD = frozenset(
    "something anything somewhat nothing more very really quite a an some any for with have sell carry stock".split()
)
_TELLS = re.compile(
    r"\W*(?:(?:yes|yeah|oh|no|ok|and|but|well)\W+)*(?:i|it|he|she|we|they|that|you|this|its|my)\b(?!'d"
    r"| would| want| need|'m (?:looking|after|in)| am (?:looking|after|in))"
)
_PHRASE = re.compile(
    r"\W*(?:a|an|some|any)\b(?![^.!?]*\b(?:i|it|he|she|they|we|is|was|are|were|has|had|would"
    r"|made)\b)"
)
_ASK = re.compile(
    r"\b(?:want|need|looking for|search(?:ing)? for|find|show|recommend|suggest|give me|got any|have any"
    r"|do you (?:have|sell|carry)|in the mood for|feel like|like to|something|anything|nothing|i'd like"
    r"|prefer\w*|please|make it)\b"
)


def about_wishes(message: Message, lexicon: Lexicon, stances: Stances) -> list[Wish]:
    """What follows "about", "where", "set in": one free text for each; marks the spans as read."""
    wishes = []
    for match in _CUE.finditer(message.low):
        name = "text" if match["text"] else "han"
        start, end = match.start(name), min(match.end(name), match.start(name) + MAX_ABOUT_CHARS)
        if stop := _STOP.search(message.low, start, end):
            end = stop.start()
        end = _value_end(message, lexicon, start, _before_a_person(message, lexicon, start, end))
        end = start + len(message.low[start:end].rstrip(" ,"))
        if end - start < 2 or not message.free(match.start(), end):
            continue
        if _TALK.search(message.left(match.start(), 20)):
            continue
        scope = stances.denied(match.start())
        text = message.quote(start, end)
        polarity = "negative" if scope else "positive"
        value = next(
            iter(lexicon.values_like([word for word in words_of(text) if word not in ("a", "an", "the")])), None
        )
        if value is not None and not value.every:  # "about robots", where robots are a theme of the catalogue
            wishes.append(Wish(value.attribute, "eq", value.values, match.start(), end, "soft", polarity))  # type: ignore[arg-type]
        else:
            wishes.append(Wish(None, "about", (text,), match.start(), end, "soft", polarity))  # type: ignore[arg-type]
        message.take(match.start(), end)
    return wishes


def _before_a_person(message: Message, lexicon: Lexicon, start: int, end: int) -> int:
    """Where the text ends, at the latest before somebody of the catalogue: "about space | by Ron Howard"."""
    for match in _BY_OR_WITH.finditer(message.low, start, end):
        tokens = [token.norm for token in message.tokens_in(match.end(), len(message.low))[:3]]
        for n in (3, 2):
            if any(entry.kind == "person" for entry in lexicon.phrases.get(" ".join(tokens[:n]), ())):
                return match.start()
    return end


def _value_end(message: Message, lexicon: Lexicon, start: int, end: int) -> int:
    """Where a value of the catalogue ends that the text begins with, if another wish follows: "about robots | with"."""
    tokens = message.tokens_in(start, end)
    for n in range(len(tokens) - 1, 0, -1):
        goes_on = message.low[tokens[n - 1].end : tokens[n].start].strip() or tokens[n].norm in _NEXT_WISH
        if goes_on and lexicon.values_like([token.norm for token in tokens[:n]]):
            return tokens[n - 1].end
    return end


def in_request(message: Message, start: int, end: int) -> bool:
    """Whether the words describe what is asked for, and not something that is being told."""
    before = message.low[message.sentence(start)[0] : start]
    after = re.match(r"[\s-]*([a-z]+)", message.low[end:])
    if after and after.group(1) in _NOUN and not _TELLS.match(before):
        return True
    if _ASK.search(message.low[slice(*message.sentence(start))]) or re.search(
        r"\b(?:not|too|nothing|no)\s+(?:\w+\s+)?$", before
    ):
        return True
    return len(message.tokens) <= 4 or message.language == "zh" or bool(_PHRASE.match(before or message.low))


def leftover_wishes(message: Message, lexicon: Lexicon, stances: Stances, *, others: bool) -> tuple[list[Wish], str]:
    """Runs of describing words that nothing else has read: "mind-bending", "with a twist ending".

    Second, the first run that has no word in it: "asdkjh qwoeiu" is no wish, but it is said that it is not known.
    Where the message has `others`, wishes that were read, a word need only look like one.
    """
    wishes: list[Wish] = []
    strange = ""
    asks = bool(_ASK.search(message.low) or _PHRASE.match(message.low))
    for run in _runs(message):
        start, end = run[0].start, run[-1].end
        scope = stances.denied(start)
        whole = len(run) == len(message.tokens) <= 4 and "!" not in message.low
        if not (
            whole
            or _describes(message, run, asks=asks)
            or (scope and len(run) <= 3 and (asks or len(message.tokens) <= 6))
        ):
            continue
        following = message.tokens[run[-1].place + 1 : run[-1].place + 2]
        following_number = bool(following and following[0].norm.isdigit() and message.free(end, following[0].end))
        if following_number:
            end = following[0].end  # "iPhone 13"
        text = message.quote(start, end)
        if not following_number and not _worded(run, lexicon, others=others):
            strange = strange or text
            continue
        polarity = "negative" if scope else "positive"
        begin = scope.start if scope and message.free(scope.start, start) else start
        wishes.append(Wish(None, "about", (text,), begin, end, "soft", polarity))  # type: ignore[arg-type]
    return wishes[:3], strange


def _worded(run: list[Token], lexicon: Lexicon, *, others: bool) -> bool:
    words = [token.base for token in run]
    if any(lexicon.is_word(word) or _formed(word, lexicon) for word in words):
        return True
    return others and all(pair in _letter_pairs() for word in words for pair in map("".join, itertools.pairwise(word)))


@cache
def _letter_pairs() -> frozenset[str]:
    """Neighbouring letters of several common words: "hiking" has no others, "asdkjh" has."""
    counted = Counter(pair for word in common_words() for pair in set(map("".join, itertools.pairwise(word))))
    return frozenset(pair for pair, n in counted.items() if n >= MIN_WORDS_OF_A_PAIR)


def _formed(word: str, lexicon: Lexicon) -> bool:
    """A word made of a known one: "submariners", "unforgettable", "dancing"; or of two: "steampunk"."""
    for ending in _ENDINGS:
        base = word.removesuffix(ending)
        if base != word and len(base) >= 3 and any(lexicon.is_word(form) for form in (base, base + "e", base + "y")):
            return True
    if any(word.startswith(start) and lexicon.is_word(word[len(start) :]) for start in _BEGINNINGS):
        return True
    return any(lexicon.is_word(word[:cut]) and lexicon.is_word(word[cut:]) for cut in range(4, len(word) - 3))


def _runs(message: Message) -> list[list[Token]]:
    """Neighbouring content words that are free; Chinese is left to the lexicon."""
    runs: list[list[Token]] = []
    last_end = -10
    for token in message.tokens:
        content = token.norm not in function_words() and token.norm not in _REQUEST and len(token.norm) > 2
        content = (
            content and not token.norm.isdigit() and not is_cjk(token.norm) and message.free(token.start, token.end)
        )
        if not content:
            continue
        if (
            runs
            and message.low[last_end : token.start].strip(" -") in ("", "and", "&")
            and message.free(last_end, token.start)
        ):
            runs[-1].append(token)
        else:
            runs.append([token])
        last_end = token.end
    return [run for run in runs if len(run) <= 6]


def _describes(message: Message, run: list[Token], *, asks: bool) -> bool:
    tokens = message.tokens
    first = run[0].place
    after = tokens[first + len(run)].norm if first + len(run) < len(tokens) else ""
    before = tokens[first - 1].norm if first else ""
    if after in _NOUN and (asks or not _TELLS.match(message.low[message.sentence(run[0].start)[0] :])):
        return True
    return asks and before in _LEAD
