"""What a message is for, by its phrases: support, a human, a count, a superlative, a question ...

Patterns only, English and Chinese side by side. Knows nothing of catalogues; which items and wishes
belong to an intent is decided in `rules.py`.
"""

from __future__ import annotations

import re

from agent.preferences import PreferenceOperator
from agent.understand.roles import Role

HANDOFF = re.compile(
    r"\b(?:human (?:agent|support|assistance|representative)|(?:real|live|actual) (?:person|human|agent)"
    r"|human,? please|agent,? please)\b(?=\s*(?:$|[^\w\s]|\b(?:please|pls|now|here|asap|instead)\b))"
    r"|\bmenselijke? medewerker|\bprawdziw\w+ (?:osob|człowiek)|转接|找客服|客服人员"
)
"""A person is asked for; beside `persons.wants_person`, which knows more."""
_ABOUT_FILM = re.compile(r"\b(?:about|film|films|movie|movies|story|based on|book)\s+(?:\w+\s+){0,3}$|关于")
OUT_OF_SCOPE = re.compile(
    r"\b(?:what(?:'s| is| will)|how(?:'s| is)|tell me) (?:the )?weather\b|\bweather (?:today|tomorrow"
    r"|forecast|in|like)\b|\b(?:will it|is it going to) rain\b"
    r"|\bwho (?:should|will|would|did) (?:i|you|we|win)\b.{0,20}\b(?:vote|election)|\b(?:president"
    r"|prime minister|election|politic\w*)\b.{0,30}\?"
    r"|\b(?:think|opinion) (?:about|of|on) (?:the )?(?:president|government|trump|biden|putin|election"
    r"|war in|politics)\b"
    r"|\b(?:write|fix|debug|generate|create|give me)\b.{0,30}\b(?:code|python|javascript|java|sql|script"
    r"|function|program|html|regex|algorithm|essay|poem|song|email|cover letter|homework)\b"
    r"|\b(?:ignore|disregard|forget|override)\b.{0,30}\b(?:instructions?|rules|prompts?|guidelines)\b"
    r"|\b(?:system|your|hidden|initial) (?:prompt|instructions)\b"
    r"|\b(?:you are now|pretend (?:to be|you)|act as|jailbreak|developer mode)\b|\b(?:tell|know) (?:me "
    r"|any )?(?:a )?jokes?\b|\btranslate\b.{0,40}\b(?:to|into) \w+"
    r"|\b(?:solve|simplify|integrate|differentiate)\b.{0,20}(?:equation|\d ?[-+*/=])|\b[a-z]\^\d"
    r"|\bwhat(?:'s| is) \d+ ?[-+*x/] ?\d+|\b(?:stock|bitcoin|crypto) (?:price|market)"
    r"|\bcapital (?:city )?of \w+\b|\bmeaning of life\b"
    r"|\b(?:news today|latest news|football score|who won the (?:game|match|election|world cup)"
    r"|time is it|what day is it)\b"
    r"|\b(?:book|find) (?:me )?(?:a )?(?:flight|hotel|restaurant|taxi)\b|\b(?:medical|legal|tax) advice\b"
    r"|天气|写(?:一?段|个)?(?:代码|程序|诗|作文)|总统|选举|政治|忽略.{0,12}(?:指令|提示|规则)|系统提示|提示词"
    r"|讲个笑话|翻译"
)
UNDO = re.compile(
    r"^\W*(?:please\s+)?(?:can you\s+)?(?:undo(?: (?:that|it|this|the last (?:one|step|turn|message)"
    r"|last))?|go back(?: (?:one|a) step)?|take (?:that|it) back|revert(?: that)?"
    r"|step back|back|i take (?:that|it) back|撤销|撤回|返回|回到上一步|上一步|取消上一[步条个])\W*(?:please)?\W*$"
)
RESET = re.compile(
    r"\b(?:start (?:over|again|afresh|from scratch|fresh)|new search|reset|begin again"
    r"|clear (?:everything|all|my (?:search|filters|preferences))"
    r"|forget (?:everything|all (?:of )?(?:that|this|it))|(?:let'?s )?start (?:something )?new)\b|重新开始"
    r"|从头(?:开始|再来)|清空|重置|重来"
)
GREETING = re.compile(
    r"^\W*(?:hi+|hello+|hey+|hiya|howdy|yo|greetings|good (?:morning|afternoon|evening|day)|hallo|hola"
    r"|bonjour|你好啊?|您好|嗨|哈喽|早上好|晚上好|下午好|在吗)"
    r"(?:[\s,!.]+(?:there|all|everyone|again|you|friend|chatalogue|bot|sir|madam"
    r"|how are you(?: doing)?(?: today)?|how(?:'s| is) it going|nice to meet you|你好))*\W*$"
)
THANKS = re.compile(
    r"^\W*(?:(?:ok(?:ay)?|great|perfect|cool|awesome|nice|no|alright|good|that'?s (?:all|it|great|good"
    r"|perfect)|much appreciated|for (?:your|the|all your) help|so much|very much|a lot|again|"
    r"bye|goodbye|see you|have a (?:good|nice|great) (?:day|one|night|evening)"
    r"|you too)[\s,.!]*)*(?:thanks|thank you|thx|ty|cheers|many thanks|thank u|merci|danke|gracias|bye"
    r"|goodbye|谢谢你?|多谢|感谢|再见)"
    r"(?:[\s,!.]*(?:so much|very much|a lot|a bunch|again|you|bye|goodbye|for (?:your|the|all your"
    r"|all the) \w+|that'?s (?:all|it)|have a (?:good|nice|great) (?:day|one|night|evening|weekend)|了|啦|你"
    r"|您))*\W*$"
)
SHOW_ANYWAY = re.compile(
    r"\b(?:show (?:me )?(?:them |it |some(?:thing)? )?anyway|just (?:show|recommend|give|pick|suggest)"
    r"|(?:i )?(?:really )?(?:don'?t|do not) (?:really )?(?:mind|care|have (?:a|any) preference)"
    r"|no (?:particular |real |strong )?preference|whatever|surprise me|you (?:choose|pick|decide)"
    r"|up to you|all the same|i'?m (?:easy|open|flexible|not (?:picky|fussy))"
    r"|(?:it )?(?:doesn'?t|does not|don'?t) (?:really )?matter|skip (?:it|that|the question|this)"
    r"|anything(?: is| will| would)? (?:fine|do|works|goes|good|ok(?:ay)?))\b"
    r"|随便|都行|都可以|无所谓|没关系|直接(?:推荐|看|给)|你(?:决定|选|推荐吧)|什么都"
)
SHOW_ANYWAY_WHEN_ASKED = re.compile(
    r"^\W*(?:either(?: one| is fine| works| way)?|any(?:thing)?(?: of (?:them|those|these))?|both|no|nope"
    r"|not sure|no idea|i don'?t know|dunno|none|not really|idk|all of (?:them|those)|不知道|不清楚|没有|任意"
    r"|都)\W*$"
)
MORE = re.compile(
    r"^\W*more\W*$|\b(?:(?:something|anything|what|who|someone) else|(?:show (?:me )?|some |a few |any "
    r"|see |got |have )more|more(?: (?:options|results|films|movies|items|suggestions|recommendations"
    r"|choices|please|like (?:this|these|that|those)|ideas|of (?:these|those|the same)))"
    r"|(?:any|some|show me(?: the| some)?|see(?: the| some)?) others?"
    r"|(?<!\w )others(?= please)|other(?: ones?| options?| films?"
    r"| movies?| suggestions?| recommendations?| choices| ideas| items?)|another(?: one| film| movie"
    r"| suggestion| option|(?=\W*$))|next(?: (?:page|ones?|batch))?"
    r"|different (?:ones?|options?|suggestions?)|none of (?:these|those|them)|keep going|what (?:else"
    r"|other))\b|换一?[批些个]|还有(?:别的|其他|吗|没有)|其他的?|别的|再来(?:一?[些个批])?|更多|下一[页批]"
)
WHY_NOT = re.compile(
    r"\bwhy (?:not|no\b|didn'?t|don'?t|wasn'?t|isn'?t|aren'?t|weren'?t|haven'?t|did(?: you)? not"
    r"|is(?: there)? no|are(?: there)? no)\b|\bwhy (?:is|are|was|were|did|do)\b[^.?!]{0,40}\b(?:not"
    r"|missing|left out)\b|\bhow come\b[^.?!]{0,30}\b(?:not|didn'?t|isn'?t|wasn'?t|no)\b"
    r"|为什么(?:没有?|不|不是|没)|怎么(?:没有|不|没)"
)
WHY = re.compile(
    r"^\W*(?:(?:and|but|so|ok(?:ay)?|hm+|well)\W+)*(?:(?:can|could) you (?:tell me|explain|say) |tell me |explain )?"
    r"(?:why\b(?! (?:is|are|was) (?:it|there|that)? ?(?:so|not)\b)|how come\b|what makes you)"
    r"|^\W*(?:你)?(?:为什么|为何|怎么会)(?:要|会)?(?:推荐|选|给我|是这|是它|放|这)"
)
"""Why something was shown; `WHY_NOT` is tried before."""
WHY_ASKED = re.compile(
    r"^\W*(?:\w+\W+)?why\W*$|\b(?:these|those|them|this|that|list(?:ed)?|recommend\w*|suggest\w*|show\w*"
    r"|offer\w*|pick\w*"
    r"|choose|chose|include\w*|shown)\b|推荐|选|给我|这|它"
)
"""What makes a "why" a question about the list, where no item is named."""
WHY_NOT_NAMED = re.compile(
    r"\b(?i:why not|show(?: me)?|recommend|suggest|offer|list|include)\s+[\"“'‘]?(?P<name>[A-Z][^?.!\"”]{1,60})"
)
"""A name after "why not", in capitals, as the customer wrote it."""
COMPARE = re.compile(
    r"\bcompare\b|\bcomparison\b|\bversus\b|\bvs\b|\bdifferences? between\b|\bwhich (?:one )?(?:of"
    r"|is (?:the )?(?:better|best|cheaper|shorter|longer|newer|older|funnier|scarier|more|less|cheapest"
    r"|shortest|longest|newest|oldest))"
    r"|\bhow do (?:they|these|those) (?:compare|differ)\b|\bside by side\b"
    r"|比较一?下?|对比|哪(?:个|部|款)更|有什么(?:区别|不同)"
)
COUNT = re.compile(
    r"\bhow many\b(?! (?:minutes?|hours?|stars?|oscars?|awards?|seasons?|episodes?|pages?|days?|people"
    r"|discs?|times?|calories|points))|\b(?:what is|what'?s) the number of\b|^\W*(?:the )?number of\b"
    r"|\bcount (?:of|the|all)\b"
    r"|有?多少(?:部|个|款|种|本|件|片|[^钱分时久长天]{0,6}(?:电影|片|喜剧))|有?几[部个款种本件]"
)
ASK_ITEM = re.compile(
    r"\b(?:do|would) you (?:guys )?(?:have|sell|carry|stock|offer|know)\b|\bhave you (?:got|any)\b"
    r"|\bis there\b|\bare there\b|\bgot any\b|\bi(?:'m| am) (?:looking|searching) for\b|\b(?:find|show"
    r"|get) me\b|\bwhere(?:'s| is| can i find)\b"
    r"|\bsearch(?:ing)? for\b|\bi (?:want|need|would like)\b|\bi'd like\b|\bany (?:film|movie|item|book"
    r"|product|phone)s?\b|有没有|你们有|有吗|想(?:看|买|要|找)|找"
)
TAKES = re.compile(
    r"\b(?:i(?:'ll| will|'d like to| would like to|'m going to| want to| wanna) (?:take|have(?! to)|go (?:with"
    r"|for)|buy|get|order|pick|choose|watch|try|rent|purchase)|(?:let'?s|gonna|going to) (?:go (?:with"
    r"|for)|take|watch|do|get|try)"
    r"|add (?:it|that|this|the|them|both|number)\b.{0,30}\b(?:to (?:my |the )?(?:cart|basket|bag|order"
    r"|list))|add (?:it|that|this) (?:please)?|(?:buy|order|purchase|take|choose|pick|rent) (?:it|that"
    r"|this|the|number|both|them)|put .{0,30} in (?:my|the) (?:cart|basket))\b"
    r"|我要(?=第|这|那|了|[\"“《「])|就(?:要)?(?=这|那|第)|买(?=这|那|第)|加入购物车|选(?=这|那|第)|要(?=第|这个|那个)"
)
PRAISE = re.compile(
    r"^\W*(?:yes[,!. ]*)?(?:perfect|sold|deal|great|excellent|wonderful|lovely|awesome|yes please"
    r"|sounds? (?:good|great|perfect|interesting|fun)|looks? (?:good|great|perfect|interesting)"
    r"|that'?s (?:the one|perfect|great|it)|good (?:choice|one|idea)"
    r"|(?:that|this|it|the \w+ one|that one) (?:one )?(?:sounds?|looks?|is|will be|would be) (?:really "
    r"|very )?(?:good|great|perfect|interesting|fine|nice|lovely|fun)|好的?,?就|太好了|不错|很好)"
)
_REJECT = (
    r"\bnot (?:that|this|the \w+) (?:one|film|movie)\b|\bnot (?:it|that|this|these|those|them)\b"
    r"|\b(?:i(?:'ve| have)?|we(?:'ve| have)?|have|ve) (?:already |just )?(?:seen|watched|own|owned|got"
    r"|read|have|bought|saw) (?:it|that|this|them|these|those|all)\b"
    r"|\balready (?:seen|watched|own|have|read|got|bought)\b|\b(?:don'?t|do not|didn'?t"
    r"|did not) (?:really )?(?:like|want|love|enjoy|care for|fancy) (?:it|that|this|them|these|those|any"
    r"|the look)\b|\bnot (?:for me|my (?:thing|cup of tea|style|taste))\b"
    r"|\bhate (?:it|that|this|them|these)\b|\b(?:remove|hide) (?:it|that|this)\b|\bnone of (?:these|those"
    r"|them)\b|\bno,? (?:not )?(?:that|this|the \w+) one\b|\bnope,? not\b|\bnot interested in (?:it|that"
    r"|this|the|any|those|these|them)\b"
    r"|不要(?=这|那|第)|看过(?:了|这|那|第)?|不喜欢(?=这|那|第|它)|不想要(?=这|那|第)|不是这"
)
REJECT = re.compile(_REJECT)
KNOWN = re.compile(
    r"\balready (?:\w+ )?(?:seen|watched|saw|own|have|read|got|bought)\b|\b(?:seen|have|own|got) (?:\w+ ){0,3}already\b"
    r"|\b(?:i|we)(?:'ve| have) (?:just |all )?(?:seen|watched|read|bought) (?:it|that|this|them|these|those|all|the)\b"
    r"|\b(?:i|we) (?:saw|own|have|got|bought) (?:it|that|this|them|these|those)\b|看过|有了"
)
"""A rejection of what the customer knows or has, which says nothing against it."""
LIKES = re.compile(
    r"\b(?:i|we) (?:do |really |quite |also |did )*(?:like|love|liked|loved|enjoyed|enjoy) (?:it|that"
    r"|this|the|number|#|film|movie|one)\b|我喜欢(?=第|这|那|它)"
)
NONE_OF_ALL = re.compile(
    r"\bnone of (?:these|those|them)\b(?=\W*$|\s*[.,;!]|\s+(?:please|thanks|thank you|for me|but|what|show|works?"
    r"|appeals?|fits?|suits?|will do|is (?:right|good|for me|what i)|are (?:right|good|for me|what i)|interests?)\b)"
)
"""All that was shown last is turned down: "None of these. What else do you have?"."""
LIKE_IT = re.compile(
    r"(?:\b(?:something|anything|more|others?|another|ones?|films?|movies?|books?|items?|stuff|things?|but|and)"
    r"|[,.;!?])\s+(?:(?:something|just|exactly|a bit|more|much)\s+)*(?:like|similar to|close to"
    r"|in the (?:vein|style|spirit) of|along the lines of)\s+(?:it|that|this|them|those|these)\b"
)
"""The item spoken of is the measure of what is wanted: "I already saw Jaws, something like it"."""
REJECT_NAMED = re.compile(
    r"\b(?:not|don'?t (?:want|like|show|recommend)|no(?!\.? ?#?\d)|didn'?t like|hate|remove|not interested in"
    r"|anything but|seen|watched|skip|(?:is|are) (?:out|a no[- ]go|off the table)(?=\W*$))\b|不要|不喜欢|看过|别"
)

