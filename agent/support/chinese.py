"""Chinese questions to the service, in the English words that the articles and the encoder read.

Rules only: a lexicon of what customers ask about. Other languages' questions go as they are.
"""

from __future__ import annotations

import re

_WORDS: tuple[tuple[str, str], ...] = (
    ("多久能送到", "how long does delivery take"),
    ("多久", "how long does it take"),
    ("多少钱", "how much does it cost"),
    ("国外", "to other countries"),
    ("国际", "to other countries"),
    ("快递", "express delivery"),
    ("物流", "track my parcel"),
    ("查询", "track"),
    ("包裹", "parcel"),
    ("没收到", "parcel lost not arrived"),
    ("丢", "parcel lost"),
    ("运费", "how much does delivery cost"),
    ("送货", "delivery"),
    ("配送", "delivery"),
    ("发货", "delivery shipping"),
    ("送到", "delivery"),
    ("寄", "delivery"),
    ("退货", "return what I bought"),
    ("退款", "refund"),
    ("退", "return"),
    ("换货", "exchange"),
    ("坏", "damaged disc"),
    ("破损", "damaged disc"),
    ("发错", "wrong item"),
    ("礼品卡", "gift card"),
    ("优惠", "voucher discount"),
    ("支付", "payment methods"),
    ("付款", "payment methods"),
    ("信用卡", "pay by credit card"),
    ("发票", "invoice"),
    ("预订", "pre-order"),
    ("预购", "pre-order"),
    ("区码", "region code"),
    ("字幕", "subtitles"),
    ("账户", "account"),
    ("账号", "account"),
    ("密码", "password"),
    ("注销", "delete my account"),
    ("取消", "cancel my order"),
    ("地址", "change the delivery address"),
    ("订单", "order status"),
    ("营业时间", "opening hours"),
    ("联系", "contact"),
    ("隐私", "privacy"),
    ("投诉", "complaint"),
)

_ASKING: tuple[tuple[str, str], ...] = (
    ("怎么", "how do I"),
    ("如何", "how do I"),
    ("可以", "can I"),
    ("能不能", "can I"),
)
"""How a question begins; said only before words of `_WORDS`, because alone it asks for nothing."""
_CHINESE = re.compile("[\u4e00-\u9fff]")


def is_chinese(text: str) -> bool:
    """Whether `text` has Chinese characters."""
    return _CHINESE.search(text) is not None


def english_question(text: str) -> str:
    """The English words for what `text` asks about, in the order of the text; "" where none is known."""
    found: list[tuple[int, str]] = []
    taken = text
    for chinese, english in _WORDS:
        place = taken.find(chinese)
        if place >= 0:
            found.append((place, english))
            taken = taken.replace(chinese, "　" * len(chinese))
    if not found:
        return ""
    asking = next((english for chinese, english in _ASKING if chinese in text), "")
    return " ".join([asking, *(english for _, english in sorted(found))]).strip()
