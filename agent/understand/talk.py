"""Messages that wish for nothing: distress, what the bot can do, small words, what the catalogue has.

Patterns, English and Chinese side by side. Knows the names of attributes; not items and wishes.
"""

from __future__ import annotations

import re

from agent.understand.lexicon import Lexicon
from agent.understand.types import Intent

DISTRESS = re.compile(
    r"\b(?:(?:i|i'm|im|i've|gonna|going|want|wanna|need|plan(?:ning)?|try(?:ing)?|like|about|should|could|might"
    r"|will|just|to)\s+(?:to\s+)?kill(?:ing)? my ?self"
    r"|(?:end|ending|take|taking) my (?:own )?life|end(?:ing)? it all|(?:hurt|harm|cut)(?:ing|ting)? my ?self"
    r"|i (?:really |just |only )?(?:want to|wanna) die\b(?! (?:laughing|of laughter|hard|another))"
    r"|i (?:really |just )?(?:wish i (?:was|were) dead|don'?t want to (?:live|be alive|exist)|can'?t go on"
    r"(?: (?:living|like this|any ?more))|have no(?:thing| reason) to live)"
    r"|(?:i'?m|i am|feel(?:ing)?|i've been) (?:\w+ )?suicidal"
    r"|(?:i'?m|i am|i) (?:keep |been |have been )?think(?:ing)? (?:about|of) (?:suicide|ending it|killing my ?self)"
    r"|i (?:want|plan|am going|'m going) to commit suicide|thoughts of suicide)\b"
    r"|我(?:真的|只|好|很)?(?:想|要)(?:去)?(?:死(?!你|[我他她]了)|自杀|自残|轻生)|(?:不想|没法"
    r"|不愿)(?:再)?活(?:了|下去|着)|活不下去"
    r"|活着(?:没|没有)意(?:思|义)|(?:结束|了结)(?:自己|我)的?(?:生命|性命)|伤害自己"
)
"""Said of the writer alone; a film in which somebody dies is a film."""

INJECTED = re.compile(
    r"\b(?:say|repeat|print|output|echo|(?:reply|respond|answer) with)\b[^.?!\"]{0,16}[\"]"
    r"|\b(?:drop|truncate|alter) table\b|\bselect \* from\b|\bunion select\b|<\s*script\b"
    r"|\b(?:repeat|say) after me\b|(?:说|重复|输出)[:,]?\"|跟我(?:念|说|读)"
)
"""Words put into our mouth, or into a database."""