SUPPORT = re.compile(
    r"\b(?:deliver(?:y|ies|ed|ing)?(?: (?:time|cost|fee|charge|option|address|date|to)s?)?|shipping"
    r"|shipment|courier|parcel|tracking(?: number)?)\b"
    r"|\b(?:do|can|will|could|would) you (?:guys )?(?:ship|deliver|post|send)\b|\bship(?:s|ped)? (?:to|in"
    r"|within|abroad|overseas|internationally|my)\b|\btrack (?:my|the|an) (?:order|parcel|package)\b"
    r"|\breturn(?:s|ed|ing)? (?:it|this|them|that|an?|the|my|policy|items?|something|window|label|process"
    r"|address|and|or|if|within|period|for)\b|\b(?:your|about|make a|returns?) returns?\b|\breturns?\s*\?"
    r"|\b(?:can|could|may|how do|how can) (?:i|we) (?:still |also )?(?:return|exchange|send back)\b"
    r"|\breturn policy\b"
    r"|\b(?:send (?:it|this|them|that|the \w+) back|money[- ]back|exchange (?:it|this|an?|the|my|policy"
    r"|items?))\b|\brefund(?:s|ed|ing|able)?\b"
    r"|\b(?:my|an|the|existing|change|cancel|place[d]?|track|recent) orders?(?: (?:status|number|history"
    r"|confirmation))?\b(?! (?:of|by))|\border (?:status|number|confirmation|history|tracking)\b"
    r"|\bwhere(?:'s| is) my (?:order|package|parcel|stuff|film|disc|item)\b"
    r"|\b(?:pay(?:ment)?s? (?:method|option|by|with|in|via|on|failed|declined)s?|payment|paypal"
    r"|credit card|debit card|visa|mastercard|apple pay|google pay|klarna|invoice|instal?lments?|billing"
    r"|charged (?:me )?(?:twice|wrong|double|too))\b|\bhow (?:can|do) i pay\b"
    r"|\b(?:gift ?cards?|vouchers?|coupons?|promo(?:tion)?(?:al)? codes?|discount codes?"
    r"|gift[- ]?wrap(?:ping|ped)?|student discount)\b"
    r"|\b(?:my|an|the|user|your|delete|close|create|open|log ?in(?:to)?) accounts?\b|\bpassword"
    r"|\blog[- ]?in\b|\bsign[- ]?(?:in|up)\b|\bmy (?:email|address|details|data|subscription"
    r"|membership)\b|\bnewsletter\b|\bunsubscribe\b|\bprivacy\b|\bgdpr\b"
    r"|\bregion(?:al)? (?:code|free|[abc]\b|\d\b)s?\b|\bregion[- ]?(?:code|free|lock)|\bpre-?orders?(?:ed"
    r"|ing)?\b|\bwarrant(?:y|ies)\b|\bguarantee\b|\b(?:damaged|defective|faulty|scratched|broken (?:disc"
    r"|item|product|case))\b|\b(?:arrived|came|is|was) (?:broken|damaged|scratched|late|wrong)\b"
    r"|\b(?:wrong|missing) (?:item|disc|product|order|film)\b|(?<!noise )\bcancell?ations?\b"
    r"|\bcancel(?:l?ed|l?ing)? (?:(?!and\b|or\b|to\b)[\w'-]+ ){0,3}(?:orders?|returns?|refunds?|subscriptions?"
    r"|memberships?|accounts?|parcels?|packages?|deliver(?:y|ies)|shipments?|purchases?|payments?|[a-z]{0,4}-?\d{3,})\b"
    r"|\b(?:orders?|subscriptions?|memberships?|accounts?|parcels?|deliver(?:y|ies)|purchases?)\b[^.?!]{0,30}"
    r"\bcancell?(?:ed|ing)\b"
    r"|(?:^\W*(?:please )?|\b(?:i (?:want|need|would like|wish)|i'd like|how|late|possible|able|can i|could i|may i)\b"
    r"[^.?!,]{0,20}\b)cancel(?:l?ing)?(?: please)?\W*$|\b(?:opening (?:hours|times?)|price[- ]?match\w*"
    r"|contact (?:you|us|details"
    r"|information|number)|phone number|email address|customer (?:service|support)|complain(?:t|ts)?"
    r"|terms and conditions)\b"
    r"|\bplay (?:on|in) my (?:player|dvd|blu)|\b(?:play|work)s? (?:in|on) (?:the )?(?:us|uk|usa|europe"
    r"|america|australia|my)\b|\bcustoms\b|\bimport (?:duty|duties|tax)"
    r"|退货|退款|退换|换货|配送|送货|发货|快递|物流|运费|包邮|订单|付款|支付|支付宝|微信支付|信用卡|发票|礼品卡"
    r"|优惠券|优惠码|账户|账号|密码|登录|注册|区码|预订|预售|保修"
    r"|质保|损坏|坏了|取消订单|联系方式|营业时间|投诉|什么时候到|几天到|送到"
)
OPEN = re.compile(
    r"\bare you (?:guys |still )?(?:open|closed)\b|\b(?:what time|when|which days?)\b[^.?!]{0,15}\byou (?:open"
    r"|close|closed)\b"
    r"|\bdo you (?:open|close|repair|fix|mend|rent|hire|insure|install|accept|charge|recycle|employ)\b"
    r"|\b(?:used|second[- ]?hand|refurbished) (?:discs?|dvds?|blu-?rays?|copies|items?|goods|phones?"
    r"|products?)\b|几点(?:开门|关门|营业)|(?:周[一-日末天]|星期.|节假日)(?:开门|营业|上班)"
)
"""Whether the shop is open, and what it sells besides: questions to the help pages too."""
NOT_SUPPORT = re.compile(
    r"\b(?:film|films|movie|movies|story|something|book|comedy|drama|thriller)\b[^.?!,]{0,25}\b(?:about"
    r"|where|in which|with|that|who)\b[^.?!]*$|^(?:about|a|an|some)\b[^.?!,]{0,20}\b(?:about|who|where)\b"
)
OF_A_TITLE = re.compile(
    r"(?:money[- ]back |delivery )?(?:guarantee|warranty|password|courier|customs) (?:films?|movies?)\b"
    r"|[\u4e00-\u9fff]{2,4}?(?:大?劫案|谋杀案|大作战|总动员|历险记|疑云|风云|惊魂|传奇)"
)
"""Words of service that are a title's: "the money back guarantee film"."""

