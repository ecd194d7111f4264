"""Whether a message asks for a person to talk to, in the languages that shops are written to most.

Words only, one table a language; English beside the patterns of `intents.HANDOFF`, which are older. What is asked for
in other words is left to the shop's own intents (the action `handoff`). Knows nothing of who is there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Final

_NEAR: Final = r"[^.?!,;。？！，、؟।\n]{0,34}?"
"""Between the words of one wish: not past the end of a clause."""
_CLOSE: Final = r"[^.?!,;。？！，、؟।\n]{0,9}?"
_END: Final = r"[.?!,;。？！，、؟।\n]"

_WHERE: Final = (
    r"(?=\s*(?:$|[.?!,;\n])|\W+(?:please|pls|plz|now|here|there|in (?:here|there|charge|support|your|customer)"
    r"|from (?:your|the|customer|support)|at (?:your|the shop)|of (?:your|yours)|on (?:the|your) (?:line|phone|team)"
    r"|instead|rather|asap|immediately|directly|right now|today|available|around|for help|because|not|who (?:can|could)"
    r"|that (?:can|could)|i (?:can|could)|thanks|thank you"
)
"""What follows a person of ours in English; a noun makes it a kind of film: "a human drama". Left open for more."""

_FEW: Final = r"[^.?!,;。？！，、؟।\n]{0,6}?"
_CHINESE: Final = "人工(?![智岛湖呼授降])|真人(?![版秀真改演电動动漫快c故])"
"""Not "artificial intelligence", and no film of real people."""
_JAPANESE: Final = r"(?=[をにとへ]|[はが]い|お願い|希望|ください|出して|接続|に?対応|チャット|\s|[、。！？]|$)"


@dataclass(frozen=True, slots=True)
class _Words:
    """Alternatives of patterns: `talk` with any of `people`, either first; `want` with `surely`; `alone` as a message.

    `not_this` before or after it in the clause: that is what they do not want. `parted`: words have spaces between.
    `near` and `close` may stand between the two; `after_people` and `after_surely` must follow them, so that "a human
    drama" is none; `people_first` is how people come before the talk.
    """

    talk: str
    people: str
    want: str
    surely: str
    alone: str = ""
    not_this: str = ""
    parted: bool = True
    near: str = _NEAR
    close: str = _CLOSE
    after_people: str = ""
    after_surely: str = ""
    people_first: str | None = None


_LANGUAGES: Final[dict[str, _Words]] = {
    "en": _Words(
        talk=r"(?<!s to )(?:talk|speak|chat)(?:ing)? (?:to|with)|(?:transfer|connect|escalate|hand|forward|put|pass)"
        r" (?:me|this|us|it)(?: (?:over|on|through))? (?:to|with|on)",
        people=r"(?:an?|the|your|some|any|one of your)? ?(?:actual |real |live |other |human )?(?:humans?(?: beings?)?"
        r"|persons?|people|agents?|representatives?|reps?|operators?|staff|supervisors?|managers?|advisors?|advisers?"
        r"|colleagues?|somebody|someone|customer (?:service|support|care)|support (?:team|staff)|boss"
        r"|member of (?:your )?staff)",
        want=r"i (?:want|need)|i would like|i'd like|give me|get me|get|let me have|can i (?:get|have)|is there",
        surely=r"(?:an?|any|the|your)? ?(?:actual |real |live |human )?(?:human(?: being)?|real person"
        r"|representative|agent|operator|supervisor|manager|customer service rep)",
        alone=r"(?:an? )?(?:real |live |human )?(?:human|agent|operator|representative|person|supervisor|manager"
        r"|customer (?:service|support))|no (?:more )?(?:ro)?bots?",
        not_this=r"don'?t (?:want|need|have) to|do not (?:want|need|have) to|no need to|don'?t (?:want|need)|do not "
        r"(?:want|need)|rather not|without (?:having to )?|never want to",
        near=r" ?",
        close=r" ",
        after_people=_WHERE + r"|and|but|before|if|with|to|about|regarding)(?!\w))",
        after_surely=_WHERE + r"|to (?:look|help|talk|speak|answer|check|handle|review|assist|call|contact))(?!\w))",
        people_first=r"(?:an? )?(?:real |live )?(?:human|person|people|agent|somebody|someone|anybody|anyone)"
        r"(?: (?:real|else|here|there|that|who|whom))* (?:(?:i|we) (?:can|could|may|might)|to) (?:please )?"
        r"(?:talk|speak|chat)(?: (?:to|with))?\s*(?=$|[.?!,;])",
    ),
    "es": _Words(
        talk=r"hablar|hable|charlar|chatear|comunicar\w*|comun[ií]que\w*|contactar|contacto|p[aá]s[ae]\w*|pasar\w*"
        r"|ponme|p[oó]ngame|conect\w+|con[eé]ct\w+|transf[ei]\w+|deriv\w+|atienda|atender",
        people=r"(?:una?|alg[uú]n|el|la|los|su|con) ?(?:persona|humano|ser humano|agente|asesor\w*|operador\w*"
        r"|representante|empleado|supervisor\w*|encargado|responsable|gerente|compañero)|alguien|atenci[oó]n al cliente"
        r"|servicio al cliente|personas? (?:real|humana)",
        want=r"quiero|necesito|quisiera|dame|d[ée]me|me gustar[ií]a|hay",
        surely=r"(?:una?|alg[uú]n)? ?(?:persona (?:real|de verdad|humana)|humano|ser humano|agente|asesor\w*"
        r"|operador\w*|representante)",
        alone=r"(?:una? )?(?:persona(?: real| humana)?|humano|agente(?: humano)?|asesor|operador|representante)",
        not_this=r"no (?:quiero|necesito|hace falta|quisiera)|sin (?:tener que)?",
    ),
    "fr": _Words(
        talk=r"parler|parle|discuter|échanger|joindre|contacter|passe[rz]?[- ]moi|mettez[- ]moi|transf[ée]re\w*"
        r"|mettre en (?:contact|relation)|avoir",
        people=r"(?:une? |l'|un vrai |une vraie |votre |des |le |la )?(?:personne|humains?|être humain|agent"
        r"|conseill\w+|opérat\w+|représentant\w*|employé\w*|responsable|collègue|technicien)|quelqu'un"
        r"|service client\w*",
        want=r"je veux|je voudrais|j'aimerais|je souhaite|il me faut|j'ai besoin d'?|donnez[- ]moi|y a[- ]t[- ]il",
        surely=r"(?:une? )?(?:vraie? )?(?:humain|être humain|vraie personne|conseill\w+|opérat\w+|agent humain)",
        alone=r"(?:une? )?(?:vraie? )?(?:humain|personne|agent|conseill\w+|opérat\w+)",
        not_this=r"(?:ne |n')(?:veux|souhaite|voudrais|ai) pas|pas besoin|sans (?:avoir à)?",
    ),
    "de": _Words(
        talk=r"sprechen|reden|telefonieren|chatten|verbinden?(?: sie)?|weiterleiten|weitergeben|durchstellen"
        r"|kontaktieren|erreichen|schreiben|übergeben",
        people=r"(?:eine[mnr]?|dem|der|den|mit|an|ihre[mnr]?|echte[mnr]?|richtige[mnr]?|menschliche[mnr]?) ?"
        r"(?:echte[mnr]? |richtige[mnr]? |menschliche[mnr]? )?(?:mensche?n?|person|mitarbeiter\w*|berater\w*"
        r"|kundenberater\w*|agent\w*|kolleg\w+|sachbearbeiter\w*|vorgesetzte\w*|kundenservice|kundendienst|support"
        r"|chef)|jemande?[mn]?",
        want=r"ich (?:will|möchte|brauche|hätte gern\w*)|gibt es|bitte|geben sie mir",
        surely=r"(?:eine[nm]?)? ?(?:(?:echte|richtige|menschliche)\w* (?:mensch\w*|person|mitarbeiter\w*"
        r"|ansprechpartner\w*)|menschen|mitarbeiter\w*|kundenberater\w*|ansprechpartner\w*)",
        alone=r"(?:eine[nm]? )?(?:echte[nr]? |richtige[nr]? )?(?:mensch(?:en)?|mitarbeiter|berater|person"
        r"|kundenservice|kundendienst)",
        not_this=r"(?:will|möchte|muss|brauche) (?:ich )?(?:nicht|keine\w*)|ohne",
    ),
    "pt": _Words(
        talk=r"falar|fale|conversar|passa\w*|transfer\w+|encaminh\w+|contat[ao]\w*|contact[ao]\w*|conect\w+|atendid[oa]"
        r"|ligar|liga-me",
        people=r"(?:uma?|algum|o|a|com|por|para) ?(?:uma? )?(?:pessoa|humano|ser humano|atendente|agente"
        r"|assistente humano|operador\w*|representante|funcion[aá]ri[oa]|gerente|supervisor\w*|consultor\w*)|algu[eé]m"
        r"|apoio ao cliente"
        r"|atendimento ao cliente|suporte humano",
        want=r"quero|preciso(?: de)?|queria|gostaria de|me d[êe]|tem",
        surely=r"(?:uma?)? ?(?:pessoa (?:real|de verdade|humana)|humano|ser humano|atendente|operador\w*"
        r"|atendimento humano)",
        alone=r"(?:uma? )?(?:pessoa(?: real)?|humano|atendente(?: humano)?|operador|representante|atendimento humano)",
        not_this=r"n[ãa]o (?:quero|preciso|queria|gostaria)|sem (?:ter de|ter que)?",
    ),
    "it": _Words(
        talk=r"parlare|parlo|chattare|contattare|passami|mi pass\w+|passatemi|mettimi|trasfer\w+|collegar\w+|sentire",
        people=r"(?:una?|il|la|un vero|una vera|con|vostro|un vostro) ?(?:altra )?(?:persona|umano|essere umano"
        r"|operat\w+|agente|addett\w+|assistente umano|consulente|responsabile|impiegat\w+|collega"
        r"|rappresentante)|qualcuno"
        r"|servizio clienti|assistenza clienti",
        want=r"voglio|vorrei|ho bisogno di|mi serve|datemi|c'è",
        surely=r"(?:una?)? ?(?:persona (?:vera|reale|in carne)|vera persona|umano|essere umano|operat\w+)",
        alone=r"(?:una? )?(?:persona(?: vera| reale)?|umano|operatore(?: umano)?|operatrice|agente)",
        not_this=r"non (?:voglio|vorrei|ho bisogno|serve|mi serve)|senza (?:dover)?",
    ),
    "nl": _Words(
        talk=r"spreken|praten|chatten|bellen|doorverbind\w+|verbind\w*|contact (?:met|opnemen)|doorschakelen"
        r"|overdragen",
        people=r"(?:een|de|met|jullie|iemand van) ?(?:een )?(?:echte? |echt )?(?:mens|persoon|medewerker\w*|collega"
        r"|agent|klantenservice|adviseur|manager|leidinggevende|mens van vlees en bloed)|iemand",
        want=r"ik (?:wil|wil graag|heb|zoek)|kan ik|mag ik|is er|geef mij",
        surely=r"(?:een)? ?(?:echte? (?:mens|persoon|medewerker)|menselijke? medewerker|medewerker)",
        alone=r"(?:een )?(?:echte? |menselijke )?(?:mens|medewerker|persoon)",
        not_this=r"wil (?:ik )?(?:niet|geen)|hoef (?:ik )?(?:niet|geen)|zonder",
    ),
    "ru": _Words(
        talk=r"поговорить|говорить|связат\w+|свяж\w+|соедин\w+|переключ\w+|перевед\w+|позов\w+|пообщаться|подключ\w+"
        r"|обратиться|вызов\w+|передай\w*",
        people=r"оператор\w*|человек\w*|сотрудник\w*|менеджер\w*|жив(?:ым|ого|ому|ой)|специалист\w*|представител\w*"
        r"|служб\w+ поддержки|консультант\w*|кем-(?:то|нибудь)|начальник\w*|людьми",
        want=r"хочу|нужен|нужна|нужно|мне бы|дайте|можно|есть ли|позовите|требую",
        surely=r"(?:жив\w+ )?(?:человек\w*|оператор\w*|сотрудник\w*)|живого",
        alone=r"(?:жив\w+ )?(?:оператор|человек|менеджер|сотрудник)а?",
        not_this=r"не (?:хочу|нужно|нужен|надо)|без",
    ),
    "tr": _Words(
        talk=r"konuş\w+|görüş\w+|bağla\w*|aktar\w*|yönlendir\w*|iletişime geç\w*|ulaş\w+|yazış\w+",
        people=r"(?:bir |gerçek |canlı |müşteri )*(?:insan\w*|kişi\w*|biri\w*|yetkili\w*|temsilci\w*|operatör\w*"
        r"|görevli\w*|çalışan\w*|destek ekib\w+|müşteri hizmetleri\w*)",
        want=r"istiyorum|lazım|gerek|ihtiyacım var|var mı|rica ediyorum",
        surely=r"(?:gerçek |canlı )?(?:insan\w*|temsilci\w*|yetkili\w*|operatör\w*)",
        alone=r"(?:gerçek |canlı )?(?:bir )?(?:insan|temsilci|operatör|yetkili|canlı destek|müşteri temsilcisi)",
        not_this=r"istemiyorum|gerek yok",
    ),
    "ar": _Words(
        talk=r"[أاإ]?تحدث|التحدث|[أا]تكلم|التكلم|[أا]كلم|كلم|تحويل\w*|حول\w*|حوّل\w*|[أا]تواصل|التواصل|وصل\w*|الاتصال"
        r"|[أا]حكي|الكلام|[أا]حادث",
        people=r"شخص\w*|[إا]نسان|موظف\w*|ممثل\w*|وكيل|بشر\w*|مسؤول|المسؤول|خدمة العملاء|الدعم البشري|مندوب|[أا]حد|حد",
        want=r"[أا]ريد|بدي|عايز|عاوز|[أا]حتاج|ابغى|[أا]بي|هل يوجد|ممكن",
        surely=r"شخص حقيقي|[إا]نسان(?: حقيقي)?|موظف|ممثل خدمة|خدمة العملاء|بشري",
        alone=r"موظف|[إا]نسان|شخص حقيقي|خدمة العملاء|ممثل خدمة العملاء",
        not_this=r"لا [أا]ريد|مش عايز|ما [أا]بي|لا [أا]حتاج|بدون",
    ),
    "hi": _Words(
        talk=r"बात|संपर्क|कनेक्ट|ट्रांसफर|जोड़\w*|मिलाइ\w*|मिलवा\w*|baat|connect|transfer",
        people=r"इंसान|व्यक्ति|आदमी|एजेंट|प्रतिनिधि|अधिकारी|मैनेजर|कर्मचारी|ग्राहक सेवा|कस्टमर (?:केयर|सर्विस)|ऑपरेटर|किसी से"
        r"|insaan|insan|agent|customer care|kisi (?:insaan|aadmi|vyakti)|aadmi",
        want=r"चाहिए|चाहता|चाहती|दीजिए|दो|chahiye|chahta|chahti|hai kya",
        surely=r"असली (?:इंसान|व्यक्ति)|इंसान|एजेंट|प्रतिनिधि|insaan|asli",
        alone=r"इंसान|एजेंट|ग्राहक सेवा|प्रतिनिधि|कस्टमर केयर",
        not_this=r"नहीं (?:करनी|करना|चाहिए|चाहता|चाहती)|nahi",
    ),
    "zh": _Words(
        talk=r"转|轉|接|找|联系|聯繫|聯絡|叫|(?:跟|和|与)(?=.{1,8}(?:说|說|聊|谈(?!恋)|談|讲|講|沟通|对话|通话))|说话"
        r"|講話|沟通|換|换",
        people=rf"{_CHINESE}|客服(?:人员|人員|代表|小姐)?|活人|专员|專員|工作人员|工作人員|经理|經理|主管|负责人|店员",
        want=r"要|我要|想要|需要|有没有|有沒有|有(?=.{2,4}吗)|给我|給我|请",
        surely=rf"{_CHINESE}|活人|客服",
        alone=r"(?:人工|真人|转人工|轉人工|人工客服|人工服务|人工服務|客服)",
        not_this=r"不(?:想|要|用|需要|必)|别",
        parted=False,
        near=_FEW,
    ),
    "ja": _Words(
        talk=r"話し?(?:たい|がしたい|させて|せ[るま])|話をしたい|つないで|繋いで|つなげて|代わって|替わって"
        r"|連絡(?:したい|を取りたい)"
        r"|相談したい|お願いし|対応して|呼んで|チャットしたい|電話したい",
        people=r"人間|(?:本物|生身|実際|担当)の?人|担当者|オペレーター?|スタッフ|係の?(?:人|者|方)|店員|責任者"
        r"|カスタマーサポート"
        r"|サポートの(?:人|方)|誰か|有人|店長|上司",
        want=r"お願い|ください|下さい|欲しい|ほしい|いますか|出して|希望",
        surely=r"人間|オペレーター?|担当者|有人(?:チャット|対応)|本物の人",
        alone=r"(?:人間|オペレーター?|担当者|有人対応|有人チャット|スタッフ)",
        not_this=r"たくない|必要(?:は)?(?:ない|ありません)|なしで|不要|いらない",
        parted=False,
        after_people=r"(?:人(?=[とにを]))?" + _JAPANESE,
        after_surely=_JAPANESE,
    ),
    "ko": _Words(
        talk=r"연결|통화|상담(?:하고|받고|원하)|이야기|얘기|대화|말하고|말씀|바꿔|바꾸|문의하고|불러",
        people=r"상담(?:원|사|직원)|사람|직원|담당자|인간|매니저|관리자|책임자|고객\s?센터|누군가|점장",
        want=r"원해|원합니다|필요|주세요|부탁|있나요|싶어|싶습니다|해줘",
        surely=r"상담(?:원|사|직원)|진짜 사람|실제 사람|사람|담당자",
        alone=r"(?:상담원|상담사|사람|직원|담당자|상담원 연결|사람 연결)",
        not_this=r"싶지 않|필요 없|필요없|원하지 않|말고",
        parted=False,
    ),
}
_WORKS: Final = re.compile(
    r"\b(?:films?|movies?|books?|novels?|stor(?:y|ies)|series|shows?|anime|cartoons?|docu\w*|comed(?:y|ies)|dramas?"
    r"|thrillers?|horror|westerns?|romances?|sci-?fi|scenes?|plots?|characters?|actors?|actress\w*|starring|watch(?:ing)?"
    r"|pel[ií]culas?|libros?|livres?|romans?|buch|filme?n?|bücher|livros?|libri|libro|boek(?:en)?|kitap|filmi?"
    r"|documental\w*|documentaires?)\b|关于|關於|电影|電影|片|剧|劇|小说|小說|动画|動畫|动漫|综艺|故事|映画|小説|アニメ"
    r"|ドラマ|영화|소설|드라마|фильм|книг|сериал|فيلم|كتاب|फ़?िल्म|किताब|\b(?:see|seeing) (?:people|someone|somebody"
    r"|an?|the)\b"
)
"""In the message before it or in the same clause: it is told what a work is about, and nobody is asked for."""
_BOUGHT: Final = re.compile(r"\b(?:my|bought|ordered|orders?|refund|return|delivery|parcel|damaged|broken)\b|订单|退款")
"""With these a work is a piece of goods: "a human, please, about the film that I ordered"."""


def wants_person(low: str) -> str | None:
    """The language ("en", "tr") in which a lower-case message asks for a person; None where it does not."""
    for language, pattern in _patterns().items():
        for found in pattern.finditer(low):
            start, end = _clause(low, *found.span())
            told = of_a_work(low[: found.start()]) or of_a_work(low[start:end])
            if not told and not _is_declined(language, low, found):
                return language
    return None


def of_a_work(low: str) -> bool:
    """Whether lower-case words tell of a film, a book or the like, and not of one that was bought."""
    return _WORKS.search(low) is not None and _BOUGHT.search(low) is None


def declines_person(low: str) -> bool:
    """Whether a lower-case message says that no person is wanted: "I don't want to talk to a human"."""
    found = [
        (language, match) for language, pattern in _patterns().items() for match in pattern.finditer(low)
    ]  # fmt: skip
    return bool(found) and all(_is_declined(language, low, match) for language, match in found)


def _is_declined(language: str, low: str, found: re.Match[str]) -> bool:
    """Whether the clause around the match says no to it."""
    start, end = _clause(low, *found.span())
    return re.search(_bounded(_LANGUAGES[language], _LANGUAGES[language].not_this), low[start:end]) is not None


def _clause(low: str, start: int, end: int) -> tuple[int, int]:
    """The clause around a span: where it starts and ends."""
    starts = [mark.end() for mark in re.finditer(_END, low[:start])]
    after = re.search(_END, low[end:])
    return starts[-1] if starts else 0, end + after.start() if after else len(low)


@cache
def _patterns() -> dict[str, re.Pattern[str]]:
    return {language: _compiled(words) for language, words in _LANGUAGES.items()}


def _compiled(words: _Words) -> re.Pattern[str]:
    talk, people = _bounded(words, words.talk), _bounded(words, words.people)
    want, surely = _bounded(words, words.want), _bounded(words, words.surely)
    alone = rf"^\W*(?:{words.alone})\W*(?:please|pls|now|por favor|s'il (?:vous|te) pla[iî]t|svp|bitte|per favore"
    alone += r"|alstublieft|graag|пожалуйста|lütfen|من فضلك|कृपया|请|お願いします|부탁(?:해요|드립니다)?|주세요)?\W*$"
    first = words.people_first and _bounded(words, words.people_first)
    first = first or rf"{people}{words.after_people}{words.near}{talk}"
    last = f"{surely}{words.after_surely}"
    return re.compile(
        rf"{talk}{words.near}{people}{words.after_people}|{first}|{want}{words.close}{last}|{last}{words.close}{want}"
        rf"|{alone}"
    )


def _bounded(words: _Words, pattern: str) -> str:
    """Whole words, where a language has spaces between them."""
    return rf"(?<!\w)(?:{pattern})(?!\w)" if words.parted else rf"(?:{pattern})"
