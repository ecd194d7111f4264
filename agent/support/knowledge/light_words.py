"""Words that say how something is asked and nothing of what it is about; and words that mean the same in a shop.

Beside the commonest words of each language (`languages.COMMON`). Folded as `retrieval.text.fold` folds.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from agent.support.knowledge.languages import COMMON
from retrieval.text import fold
from retrieval.words import function_words

_ASKING: Mapping[str, str] = {
    "en": "could did got get if may might not no only out shall should tell us when where which who why hello hi thank "
    "thanks still yet just now also happens happen kind sort thing things way possible able try want wanted wants need "
    "needs like make makes made take takes took use using put leave give given keep keeps see look know long often "
    "much many far ago soon later instead else something someone anything anyone back today tomorrow without after "
    "before until during while since because though however good come comes went ask says say said let work works "
    "bought ordered first second third fourth fifth last fast write won don didn doesn isn aren wasn can cannot "
    "ll ve re",
    "de": "einem einer er es man mir mich meinen meinem meiner kein keine keinen im am zum zur vom beim aus über unter "
    "vor bis wer wen wem welche welcher welchen welches warum könnte darf muss soll will möchte hat habe haben wurde "
    "bin gibt gebe bekomme bekommen mache machen auch noch schon nur so sehr bitte danke hallo wenn ob dass als da "
    "dann hoch viel viele etwas mal jetzt denn wieso um in an oder was zurück",
    "fr": "l d de ou a ai as avez ont être avoir j me m moi tu te t il elle on ils elles ton notre ce cet cette ces c "
    "qu quoi quels quelles pourquoi n plus si y en à au aux par sous chez peut peux dois doit faut faire fait bonjour "
    "merci s se alors donc aussi après avant ceci cela oui non combien jusqu",
    "es": "unos unas o de está están ser hay he ha han me tu tus le quién cuáles cuántos cuánta sin en a si sí pueden "
    "debo tengo tiene hacer hola gracias también muy más",
    "it": "i un o di ho ha hanno mi mie miei chi quali quanti quanta dove perché in a al da se devo c ci fare ciao "
    "grazie anche più",
    "nl": "of was ben heb heeft hebben mij jij jullie ons dat die dit wie welke waarom aan uit om geen mag moet wil "
    "graag er ook nog al hallo bedankt veel lang",
    "pt": "ou das dos está tem ter há me quem qual quais quantos onde sem em se posso devo fazer olá obrigado também "
    "mais",
}
_CHINESE = (
    "的了吗呢吧啊么什怎样哪谁几多少久可以能会要想请问我你您他她它们这那"
    "是有在到和与也都还就给把被让对从个为何时候后前里上下第一二三四五"
)
"""Characters that ask, count, point or join."""
_SAME = (
    "film movie dvd disc",
    "delivery delivered deliver shipping shipment ship dispatch courier carrier",
    "rent rental hire rented hired",
    "warranty guarantee",
    "invoice bill receipt billing",
    "refund money reimburse repay",
    "parcel package packet",
    "bitcoin crypto cryptocurrency",
    "cancel cancellation undo",
    "buy purchase order",
    "cheap discount reduction",
    "basket cart minimum",
    "bot chatbot assistant ai",
    "exchange swap",
    "email mail e-mail",
    "deaf hearing",
    "cost price fee charge expensive",
    "broken broke damaged faulty defective",
    "enrol enroll register signup sign join",
    "present gift",
    "exam test",
    "subscription membership",
    "phone telephone call",
    "expire expiry valid",
)
"""In a line: words of a question for which an article may have another one."""


@cache
def light_words(language: str) -> frozenset[str]:
    """Folded; of all languages where the one is not known."""
    if language not in _ASKING:
        return frozenset().union(*(light_words(one) for one in _ASKING))
    own = frozenset(_ASKING[language].split()) | COMMON[language]
    return frozenset(map(fold, own | (function_words() if language == "en" else frozenset())))


@cache
def light_characters() -> frozenset[str]:
    """Chinese ones."""
    return frozenset(_CHINESE)


@cache
def same_words() -> Mapping[str, frozenset[str]]:
    """The words that an article may have in place of a word."""
    found: dict[str, frozenset[str]] = {}
    for line in _SAME:
        words = frozenset(line.split())
        for word in words:
            found[word] = found.get(word, frozenset()) | words
    return found
