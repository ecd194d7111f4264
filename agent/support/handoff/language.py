"""Which language somebody writes, roughly: by letters, then by small words.

For the packet, so that the right person of a team takes a conversation; the bot itself reads and writes fewer
(`agent.understand.types.Language`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Final

_SCRIPTS: Final = (
    ("ja", re.compile("[\u3040-\u30ff]")),
    ("ko", re.compile("[\uac00-\ud7af]")),
    ("ar", re.compile("[\u0600-\u06ff]")),
    ("hi", re.compile("[\u0900-\u097f]")),
    ("ru", re.compile("[\u0400-\u04ff]")),
    ("zh", re.compile("[\u4e00-\u9fff]")),
)
_SMALL_WORDS: Final = {
    "en": "the a an and is are i you to of in it not do can my with please want this that for have",
    "es": "el la los las un una y es de que en no con por para mi quiero hola qué está como se",
    "fr": "le la les un une et est je vous de des que ne pas pour avec mon ma dans bonjour voudrais c'est",
    "de": "der die das ein eine und ist ich sie nicht mit zu für mein meine bitte wo kann haben möchte auf",
    "pt": "o a os as um uma e é eu não com para meu minha que por quero olá está onde você",
    "it": "il lo la gli un una e è io non con per mio mia che vorrei ciao sono dove di",
    "nl": "de het een en is ik niet met mijn voor kan je wil graag waar dat op hallo te van",
    "tr": "bir ve bu ben için değil ile ne mi istiyorum var yok nerede çok merhaba lütfen benim",
}
_WORD: Final = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?")
_LEAST: Final = 2
"""Small words that it takes: a title may be in any language."""


def language_of(texts: Sequence[str], otherwise: str) -> str:
    """The language of most of `texts`, as a code of two letters; `otherwise` where they do not tell."""
    joined = "\n".join(texts)
    for language, script in _SCRIPTS:
        if len(script.findall(joined)) * 3 > len(_WORD.findall(joined)):
            return language
    words = Counter(_WORD.findall(joined.lower()))
    counts = {name: sum(words[word] for word in small.split()) for name, small in _SMALL_WORDS.items()}
    best = max(counts, key=lambda name: counts[name])
    return best if counts[best] >= _LEAST else otherwise
