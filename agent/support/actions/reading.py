"""What a message asks for about an order, by rules, in English and Chinese.

Reads the customer's own words alone: nothing that an order, an article or an item says ever comes here. A reading is
a proposal at most: nothing happens without a proof and a "yes". Knows nothing of orders.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from agent.support.actions.addresses import address_in
from agent.support.actions.state import AskKind
from retrieval.text import fold

PlainAnswer: TypeAlias = Literal["yes", "no"]

MAX_READ_CHARS = 2000
"""More of a message is not read for an order."""
EMAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,5}")
_EMAIL_CLAUSE = re.compile(
    r"(?:[,.;，。；]|\band\b)?\s*(?:(?:my |the )?e-?mail(?: address)?(?: is)?|邮箱(?:地址)?是?)?\s*[:：]?\s*"
    rf"{EMAIL.pattern}",
    re.IGNORECASE,
)
_YES = frozenset((
    "yes|yes please|yes do it|yes please do|yes go ahead|yes i confirm|yes confirm|yes that is right|yep|yeah|please do"
    "|do it|go ahead|confirm|confirmed|i confirm|是|是的|好的|确认|可以|对|对的|是的 请|同意|是的 确认|好的 确认"
).split("|"))  # fmt: skip
_NO = frozenset((
    "no|nope|no thanks|no thank you|no please don't|no don't|don't|do not|please don't|never mind|nevermind|stop|cancel"
    "|forget it|leave it|rather not|not now|no stop|wait|no wait|不|不要|不用|不用了|不是|不行|算了|别|不了|先不|不确认"
    "|取消|等等"
).split("|"))  # fmt: skip
_PUNCTUATION = re.compile(r"[\s.,!;:。，！；、~]+")

_ORDER = r"(?:orders?(?! of the\b)|parcels?|packages?|shipments?|purchases?|delivery|deliveries|ORDERNUMBER)"
_IT = r"(?:it|that|this|them|these|those)"
_THE = r"(?:the|my|our|this|that|an?|last)"
_END = r"(?=$|[.,;!?]| (?:please|now|again|for me|and|then|too|as well)\b)"
"""Of a clause: "undo that filter" has a film wish behind it."""
_DISC = r"(?:discs?|films?|movies?|dvds?|blu-?rays?|items?)"

_GENERAL = re.compile(
    r"\b(?:how (?:do|can|could|would|may|to|long|much)|what (?:if|happens|is|are|does)|which|when (?:can|may|do)"
    r"|is it possible|am i able|(?:can|may|could) (?:i|we|one|you still)|are (?:there|you able)|do you|does it|why)\b"
    r"|怎么|如何|怎样|多久|什么|可以.*吗|能.*吗|可否|能否|是否|为什么"
)
"""A question about how things are done here: the help articles answer it, unless an order is under discussion."""
_NOT = re.compile(
    r"\b(?:don'?t|do not|didn'?t|did not|never|not(?! only)|no longer want to|without|stop)\b[^.;!?]{0,40}"
    r"\b(?:cancel|return|send(?:ing)? back|chang|undo|reinstat)"
    r"|(?:不要|别|不想|没有|没|不用|不是)[^，。；]{0,6}(?:取消|退|改|换|撤)"
)
_SAID: tuple[tuple[AskKind, tuple[str, ...]], ...] = (
    ("undo", (
        rf"^(?:please )?undo{_END}|\b(?:undo|reinstate|un-?cancel|revert|reverse|take back) {_IT}{_END}",
        rf"\b(?:undo|reinstate|un-?cancel|restore|revert|reverse|take back) (?:{_THE} (?:\w+ ){{0,2}}(?:{_ORDER}"
        r"|returns?|cancell?ations?|address|changes?)|ORDERNUMBER)\b",
        r"\bwithdraw\b.{0,20}\breturn",
        r"\bcancel(?:ling)? (?:the|my|that|this) (?:return|cancell?ation|change)\b",
        r"\bchange\b.{0,30}\baddress\b.{0,10}\bback\b",
        rf"\b(?:want|keep)\b.{{0,20}}\b{_THE} {_ORDER}\b.{{0,10}}\bafter all\b|\b(?:want|keep) {_IT} after all{_END}",
        r"^(?:请|我要|我想)?(?:撤销|撤回|改回)(?:它|这个|刚才的?|更改|操作|吧|一下|来|去)*\W*$",
        r"(?:撤销|撤回|改回|恢复).{0,8}(?:订单|退货|取消|地址|ORDERNUMBER)|地址.{0,6}改回|取消退货|不退了|还是要.{0,6}订单",
    )),
    ("address", (
        r"\b(?:change|correct|update|edit|fix|new|wrong|different|another|alter|modify)\b.{0,40}"
        r"(?<!mail )\baddress\b",
        r"\baddress\b.{0,30}\b(?:is wrong|wrong|changed|change|mistake|should be|needs? to be|must be)\b",
        rf"\b(?:ship|send|deliver)\b.{{0,30}}\b(?:{_ORDER}|{_IT})\b.{{0,10}}\bto\b.{{4,}}\binstead\b",
        r"\b(?:ship|send|deliver)\b.{0,30}\bto (?:another|a different|a new|my new)\b",
        r"[改换].{0,6}地址|地址.{0,8}(?:[改换错]|变了)",
    )),
    ("return", (
        r"\b(?:return(?! of (?!my|the order|it\b|this)| to\b| home\b)|send(?:ing)? back|give back)\b",
        r"\bsend (?!(?:me|us|him|her|you|back)\b)[^.;!?]{1,60}\bback\b(?! to (?:the (?:future|past)|\d)| in time)",
        r"\b(?:want|like|need|get)\b.{0,20}\b(?:a refund|my money back(?! guarantee))\b",
        rf"\brefund\b.{{0,20}}\b{_ORDER}\b",
        r"退货|退掉|退回|(?:想|要)退(?!休|役|伍|款)|退款(?=$|\W|[吧啊吗了呢])",
    )),
    ("cancel", (
        rf"\b(?:cancel|call off) (?:(?!and\b|or\b|to\b)[\w'-]+ ){{0,4}}{_ORDER}\b|\b(?:cancel|call off) {_IT}{_END}",
        rf"\bstop {_THE} (?:\w+ ){{0,2}}{_ORDER}\b|(?<!in )\b{_ORDER}\b.{{0,40}}\bcancel\b|\bcancel$",
        rf"\b(?:want|like|need|get|have)\b.{{0,20}}\b{_ORDER}\b.{{0,10}}\bcancell?ed\b",
        rf"\b(?:don'?t|do not)\b.{{0,20}}\b(?:want|send|ship|need) (?:{_THE} (?:\w+ ){{0,2}}{_ORDER}|ORDERNUMBER)\b",
        r"取消.{0,20}(?:订单|ORDERNUMBER|单|它|吧|掉)|(?:订单|ORDERNUMBER|单).{0,12}取消|不想要.{0,6}订单|^取消$",
    )),
    ("status", (
        rf"\bwhere(?:'s| is| are)\b.{{0,30}}\b{_ORDER}\b",
        rf"\b(?:status|track(?:ing)?|check|look up)\b.{{0,30}}\b{_ORDER}\b",
        rf"\b(?:find|show) (?:me )?{_THE} (?:\w+ )?{_ORDER}\b",
        rf"\b{_ORDER}\b.{{0,30}}\b(?:status|arrive|shipped|sent|dispatched|delivered|packed|cancell?ed|late|come"
        r"|coming|here)\b",
        r"\bwhat (?:did i|have i) (?:order|bought|buy)",
        r"(?:订单|包裹|快递|ORDERNUMBER).{0,10}"
        r"(?:状态|到哪|在哪|哪里|哪儿|发货|发出|到了|什么时候|何时|情况|进度|物流)",
        r"(?:查|看)[一下个看询]{0,3}.{0,6}(?:订单|包裹|快递|物流)",
    )),
)  # fmt: skip
_PATTERNS = tuple((kind, re.compile("|".join(parts))) for kind, parts in _SAID)
_MAY_I = re.compile(
    r"^(?!.*\b(?:an?|any|films|discs|items|orders)\b).*\b(?:can|may|could) (?:i|we)\b|(?:能|可以).{0,8}吗"
)
"""About one's own order, where one is spoken of: "can I return Candyman?", and not "can I return a film?"."""
_PLAIN_ASK = re.compile(
    r"\b(?:i|we)(?:'d| would| do)? (?:want|wish|need|like)(?: you)? to "
    r"(?:cancel|return(?! (?:of|to|home)\b)|send(?! (?:me|us|him|her|you)\b)|change|withdraw|undo|track)\b"
    r"|(?:^|[.;!,] )(?:please |can you |could you |would you |kindly )*"
    r"(?:cancel|return(?! (?:of|to|home)\b)|send back|undo|withdraw"
    rf"|(?:ship|send|deliver) (?:{_IT}|{_THE} {_ORDER}|ORDERNUMBER) to)\b"
    r"|^(?:我)?(?:想|要|请)?(?:取消|退货|退掉|改地址|撤销)"
)
"""An ask whatever else is named: "I want to return Shutter Island" is no question about that film."""
_POINTS = re.compile(rf"\b{_IT}\b|它|这个|那个")
_OF_ORDER = re.compile(
    rf"\b(?:{_THE} (?:\w+ ){{0,2}}|(?:cancel|track|return) )(?:{_ORDER}|returns?|cancell?ations?|address)\b|ORDERNUMBER"
    r"|订单|包裹|快递|退货|地址"
)
_EMAIL_ADDRESS = re.compile(r"\be-?mail address\b")
_OPENED = re.compile(
    r"\b(?:opened|unsealed|already (?:watched|open)|(?:seal|wrap\w*|foil) (?:is |was )?(?:broken|off|gone|removed))\b"
    r"|\bi(?:'ve| have)? (?:opened|watched) (?:it|them|this)\b|拆(?:了|开|封)|已开封|看过了"
)
_FAULTY = re.compile(
    r"\b(?:faulty|damaged|broken|scratch\w*|crack\w*|defect\w*|wrong (?:item|film|disc|one)"
    r"|(?:doesn'?t|does not|won'?t) (?:play|work))\b|坏了|损坏|划痕|有问题|发错|放不|播放不"
)