_MONEY_Q = (
    r"how much (?:is|are|does|do|for|would|was)\b|what(?:'s| is| are| does)? (?:the |its )?(?:price"
    r"|cost)s?\b|(?:the )?price of\b|what does .{1,40} cost|多少钱|什么价|价格(?:是|多少)"
    r"|\b(?:is|are) (?!there\b|it free of\b)[^.?!]{1,60}\b(?:for )?free(?: (?:today|now|of charge|this week"
    r"|tonight|at the moment))?\s*\?"
    r"|\b(?:cost|costs|sold for|priced at)\b[^.?!]{0,30}\?"
)
ITEM_QUESTIONS: tuple[tuple[Role | str, re.Pattern[str]], ...] = tuple(
    (role, re.compile(words))
    for role, words in (
        (
            "maker",
            r"\bwho(?:'s| is| was)? (?:direct|made|wrote|writ|creat|the director|the author|behind)\w*"
            r"|\bdirector of\b|\bdirected by (?:whom|who)\b|\bwhose film\b|谁导演?的?|导演是谁",
        ),
        (
            "cast",
            r"\bwho(?:'s| is| are| was| else is)? (?:in (?:it|this|that|the)\b|in\b|star\w*|play\w*|act\w*"
            r"|the (?:actors?|stars?|cast|lead)\b)|\bcast of\b|\bwhich actors?\b|\bwhat actors?\b"
            r"|谁(?:主?演)的?|主演是谁"
            r"|有哪些演员|演员(?:是谁|有谁)",
        ),
        (
            "duration",
            r"\bhow long\b(?! (?:have|had|ago|until|are you|did you)\b)(?! (?:does|is|will|do)?\s?(?:it "
            r"|the )?(?:take|delivery|shipping|ship))|\b(?:what(?:'s| is) the |its )?(?:runtime|running time"
            r"|run time)\b|\bhow many (?:minutes|hours)\b|多长|片长|几分钟|几个?小时",
        ),
        ("price", _MONEY_Q),
        (
            "in_stock",
            r"\b(?:is|are|was) [^.?!]{1,40}\b(?:in stock|available|out of stock|sold out)\b|\b(?:do you "
            r"|have you )?(?:have|got) [^.?!]{1,40}\bin stock\b|\bin stock\s*\?|\bavailable\s*\?|有(?:现)?货吗"
            r"|有没有货"
            r"|还有吗",
        ),
        (
            "year",
            r"\bwhen (?:was|did|is|were)\b(?! my)|\b(?:what|which) year\b|\bhow old is\b|哪一?年|什么时候(?:上映|拍)",
        ),
        ("language", r"\b(?:what|which) languages?\b|什么语言"),
        (
            "country",
            r"\bwhere (?:was|is|were) [^.?!]{1,40}\b(?:made|from|shot|filmed|set)\b|\b(?:which|what) country\b"
            r"|哪个?国",
        ),
        (
            "kind",
            r"\b(?:what|which) (?:genre|category|kind of (?:film|movie|book|thing)|type of (?:film|movie))s?\b"
            r"|什么类型",
        ),
        ("format", r"\b(?:what|which) formats?\b|什么格式"),
        (
            "rating",
            r"\bhow (?:good|well[- ]rated|highly rated) (?:is|are|was)\b|\bwhat(?:'s| is"
            r"| are)? [^.?!]{0,30}\b(?:rating|score|rated)s?\b|\b(?:is|was|are) [^.?!]{1,30}\bany good\b|(?:^"
            r"|[.!?])\W*any good\b|评分(?:多少|是|怎么样)|好看吗",
        ),
        (
            "",
            r"\bwhat(?:'s| is| are| was)? (?!about\b)[^.?!]{0,40}\babout\b|\btell me (?:more |something "
            r"|a bit )?(?:more )?about\b|\b(?:more|further) (?:info\w*|details?)\b|\bwhat(?:'s| is) the (?:plot"
            r"|synopsis|story(?:line)?)\b|\b(?:plot|synopsis|storyline) of\b|^\W*(?:the )?(?:plot|synopsis)\W*$"
            r"|\bdescribe\b|讲(?:的是)?什么|关于什么|介绍一?下|什么内容|讲了什么|剧情是",
        ),
    )
)
ABSENT: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (name, re.compile(words))
    for name, words in (
        ("age rating", r"\bage[- ](?:rating|limit|restriction|certificate|group)s?\b|\bcertificate\b|\b(?:pg"
        r"|r)[- ]rated\b"
         r"|\brated (?:r|pg|g|x|\d+)\b|\bwhat age\b|\b(?:suitable|appropriate|ok|okay|fine|good|safe|right) for"
         r" (?:a |my |an )?(?:\d+|\w+)[- ]?year[- ]?olds?\b"),
        ("ending", r"\bend(?:ing|s)?\b"),
        ("subtitles", r"\bsub(?:title)?s?\b|\bsubtitled\b|\bcaptions?\b"),
        ("dubbed audio", r"\bdub(?:bed|bing)?\b|\baudio\b"),
        ("colour", r"\bin (?:colou?r|black and white|b&w)\b|\bblack and white\b|\bcolou?ri[sz]ed\b"),
        ("awards", r"\b(?:awards?|oscars?|prizes?|golden globes?|nominat\w+)\b"),
        ("extras", r"\bextras\b|\b(?:bonus|special) (?:features?|material|content)\b|\bdeleted scenes\b"
        r"|\bcommentary\b"),
        ("soundtrack", r"\bsoundtrack\b|\bwho (?:wrote|composed|made) the (?:music|score)\b"),
        ("sequels", r"\b(?:sequels?|prequels?|part (?:two|2)|remake)\b"),
        ("number of discs", r"\bhow many discs\b"),
        ("box office", r"\bbox office\b|\bhow much (?:money )?did (?:it|they) (?:make|earn)\b"),
        ("streaming", r"\b(?:on|stream\w*) (?:netflix|hulu|prime|disney)\b|\bstream(?:ing|ed)?\b"),
        ("年龄分级", r"分级|几岁|多大(?:的孩子)?(?:能|可以)看"),
        ("结局", r"结局"),
        ("字幕", r"字幕"),
        ("奖项", r"得奖|获奖|奥斯卡"),
    )
)  # fmt: skip
"""What is often asked of an item and few catalogues have."""
BARE_QUESTION = re.compile(
    r"^\W*(?:(?:and|so|but|ok(?:ay)?|hm+)\W+)*(?:how|what|who|when|where|which|is|was|does|did|has|are)\b"
    r"|^\W*(?:那|多长|多久|多少|谁|什么|哪)"
)
OF_IT = re.compile(r"\W*(?:(?:and|so|but|ok(?:ay)?)\W+)*(?:is|was|does|did|has|isn'?t|doesn'?t)\s+(?:it|this|that)\b")
YES_NO = re.compile(
    r"^\W*(?:and |so |but |ok(?:ay)?,? )?(?:is|was|are|were|does|do|did|has|have|can|will|isn'?t"
    r"|doesn'?t)\s+(?!you\b|there\b|we\b|i\b)|吗\W*$|是不是|\b(?:do you (?:have|sell)|have you got"
    r"|can i (?:get|have|buy)|is there) (?:it|this|that|the \w+ (?:one|film|movie))\b"
    r"|\b(?:is there|do you have|have you got|can i (?:get|have|buy)) (?:a|an|any) [^.?!]{2,30} (?:of"
    r"|for) (?:it|this|that)\b"
)