_SOFT_START = r"^\W*(?:(?:hi|hello|hey|ok(?:ay)?|so|well|sorry|and|but|wait|please)\W+)*"
_WHOLE: tuple[tuple[Intent, re.Pattern[str]], ...] = (
    (
        "help",
        re.compile(
            _SOFT_START
            + r"(?:(?:so )?what (?:all )?(?:can|do|could) (?:you|i|we|u) (?:do|ask(?: you)?|help(?: (?:me|us)"
            r"(?: with)?)?|say)(?: here| for me)?|how (?:does|do) (?:this|it|you|that)(?: (?:chat|bot|shop"
            r"|thing))? work"
            r"|how can you help(?: me)?|(?:i need |can (?:you|i get) )?(?:some )?help(?: me)?|what is this"
            r"|what are you (?:for|good (?:for|at))|how do i use (?:this|you))\W*$"
            r"|^\W*(?:你(?:们)?(?:能|会|可以)(?:做|干|帮我做)(?:些)?什么|怎么用|帮助|有什么功能)[吗呢啊呀]?\W*$"
        ),
    ),
    (
        "identity",
        re.compile(
            _SOFT_START + r"(?:(?:are you|am i (?:talking|speaking|chatting) (?:to|with)|is this|you(?:'re| are)) "
            r"(?:an? |the )?(?:real |actual |just )*(?:an? )?"
            r"(?:human(?: being)?|person|man|woman|ro?bots?|bots?|machine|ai|a\.i\.|chat ?bot|program|computer"
            r"|llm|chatgpt"
            r"|gpt)(?: or (?:an? )?(?:real )?\w+)?|who are you|what are you|what(?:'s| is) your name"
            r"|who made you)\W*$"
            r"|^\W*(?:你是(?:真)?(?:人|机器人|谁|什么|ai|真人)(?:还是.{1,6})?|你叫什么(?:名字)?)[吗呢啊呀]?\W*$"
        ),
    ),
    (
        "wishes",
        re.compile(
            r"\bwhat (?:did|have) i (?:just )?(?:ask(?:ed)?(?: you)?(?: for)?|want(?:ed)?|said?|told? you"
            r"|wish(?:ed)? for)"
            r"(?: so far)?\W*$|\bwhat (?:are|were) my (?:current )?(?:wishes|filters?|preferences|criteria"
            r"|requirements)\b"
            r"|\b(?:show|list|tell|remind)(?: me)?(?: of)? (?:(?:what i (?:asked(?: for)?|wanted))"
            r"|my (?:current )?(?:wishes"
            r"|filters|preferences|criteria))\b|\bwhat do you (?:know|remember) about me\b"
            r"|\bwhat am i (?:looking|searching) for\b|我(?:刚才|之前|都)?(?:要|想要|说|提)(?:了|过|的是)(?:些"
            r"|哪些)?(?:什么|要求)"
            r"|我的(?:要求|条件|偏好)(?:是什么|有哪些)"
        ),
    ),
    (
        "acknowledge",
        re.compile(
            r"^\W*(?:(?:yes|yeah|yep|yup|sure|no|nope|nah|ok(?:ay)?|okey|alright|all right|fine|right|i see|got it"
            r"|understood|hm+|mm+|uh|um+|never ?mind(?: that)?|forget it|just (?:one|a single one)|only one|maybe"
            r"|maybe later|not now|no more|please|lol|ha(?:ha)+|wait|hold on|one (?:moment|sec(?:ond)?)|interesting"
            r"|that'?s (?:all|enough|fine|ok(?:ay)?)|good|cool|nice)[\s,.!]*){1,3}$"
            r"|^\W*(?:好的?|行|可以|嗯+|是的?|对|不|不是|不用了?|算了|知道了|明白了?|哦+|没事)[吧啊呀呢了]?\W*$"
        ),
    ),
)

_HAVE = (
    r"(?:do you (?:have|sell|carry|stock|offer|know|get)|have you (?:got)?|are there|are available|is there"
    r"|can i (?:choose|pick|search|filter|get|have)|exist|you (?:have|got|sell|carry))"
)
_VALUES = re.compile(
    rf"\b(?:which|what)(?: (?:all|other|different|kinds? of|sorts? of|types? of|are the"
    rf"|is the))* (?P<what>[a-z]+(?: [a-z]+)??)"
    rf" (?:of (?:films?|movies?|items?|products?|books?|things) )?{_HAVE}\b(?: [a-z]+){{0,2}}\W*$"
    r"|^\W*(?:please )?(?:list|show(?: me)?|name|give me)(?: me)? (?:all )?(?:of )?(?:the|your|all) (?:available )?"
    r"(?P<listed>[a-z]+(?: [a-z]+)?)(?: you (?:have|sell|carry)| there are)?\W*$"
    r"|^\W*(?:你们?|店里|这里)?都?有(?:哪些|什么样的|些什么|什么)(?P<han>[\u4e00-\u9fff]{2})(?:的(?:电影|片子"
    r"|商品))?[呢吗]?\W*$"
)
_KINDS = re.compile(
    rf"\b(?:which|what) (?:different )?(?:kinds?|sorts?|types?) of (?:films?|movies?|items?|products?|books?"
    rf"|things|stuff)"
    rf" {_HAVE}\b(?: [a-z]+){{0,2}}\W*$|^\W*what do you (?:sell|have|carry|stock)(?: here)?\W*$|你们?卖什么"
)


def distressed(low: str) -> bool:
    """Whether the writer speaks of wanting to die."""
    return bool(DISTRESS.search(low))


def small_talk(low: str) -> Intent | None:
    """The intent of a message that is nothing but a small word or a question about the bot or the wishes."""
    return next((intent for intent, pattern in _WHOLE if pattern.search(low)), None)


def asked_values(low: str, lexicon: Lexicon) -> str | None:
    """The attribute whose values are asked for: "which genres do you have?"; None where none is."""
    if _KINDS.search(low):
        return lexicon.attributes.of("kind", "brand")
    for match in _VALUES.finditer(low):
        what = match["what"] or match["listed"] or match["han"]
        named = [name for start, end, name in lexicon.attributes.named(what) if (start, end) == (0, len(what))]
        if named and named[0] in lexicon.shape.attributes:
            return named[0]
    return None
