"""Free text: what the item is about, and descriptive words that no attribute of the catalogue has.

Knows no catalogue. Words of request ("show me something for tonight") are not a wish.
"""

from __future__ import annotations

import re

from agent.understand.message import Message, Token, is_cjk
from agent.understand.negation import Stances
from agent.understand.wishes import Wish
from agent.understand.words import function_words

MAX_ABOUT_CHARS = 160

_CUE = re.compile(
    r"(?<!what )(?<!how )(?<!know )(?<!care )(?<!talk )(?<!forget )(?<!think )(?<!sure )(?<!me )(?<!more )(?<!'s it )(?<!is it )(?<!thought )(?<!heard )(?<!worry )(?<!something )?"
    r"\b(?:about|where|in which|set (?:in|during|on|at)|dealing with|on the (?:subject|topic|theme) of|involving|centered (?:on|around)|focus(?:ed|ing) on|based on|revolv\w+ around)\s+"
    r"(?P<text>(?!it\b|that\b|this\b|them\b|these\b|those\b|the same\b|you\b|your?s?\b|to\b|a (?:week|month|day)\b|(?:\d|an? (?:couple of )?hour|(?:half|one|two|three|five|ten|twelve|fifteen|twenty|thirty|forty|fifty|ninety|a hundred)[\w\s-]{0,14}(?:hours?|minutes?|euros?|dollars?|bucks|years?|pounds|quid)\b)|the (?:second|first|third|last|fourth|fifth)\b|i\b|(?:some|any)thing\b|my order)[^.;!?\n]{3,})"
    r"|(?:关于|讲述?)(?P<han>[^,.;!?的]{2,20})(?:的|$|[,.])"
)
_STOP = re.compile(
    r",?\s*\b(?:but|preferably|ideally|please|though|from the|from (?:19|20)\d\d|starring|directed by|made (?:in|before|after)|(?:under|below|before|after|over) (?:\d|two|an?\b|[€$£])"
    r"|on (?:blu|dvd|4k)|with (?:no|less|[A-Z])|and (?:not|nothing|no|under|preferably|it|ideally)|if possible|thanks?)\b|,\s*(?:not?|nothing|without|under|from|something|preferably|by|with|in|on|can|do|i|it|nothing)\b"
)
_REQUEST = frozenset(
    "want wanted wants need needs looking look looks search searching find show give recommend recommendation recommendations suggest suggestion "
    "suggestions watch watching see seeing buy get order try tonight today tomorrow weekend night evening something anything nothing someone film "
    "films movie movies flick flicks picture item items product products thing things stuff kind kinds sort sorts type types good great nice best "
    "better perfect decent cool favorite favourite love loved like liked likes enjoy enjoyed feel feeling mood think thought know maybe perhaps "
    "please thanks thank hello hi hey hmm umm um uh actually really pretty quite bit little lot lots one ones help looking options option choice "
    "choices ideas idea interested prefer preference preferably ideally possible sure make made would could should dont im ive id lets us my "
    "me friend friends wife husband girlfriend boyfriend kids mom dad family partner yes no okay ok instead rather else other more less another "
    "any some time times tell say said mean meant seen watched saw heard based similar style vein title titles name year years price currently go "
    "going went been got have has had want come came out new old recent classic available stock shop store catalogue list shown suggestion "
    "question answer right now here there away ago late later early first second third last next day days week month people person guy man "
    "star stars starring actor actors actress director directed directors cast genre genres category under over below above before after around "
    "between than least most maximum minimum max min up down euro euros dollar dollars bucks pounds minutes minute hours hour long short cheap "
    "expensive lol haha wow yeah yep nope oh ah well sorry also just only even still already yet again always never ever often usually watchs "
    "definitely totally absolutely probably guess believe hope wish hear sounds sound seems seem sounds u ur thx pls plz gonna wanna gotta cant".split()
)
_NOUN = frozenset("film films movie movies flick flicks picture pictures one ones item items product products book books show shows stuff thing things".split())
_LEAD = frozenset("something anything somewhat nothing more very really quite a an some any for with".split())
_ASK = re.compile(
    r"\b(?:want|need|looking for|search(?:ing)? for|find|show|recommend|suggest|give me|got any|have any|do you (?:have|sell|carry)|in the mood for|feel like|like to|something|anything|i'd like)\b"
)


def about_wishes(message: Message, stances: Stances) -> list[Wish]:
    """What follows "about", "where", "set in": one free text for each; marks the spans as read."""
    wishes = []
    for match in _CUE.finditer(message.low):
        name = "text" if match["text"] else "han"
        start, end = match.start(name), min(match.end(name), match.start(name) + MAX_ABOUT_CHARS)
        if stop := _STOP.search(message.low, start, end):
            end = stop.start()
        end = start + len(message.low[start:end].rstrip(" ,"))
        if end - start < 2 or not message.free(match.start(), end):
            continue
        scope = stances.denied(match.start())
        text = message.quote(start, end)
        polarity = "negative" if scope else "positive"
        wishes.append(Wish(None, "about", (text,), match.start(), end, "soft", polarity))  # type: ignore[arg-type]
        message.take(match.start(), end)
    return wishes


def leftover_wishes(message: Message, stances: Stances) -> list[Wish]:
    """Runs of describing words that nothing else has read: "mind-bending", "with a twist ending"."""
    wishes: list[Wish] = []
    short = len(message.tokens) <= 5
    asks = bool(_ASK.search(message.low))
    for run in _runs(message):
        start, end = run[0].start, run[-1].end
        scope = stances.denied(start)
        if not (short or _describes(message, run, asks=asks) or (scope and len(run) <= 3)):
            continue
        text = message.quote(start, end)
        polarity = "negative" if scope else "positive"
        begin = scope.start if scope and message.free(scope.start, start) else start
        wishes.append(Wish(None, "about", (text,), begin, end, "soft", polarity))  # type: ignore[arg-type]
    return wishes[:3]


def _runs(message: Message) -> list[list[Token]]:
    """Neighbouring content words that are free; Chinese is left to the lexicon."""
    runs: list[list[Token]] = []
    last_end = -10
    for token in message.tokens:
        content = token.norm not in function_words() and token.norm not in _REQUEST and len(token.norm) > 2
        content = content and not token.norm.isdigit() and not is_cjk(token.norm) and message.free(token.start, token.end)
        if not content:
            continue
        if runs and message.low[last_end : token.start].strip(" -") == "" and message.free(last_end, token.start):
            runs[-1].append(token)
        else:
            runs.append([token])
        last_end = token.end
    return [run for run in runs if len(run) <= 6]


def _describes(message: Message, run: list[Token], *, asks: bool) -> bool:
    tokens = message.tokens
    first = tokens.index(run[0])
    after = tokens[first + len(run)].norm if first + len(run) < len(tokens) else ""
    before = tokens[first - 1].norm if first else ""
    if after in _NOUN:
        return True
    return asks and before in _LEAD
