"""Words and phrases that claim nothing of an item: what joins claims, opinions that anybody may hold, what is wished.

Each stands for itself alone: a sentence of nothing else says nothing and is no claim. Reads English.
"""

from __future__ import annotations

import re

GLUE = frozenset(
    "a an the this that these those it they them its their is are was and or also which as are have has with so here "
    "there being both plus besides includes involves one ones title titles pick item items choice just what why "
    "because listed since while".split()
)
"""Words that claim nothing wherever they stand."""
WISHED = frozenset(
    "you your wish wishes wished asked ask want wanted were looking for fits fit suits suit matches match meets meet "
    "hoped named how speaks had would".split()
)
"""Words that say that it is what the customer wants: only beside claims that meet a wish."""
WARNING = frozenset(
    "drawback downside catch note mind keep in unfortunately sadly admittedly alas be aware still to honest "
    "mention".split()
)
"""Words that announce a drawback: only beside one."""
TURNS = frozenset("but though although however yet".split())
"""Words that begin the clause of a drawback, or end it."""
FILM_WORDS = ("film", "movie")
NOUNS = ("course", "book", "album", "game", "novel", "class", "workshop", "lamp", "product")
"""What an item may be called where its own text does."""

_GOOD = "good|nice|fine|solid|great|sound|natural|easy"
_OCCASION = "a (?:rainy|quiet|long|slow) (?:evening|afternoon|day|night|weekend)|an evening at home|a night in|tonight"
_NEUTRAL = (
    # what one gets, what there is
    "you (?:will |can |would )?(?:also )?(?:get|have|find)",
    "(?:it|they|this|this one|these|which) (?:also )?comes? with",
    "comes? with",
    "there (?:is|are) also",
    # a condition of taste claims nothing of the customer
    "if you are(?= an? )",
    "which makes it|making it",
    "if you (?:are (?:looking for|after|in the mood for|keen on|into)|like|love|enjoy|want|prefer|need|fancy)",
    "for (?:anyone|anybody|those|people) (?:who (?:likes?|loves?|enjoys?|wants?|prefers?)|looking for|after)",
    "for (?:fans|lovers) of",
    # opinions
    f"(?:(?:could|may|might|should|would) (?:well )?(?:be|make) )?(?:a|an|your) (?:{_GOOD}) "
    "(?:choice|pick|match|fit|option|bet|one|place to start)(?: for you| here)?",
    "(?:well )?worth (?:a look|a try|considering|your time)",
    "you (?:might|may|could) (?:well )?(?:like|enjoy|want to try) (?:it|this|this one|them|these)",
    f"(?:could|may|might|should|would) (?:well )?(?:suit|fit|work for|do for|be right for) (?:you|{_OCCASION})",
    "(?:could|may|might) (?:well )?be (?:just )?(?:the one|one) for you",
    "in this (?:one|case)",
    "to (?:begin|start) with",
    "as well",
)
NEUTRAL = re.compile(rf"(?:{'|'.join(_NEUTRAL)})(?= |$)")
"""Phrases that claim nothing. An occasion is no audience: "for the whole family" would claim what no field says."""
BOUNDARY = re.compile(r"(?:and|so) (?=(?:it|this|this one|they|these|that|there|you|at) )")
"""Where one statement ends and the next begins."""
NEW = re.compile("(?:it|they) (?:is|are|has|have|costs?|runs) ")
"""How a statement may begin without a word that joins it."""
WARNING_PHRASE = re.compile(r"(?:the |one )?(?:only )?thing(?: to (?:note|know|keep in mind|mention))?(?= is )")
"""More words that announce a drawback."""
LEAD = re.compile(
    r"\b(?:follows|is about|are about|about|tells (?:of|the (?:story|tale) of)|is the (?:story|tale) of|"
    r"centres on|centers on|revolves around|in which|where|:)\s+|(?<=\w),\s+|^[Ii]n this \w+,?\s+"
)
"""What leads from claims to the item's own text: "This crime drama from 1995 follows ..."."""
IS_ONE = re.compile(r"^(?:it is|it's|this is|they are|they're|these are|this one is)\s+", re.IGNORECASE)
"""What leads to a text that begins with what the item is: "It's a light head lamp ..."."""


def wish_ways(value: str, noun: str) -> str:
    """How a wished `value` (a pattern) may be called the customer's wish; `noun` is a pattern of what the item is."""
    one = rf"(?:a |an |the |some |something |someone )?(?:{noun} )?(?:(?:by|with|from|in|about|of|for) )?(?:{value})"
    one = rf"{one}(?: (?:{noun}))?"
    wanted = "asked for|wanted|want|wished for|(?:were|are) (?:looking for|after)|had in mind|hoped for"
    return (
        rf"{one} (?:that |which )?you (?:{wanted})|you (?:{wanted}) {one}|"
        rf"(?:for )?your (?:wish|request|search) for {one}|"
        rf"(?:for )?your (?:{value}) (?:wish|request)"
    )