@dataclass(frozen=True, slots=True)
class Heard:
    """What a message says of an order. `general`: it asks how things are done, not that they be done.

    `plain`: it asks in so many words; `negated`: it says not to. `points`: it names an order, or points at one ("it"),
    or asks what they may do themselves. `of_order`: it names an order, a return, a cancellation or an address.
    `opened` and `faulty` are said of discs. `words` are what is left for finding films in.
    """

    kind: AskKind | None
    general: bool = False
    plain: bool = False
    negated: bool = False
    points: bool = False
    of_order: bool = False
    order_id: str = ""
    email: str = field(default="", repr=False)
    address: str = field(default="", repr=False)
    opened: bool = False
    faulty: bool = False
    words: str = field(default="", repr=False)

    @property
    def names_order(self) -> bool:
        """Whether it has a number or an e-mail address."""
        return bool(self.order_id or self.email)


def hear(text: str, number: re.Pattern[str]) -> Heard:
    """Read a message; `number` is the form of an order number, read without its case."""
    text = text[:MAX_READ_CHARS]
    found = number.search(text)
    email = EMAIL.search(text)
    own = _EMAIL_CLAUSE.sub(" ", text)
    words = fold(number.sub("ordernumber", own)).replace("ordernumber", "ORDERNUMBER")
    kind = _kind(_EMAIL_ADDRESS.sub(" mail ", words))
    return Heard(
        kind,
        general=_GENERAL.search(words) is not None,
        plain=_PLAIN_ASK.search(words) is not None,
        negated=_NOT.search(words) is not None,
        points="ORDERNUMBER" in words or any(one.search(words) for one in (_POINTS, _MAY_I)),
        of_order=_OF_ORDER.search(_EMAIL_ADDRESS.sub(" mail ", words)) is not None,
        order_id=found[0].upper() if found else "",
        email=email[0] if email else "",
        address=address_in(number.sub("", own)) if kind == "address" else "",
        opened=_OPENED.search(words) is not None,
        faulty=_FAULTY.search(words) is not None,
        words=words.replace("ORDERNUMBER", " "),
    )


def plain_answer(text: str) -> PlainAnswer | None:
    """Whether the whole message is a plain yes or a plain no, politeness apart; None for everything else."""
    said = _PUNCTUATION.sub(" ", fold(text[:80])).strip() if len(text) <= 80 else ""
    if said in _YES:
        return "yes"
    return "no" if said in _NO else None


def _kind(words: str) -> AskKind | None:
    """The first that fits: taking a change back sounds like making one."""
    negated = _NOT.search(words) is not None
    for kind, pattern in _PATTERNS:
        if pattern.search(words) and (kind == "status" or not negated or _not_sent(kind, words)):
            return kind
    return None


def _not_sent(kind: AskKind, words: str) -> bool:
    """Such as: "Don't send my order" asks for a cancellation; "don't cancel it" for nothing."""
    return kind == "cancel" and re.search(r"\b(?:don'?t|do not)\b.{0,20}\b(?:send|ship)\b(?! back)", words) is not None
