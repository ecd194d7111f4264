"""Which language a text is in: by its letters, and where many languages share them by its commonest words.

Enough to prefer an article to its translation, and to say that one is in another language. Not covered: languages in
Latin letters beyond those of `COMMON` ("" then), and telling apart those that share another script.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

READ_LETTERS = 4_000
MIN_COMMON = 2
"""So many common words say which language it is; one alone may be a name or a loan word."""
_SCRIPTS: Mapping[str, re.Pattern[str]] = {
    name: re.compile(f"[{letters}]")
    for name, letters in {
        "ja": "\u3040-\u30ff",
        "ko": "\uac00-\ud7af\u1100-\u11ff",
        "zh": "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff",
        "ru": "\u0400-\u04ff",
        "el": "\u0370-\u03ff",
        "ar": "\u0600-\u06ff",
        "he": "\u0590-\u05ff",
        "hi": "\u0900-\u097f",
        "th": "\u0e00-\u0e7f",
    }.items()
}
"""Japanese before Chinese: it has its own letters besides."""
OWN_LETTERS = frozenset(_SCRIPTS)
"""The languages that are not written in Latin letters."""
_LATIN = re.compile("[a-z\u00df-\u024f]")
_WORD = re.compile(r"[^\W\d_]+")
COMMON: Mapping[str, frozenset[str]] = {
    "en": frozenset(
        "the and is are of to you your we our it this that for with on not can do does how what when where if or my be "
        "will from have has i an at which who".split()
    ),
    "de": frozenset(
        "der die das und ist sind nicht wir sie ihr ihre ich ein eine einen mit für auf wie was wann wo kann können "
        "zu den dem des bei von wird werden innerhalb mein meine lange nach".split()
    ),
    "fr": frozenset(
        "le la les et est sont ne pas nous vous votre vos je un une des du avec pour sur comment quand où puis pouvez "
        "combien dans qui que mon ma mes quel quelle livraison".split()
    ),
    "es": frozenset(
        "el la los las y es son no nosotros usted su sus yo un una con para por cómo cuándo dónde puede puedo cuánto "
        "del en que mi mis qué cuál se lo al".split()
    ),
    "it": frozenset(
        "il lo la gli le e è sono non noi voi vostro un una con per come quando dove posso può quanto del della nel "
        "che mio mia di si entro giorni".split()
    ),
    "nl": frozenset(
        "de het een en is zijn niet wij u uw ik met voor op hoe wat wanneer waar kan kunnen van te bij mijn binnen "
        "dagen je wordt naar".split()
    ),
    "pt": frozenset(
        "o a os as e é são não nós você seu sua eu um uma com para por como quando onde pode posso quanto do da em "
        "que meu minha dias no na".split()
    ),
}


def language_of(text: str) -> str:
    """The ISO 639-1 code; "" where letters and words do not tell."""
    low = text[:READ_LETTERS].lower()
    counts = {name: len(letters.findall(low)) for name, letters in _SCRIPTS.items()}
    script = next((name for name, count in counts.items() if count), "") if counts["ja"] else ""
    script = script or max(counts, key=lambda name: counts[name])
    # A Chinese character says about as much as a word of some letters.
    if counts[script] and counts[script] * (3 if script in ("ja", "ko", "zh") else 1) >= len(_LATIN.findall(low)):
        return script
    words = Counter(_WORD.findall(low))
    found = {name: sum(words[word] for word in common) for name, common in COMMON.items()}
    best = sorted(found, key=lambda name: -found[name])[:2]
    return best[0] if found[best[0]] >= MIN_COMMON and found[best[0]] > found[best[1]] else ""