# direction: True for the most
SUPERLATIVES: tuple[tuple[Role | str, bool, re.Pattern[str]], ...] = tuple(
    (role, descending, re.compile(rf"(?<![a-z])(?:{words})(?![a-z])"))
    for role, descending, words in (
        (
            "price",
            False,
            r"cheapest|least (?:expensive|costly|pricey)|lowest[- ]price[ds]?|lowest (?:price|cost)"
            r"|most affordable|最便宜|价格最低",
        ),
        (
            "price",
            True,
            r"(?:most (?:expensive|costly|pricey)|priciest|dearest|highest[- ]price[ds]?|highest (?:price|cost))"
            r"|最贵|价格最高",
        ),
        ("duration", False, r"shortest|briefest|最短"),
        ("duration", True, r"longest(?! time)|最长"),
        ("year", True, r"newest|latest|most recent|most up to date|最新"),
        ("year", False, r"oldest|earliest|最老|最早|最旧"),
        (
            "popularity",
            True,
            r"most popular|best[- ]?sell(?:ing|ers?)|best known|most famous|top[- ]selling|most (?:watched"
            r"|reviewed|bought|loved|wanted)|最受欢迎|最热门|最流行|最火|卖得最好",
        ),
        ("popularity", False, r"least popular|least known|most obscure|最冷门"),
        (
            "rating",
            True,
            r"(?:best|highest|top)[- ](?:rated|reviewed|scoring)|highest (?:rating|score)s?|best (?:rating"
            r"|reviews|score)s?|评分最高|评价最好|口碑最好",
        ),
        ("rating", False, r"(?:worst|lowest)[- ](?:rated|reviewed)|lowest (?:rating|score)s?|评分最低"),
        ("weight", False, r"lightest|least heavy|最轻"),
        ("weight", True, r"heaviest|最重"),
        ("size", True, r"biggest|largest|最大"),
        ("size", False, r"smallest|tiniest|most compact|最小"),
    )
)
SUPERLATIVE_OF = re.compile(
    r"\b(?P<how>most|highest|least|lowest|fewest|greatest|maximum|minimum)\s+(?P<what>[a-z]+(?:\s[a-z]+)?)"
)
OF_SHOWN = re.compile(
    r"\b(?:of|from|among|out of|between) (?:these|those|them|the(?:se)? (?:two|three|four|five|list)|\d)"
    r"|\bwhich (?:one )?(?:is|of|was|has|costs|runs)\b|\bwhich (?:one|film|movie|item)\b|哪(?:个|部|款)"
)
STOCK = re.compile(
    r"\b(?:(?:that(?:'s| is| are)|which (?:is|are)|only|must be|currently|everything) )?(?:in stock"
    r"|available (?:now|right now|today|immediately)|in-stock|ready to ship|ships? (?:today|now"
    r"|immediately)|can (?:get|have) (?:it )?(?:today|now|tomorrow)"
    r"|still available|you actually have)\b|有现?货的?|现货"
)
NEGATIVE_STOCK = re.compile(r"\b(?:out of stock|sold out|unavailable)\b|缺货|没货")

OPPOSITE: dict[PreferenceOperator, PreferenceOperator] = {"lt": "ge", "le": "gt", "gt": "le", "ge": "lt"}


def about_a_film(low: str, place: int) -> bool:
    """Whether the words at `place` belong to a description: "a film about the president"."""
    return bool(_ABOUT_FILM.search(low[max(0, place - 40) : place]))
