"""How a message sounds: calm, annoyed or angry with the shop. Words, capitals and exclamation marks; no model.

Anger is about us and not about a film: "a terrible monster!!" is a wish. So what counts are phrases that are said to
somebody, in the languages of `agent.understand.persons`, in clauses that tell of no film; capitals and marks only make
such a phrase louder.
"""

from __future__ import annotations

import re
from typing import Final, Literal, TypeAlias

from agent.understand.persons import of_a_work

Mood: TypeAlias = Literal["calm", "annoyed", "angry"]

_SHOUTED_LETTERS: Final = 10
"""Fewer capitals than this are a title or an abbreviation."""
_SHOUTED_SHARE: Final = 0.7

_FURIOUS: Final = re.compile(
    r"\bf+u+c+k+ (?:you|u|off|this|that|your)\b|\bwhat the (?:fuck|hell) (?:is|are|do|did|was) (?:wrong|you|this|your)"
    r"|\b(?:piece|load|pile) of (?:shit|crap|garbage|junk)\b|\bbull ?shit\b|\bscrew (?:you|this shop)\b"
    r"|\b(?:you|u) (?:can |all |should |guys )*go to hell\b|^\W*go to hell\W*$"
    r"|\bi(?:'m| am) (?:so |really |absolutely |beyond )?(?:furious|livid|pissed|fuming|outraged)\b(?! ?\d)"
    r"|\bwtf\b.*\b(?:you"
    r"|your)"
    r"|\byou(?:'re| are| people are| guys are)? (?:all )?(?:a bunch of |such )?(?:idiots?|morons?|liars?|thieves"
    r"|scammers?|crooks?|incompetent|assholes?|stupid bot|an idiot)\b|\b(?:stupid|dumb|fucking|damn"
    r"|useless) (?:ro)?bot\b"
    r"|\bworst (?:service|shop|store|company|support|bot|experience)\b|\b(?:sick|tired) (?:and tired )?of (?:your"
    r"|you)\b|\bi(?:'ll| will) (?:sue|report) you\b|\bfucking (?:refund|money|order|answer|useless|joke)\b"
    r"|\bthis is (?:a )?(?:total |complete |an absolute |absolute )?(?:scam|fraud|disgrace|outrage)"
    r"|hijos? de puta|sois unos|son unos (?:ladrones|inútiles|sinvergüenzas)|vaya mierda|estoy (?:muy )?(?:furios"
    r"|hart)\w+"
    r"|menuda estafa|qu[eé] mierda de|vete a la mierda|es una (?:estafa|vergüenza)|el peor servicio"
    r"|bande de (?:cons|voleurs|nuls|incapables)|allez vous faire|service de merde|vous (?:êtes|etes) (?:des|nuls)"
    r"|je suis (?:furieu\w+|hors de moi)|c'est (?:une arnaque|une honte|scandaleux|de l'arnaque)|j'en ai (?:marre"
    r"|assez)"
    r"|ihr (?:seid|verdammten?) .{0,20}(?:idioten|betrüger|unfähig|verarsch)|verarschen|saftladen|drecks\w+"
    r"|scheiß?(?:laden"
    r"|bot|service|verein)|ich bin (?:stink)?sauer|ich habe die (?:nase|schnauze) voll|eine (?:frechheit"
    r"|unverschämtheit)"
    r"|vocês são uns|bando de (?:ladrões|incompetentes)|que (?:merda|porra) de|estou (?:furios|farto|farta|revoltad)\w*"
    r"|é um (?:golpe|absurdo)|pior atendimento|isto é uma vergonha|isso é uma vergonha"
    r"|siete (?:dei|degli|una massa di)? ?(?:ladri|incompetenti|idioti|truffatori)|servizio di merda|sono (?:furios\w"
    r"|incazzat\w|stufo|stufa)|è una (?:vergogna|truffa)|vaffanculo|andate a"
    r"|jullie zijn (?:oplichters|idioten|waardeloos)|wat een (?:klote|kut|waardeloze)\w*|ik ben (?:het zat|woedend"
    r"|pislink)|schandalig|oplichterij"
    r"|вы (?:там )?(?:идиоты|мошенники|издеваетесь|обманщики|охренели)|достали|это (?:безобразие|возмутительно|развод"
    r"|обман)|я (?:в ярости|взбешен\w*)|тупой бот|пош[её]л (?:ты|к ч[её]рту)|хватит издеваться"
    r"|dolandırıcı\w*|rezalet|bıktım|yeter artık|aptal bot|dalga mı geçiyorsunuz|çok sinirliyim|lanet olsun"
    r"|(?:你们|您们|客服|你).{0,4}(?:骗子|坑人|骗人)|^\W*(?:骗子|坑人|滚(?:开|蛋)?|他妈的?)\W*$|(?:你们?|客服|都|给我)滚(?:开|蛋|吧|$)"
    r"|垃圾(?:客服|店|服务|公司|机器人|网站)|气死我|傻逼|他妈的?(?:客服|机器人|店)|(?:你们|客服).{0,3}他妈|太(?:过分|恶心)了|投诉你们|什么破|受够了"
    r"|ふざけ(?:るな|んな|てる)|詐欺(?:だ|です|じゃ|でしょ)|^\W*詐欺\W*$|いい加減にし|最悪の(?:対応|サービス|店)|腹が立|むかつく|馬鹿にし|バカにし"
    r"|(?:너희|당신들?|니들|이거|완전).{0,4}사기(?:꾼|야|네)"
    r"|^\W*(?:사기(?:꾼|야|네)?|미친)\W*$|열받|짜증나 죽|개같|장난(?:해|하냐|치)|어이가 없"
    r"|최악의 (?:서비스|상담)|화가 나"
    r"|धोखेबाज|बकवास (?:सेवा|सर्विस|बॉट)|घटिया (?:सेवा|सर्विस)|बेवकूफ|तंग आ|लूट|bakwas|ghatiya|bewakoof"
    r"|نصاب\w*|محتال\w*|أسوأ خدمة|اسوأ خدمة|طفح الكيل|حرامي\w*|أنا غاضب|خدمة زبالة|قرف\w*|أغبياء",
    re.IGNORECASE,
)
"""Said in anger, whatever else is said."""
_COMPLAINT: Final = re.compile(
    r"\b(?:this|that|it) is (?:so |really |just |absolutely |completely |totally |utterly )?(?:ridiculous|unacceptable"
    r"|useless|pathetic|a joke|insane|annoying|frustrating|terrible service|infuriating|not ok(?:ay)?|hopeless)"
    r"|\byou(?:'re| are)? (?:so |really |completely |totally |not )?(?:useless|hopeless|no help|helping|listening"
    r"|wasting my time|annoying|terrible|awful)\b|\b(?:terrible|awful|horrible|bad|poor|lousy) (?:service|support"
    r"|customer"
    r" (?:service|support)|experience|chat ?bot)\b|\bwaste of (?:time|my time|money)\b|\bhow many times\b"
    r"|\b(?:for the|this is the) (?:second|third|fourth|fifth|tenth|hundredth|last) time\b|\bstill (?:not|no|nothing"
    r"|haven'?t|hasn'?t|waiting)\b|\bare you (?:kidding|deaf|serious|stupid|even (?:reading|listening))\b"
    r"|\bi(?:'m| am) (?:so |very |really |getting )?(?:angry|annoyed|upset|disappointed|frustrated|fed up)\b|\benough\b"
    r"|\byou (?:don'?t|do not|never) (?:understand|listen|help|get it|answer)|\bi already (?:told|said|asked)\b"
    r"|\bi want my money back\b|\banswer my question\b|\bnobody (?:answers|helps|cares)\b|\bdoes ?n[o']t work\b"
    r"|no me (?:entiendes|sirve|ayuda)|es (?:inaceptable|ridículo|indignante)|no sirves|p[ée]simo|qu[eé] vergüenza"
    r"|c'est (?:inadmissible|inacceptable|ridicule|nul)|vous ne (?:comprenez|servez)|inutile|ras[- ]le[- ]bol"
    r"|unverschämt|inakzeptabel|nutzlos|lächerlich|unfassbar|das (?:darf|kann) (?:doch )?nicht wahr sein|zum kotzen"
    r"|inaceit[áa]vel|rid[ií]culo|p[ée]ssimo|não (?:serve|adianta)|inaccettabile|ridicolo|pessimo|non serv[ie]"
    r"|onacceptabel|belachelijk|waardeloos|nutteloos|ужасн\w+ (?:сервис|обслуживание)|бесполезн\w+|сколько можно"
    r"|безобразие"
    r"|kabul edilemez|berbat|işe yaramaz|saçmalık|太差|没用|不可接受|差评|什么态度|搞什么|怎么回事|烦死"
    r"|役に立た|ひどい|いつまで待たせ|ありえない|도움이 안|말이 안 통|너무하|답답|왜 이래|बेकार|ضيعتم وقتي|غير مقبول"
    r"|سيئة جدا",
    re.IGNORECASE,
)
"""A complaint; loud, or with another one, it is anger."""
_SWEARING: Final = re.compile(
    r"\b(?:f+u+c+k+\w*|shit\w*|damn(?:ed|it)?|crap|wtf|goddamn|bloody hell|mierda|joder|coño|merde|putain|scheiße?"
    r"|verdammt"
    r"|merda|porra|caralho|cazzo|kut|klote|verdomme|бля\w*|ч[её]рт|хрень|lanet)\b|操|妈的|くそ|クソ|시발|씨발|साला",
    re.IGNORECASE,
)
_MARKS: Final = re.compile(r"[!！]{2,}|[?？][!！]|[!！][?？]|[?？]{3,}")
_CLAUSE: Final = re.compile(r"(?<=[.?!,;。？！，、؟।\n])(?![.?!,;。？！，、؟।\n])")


def mood_of(text: str) -> Mood:
    """How `text` sounds."""
    text = "".join(part for part in _CLAUSE.split(text) if not of_a_work(part.lower()))
    if _FURIOUS.search(text):
        return "angry"
    complaints = len({found.group().casefold() for found in _COMPLAINT.finditer(text)})
    loud = _is_shouted(text) or _MARKS.search(text) is not None
    swears = _SWEARING.search(text) is not None
    if complaints and (loud or swears or complaints > 1):
        return "angry"
    return "annoyed" if complaints or (swears and loud) else "calm"


def mood_of_all(texts: tuple[str, ...]) -> Mood:
    """The worst of them."""
    moods = {mood_of(text) for text in texts}
    return "angry" if "angry" in moods else "annoyed" if "annoyed" in moods else "calm"


def _is_shouted(text: str) -> bool:
    capitals = sum(char.isupper() for char in text)
    letters = sum(char.isupper() or char.islower() for char in text)
    return capitals >= _SHOUTED_LETTERS and capitals >= _SHOUTED_SHARE * letters
