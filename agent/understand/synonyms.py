"""Words that customers use for values that catalogues write otherwise.

Tables only. Each is tried against the values that the catalogue has; what it lacks is never proposed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True, slots=True)
class Synonym:
    """`phrase` means the first of `targets` that the catalogue has; `every` means all of them, as several wishes.

    `soft` words describe ("scary"), the others name ("sci-fi").
    """

    phrase: str
    targets: tuple[str, ...]
    every: bool = False
    soft: bool = False


# phrase, phrase ... = value, value ...     names: a positive wish is hard
_NAMES = """
sci fi, scifi, sf, science fiction, sci fy, syfy = science fiction, sci-fi, scifi
whodunit, whodunnit, who dunnit, detective story, murder mystery, detective = mystery, crime
romance, romantic, love story, love stories, chick flick = romance, romantic
animated, animation, cartoon, cartoons, anime = animation, animated, anime, cartoon
historical, history, period drama, period piece, costume drama = history, historical, period
biopic, biopics, biographical, biography, true life story = biography, biographical, biopic
documentary, docu, documentaries, docs = documentary
musical, musicals = musical, music
sport, sports = sport, sports
superhero, superheroes, comic book = superhero, action
slasher, horror, horrors = horror
thriller, thrillers, suspense = thriller, suspense
noir, film noir = film noir, film-noir, noir
western, cowboy, cowboys = western
war = war
kids, kid, children, child, childrens, toddlers = family-friendly, kid-friendly, family, children, kids, animation
family = family, children, kids, animation
for the whole family, kid friendly, family friendly = family-friendly, kid-friendly, family, children, kids, animation
gangster, mob, mafia = gangster, crime
martial arts, kung fu, karate = martial arts, action
spy, espionage = spy, thriller
comedy, comedies, comedic, sitcom = comedy
drama, dramas = drama
phone, phones, mobile phone, cell phone, cellphone, smartphone = smartphones, phones, mobile phones
laptop, notebook computer = laptops, notebooks
tv, television, telly = televisions, tv
fridge = refrigerators, fridges
sneaker, trainer, running shoe = sneakers, trainers, shoes, mens-shoes
makeup, cosmetic = beauty, makeup, cosmetics
perfume, fragrance, cologne = fragrances, perfume
sofa, couch, furniture = furniture, sofas
bike, motorbike = motorcycle, motorcycles, bikes
car, cars = vehicle, vehicles, cars
blu ray, bluray, blueray, blue ray = Blu-ray, Bluray, Blu-ray Disc
4k, uhd, ultra hd, 4k uhd = 4K UHD, 4K Ultra HD, UHD, 4K, 4K Blu-ray
dvd, dvds = DVD
grey = gray
gray = grey
"""

# adjectives: a positive wish is soft, a negative one hard
_DESCRIPTIONS = """
funny, hilarious, laugh, laughs, humor, humour, humorous, make me laugh, comical = funny, humorous, comedy
scary, frightening, terrifying, creepy, spooky, frighten = scary, frightening, creepy, horror
violent, violence, gory, gore, bloody, brutal, graphic = violent, violence, gory, brutal, bloody
sad, depressing, weepy, heartbreaking, gloomy, melancholic = sad, heartbreaking, melancholy, bleak, depressing
tearjerker, tear jerker, make me cry = sad, heartbreaking, moving, melancholy
happy, cheerful, feel good, feelgood, uplifting, heartwarming = feel-good, uplifting, heartwarming, happy, cheerful
quiet, calm, peaceful, gentle, slow = quiet, calm, gentle, contemplative, meditative
cozy, cosy, comforting, comfort = cosy, cozy, comforting, warm
dark, bleak, grim, gritty = dark, bleak, gritty, grim
light, lighthearted, light hearted, easygoing, easy going, breezy = light, lighthearted, light-hearted, breezy
weird, strange, odd, bizarre, quirky, offbeat, surreal = weird, strange, quirky, offbeat, surreal
tense, intense, suspenseful, gripping = tense, intense, suspenseful, gripping, thrilling, thriller
nail biting, edge of my seat, thrilling, exciting = thrilling, exciting, tense, suspenseful, thriller
smart, clever, intelligent, thoughtful, thought provoking = clever, smart, thoughtful, thought-provoking
epic, spectacular, sweeping = epic, spectacular
touching, moving, emotional = moving, touching, emotional
stylish, beautiful, gorgeous = stylish, beautiful
witty = witty, clever, funny
fun, playful = fun, playful
nostalgic = nostalgic
dreamy, dreamlike = dreamlike, dreamy
warm = warm, heartwarming
heist, heists, robbery, bank robbery = heist, robbery
"""

_EVERY = """
rom com, romcom, rom coms, romantic comedy, romantic comedies = romance, comedy
dramedy, dramedies = drama, comedy
"""

_CHINESE_NAMES = """
科幻片, 科幻电影, 科幻 = science fiction, sci-fi, 科幻
喜剧片, 喜剧 = comedy, 喜剧
恐怖片, 恐怖, 鬼片 = horror, 恐怖
爱情片, 爱情 = romance, 爱情
动作片, 动作 = action, 动作
惊悚片, 惊悚 = thriller, 惊悚
悬疑片, 悬疑, 推理 = mystery, 悬疑
剧情片, 剧情 = drama, 剧情
动画片, 动画, 卡通 = animation, animated, 动画
纪录片, 记录片 = documentary, 纪录片
战争片, 战争 = war, 战争
西部片, 西部 = western, 西部
犯罪片, 犯罪 = crime, 犯罪
音乐剧, 歌舞片, 音乐片 = musical, music
奇幻片, 奇幻, 魔幻 = fantasy, 奇幻
冒险片, 冒险 = adventure, 冒险
历史片, 历史 = history, historical, 历史
传记片, 传记 = biography, 传记
家庭片 = family, children, kids, animation
儿童片, 适合孩子, 适合全家, 孩子, 小孩 = family-friendly, kid-friendly, family, children, kids, animation
黑色电影 = film noir, film-noir, noir
体育 = sport, sports
手机 = smartphones, phones, mobile phones
笔记本电脑, 电脑 = laptops
电视 = televisions, tv
鞋子, 鞋 = shoes, mens-shoes
香水 = fragrances, perfume
家具 = furniture
蓝光 = Blu-ray, Bluray
法国 = France, French
意大利 = Italy, Italian
日本 = Japan, Japanese
韩国 = South Korea, Korea, Korean
德国 = Germany, German
英国 = United Kingdom, UK, British
美国 = United States, USA, American
西班牙 = Spain, Spanish
俄罗斯 = Russia, Russian
印度 = India, Hindi
中国 = China, Chinese, Mandarin
香港 = Hong Kong
法语 = French
英语 = English
日语 = Japanese
德语 = German
中文, 国语, 普通话 = Chinese, Mandarin, Mandarin Chinese
粤语 = Cantonese
韩语 = Korean
黑色 = black
白色 = white
红色 = red
蓝色 = blue
绿色 = green
"""

_CHINESE_DESCRIPTIONS = """
搞笑, 好笑, 幽默 = funny, humorous, comedy
吓人, 可怕 = scary, frightening, horror
暴力, 血腥 = violent, violence, gory, bloody
感人, 温馨, 治愈 = moving, heartwarming, touching, uplifting, feel-good
安静, 平静 = quiet, calm, gentle
悲伤, 伤感, 催泪 = sad, heartbreaking
轻松 = light, lighthearted, light-hearted, breezy
紧张, 刺激 = tense, suspenseful, thrilling, exciting, thriller
浪漫 = romantic, romance
黑暗 = dark, bleak
烧脑 = clever, mind-bending, thought-provoking
"""

_CHINESE_EVERY = """
爱情喜剧, 浪漫喜剧 = romance, comedy
"""

_PEOPLES = """
american, us, usa, u s, america, hollywood = United States, USA, US, United States of America
british, uk, english made, britain = United Kingdom, UK, Great Britain, England
french = France
italian = Italy
spanish = Spain
german = Germany
japanese = Japan
korean, south korean = South Korea, Korea
chinese = China
swedish = Sweden
danish = Denmark
norwegian = Norway
finnish = Finland
polish = Poland
russian = Russia, Soviet Union
soviet = Soviet Union
indian, bollywood = India
iranian = Iran
turkish = Turkey
brazilian = Brazil
mexican = Mexico
argentine, argentinian = Argentina
irish = Ireland
australian = Australia
canadian = Canada
belgian = Belgium
austrian = Austria
swiss = Switzerland
dutch = Netherlands
greek = Greece
hungarian = Hungary
czech = Czech Republic, Czechoslovakia
thai = Thailand
"""

_PERSONS_AND_CHINESE = """
周星驰 = Stephen Chow
宫崎骏 = Hayao Miyazaki
王家卫 = Wong Kar-wai
李安 = Ang Lee
成龙 = Jackie Chan
黑泽明 = Akira Kurosawa
库布里克 = Stanley Kubrick
诺兰 = Christopher Nolan
斯皮尔伯格 = Steven Spielberg
昆汀 = Quentin Tarantino
希区柯克 = Alfred Hitchcock
"""


def _read(table: str, *, every: bool = False, soft: bool = False) -> list[Synonym]:
    found = []
    for line in table.strip().splitlines():
        phrases, _, targets = line.partition(" = ")
        values = tuple(target.strip() for target in targets.split(","))
        found += [Synonym(phrase.strip(), values, every, soft) for phrase in phrases.split(",")]
    return found


@cache
def value_synonyms() -> tuple[Synonym, ...]:
    """Words for kinds, formats, moods, colours, in English and Chinese."""
    named = _read(_EVERY + _CHINESE_EVERY, every=True) + _read(_NAMES + _CHINESE_NAMES)
    return tuple(named + _read(_DESCRIPTIONS + _CHINESE_DESCRIPTIONS, soft=True))


@cache
def people_synonyms() -> tuple[Synonym, ...]:
    """Words for the countries that things come from: "French" -> France."""
    return tuple(_read(_PEOPLES))


@cache
def person_synonyms() -> tuple[Synonym, ...]:
    """Chinese names of people whom catalogues write in Latin letters."""
    return tuple(_read(_PERSONS_AND_CHINESE))
