"""Prices as shops write them: "$12.99", "12,90 €", "1.299,00 EUR", 12.9.

A wrong price is worse than no item: whatever can be read in two ways is refused. Knows nothing of rows.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from retrieval.loading.values import to_number

MAX_PRICE: Final = Decimal(10) ** 12
FLOAT_PLACES: Final = 4
"""A binary float is rounded to so many places: 19.990000000000002 was meant as 19.99."""

ISO_4217: Final = frozenset(
    "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF"
    " CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG"
    " HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA"
    " MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD"
    " RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX"
    " USD UYU UZS VED VES VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG".split()
)
_THREE_PLACES: Final = frozenset(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"))

SYMBOLS: Final = {
    "$": "USD", "US$": "USD", "€": "EUR", "£": "GBP", "¥": "JPY", "￥": "CNY", "₹": "INR", "₩": "KRW", "₽": "RUB",
    "₺": "TRY", "₫": "VND", "₴": "UAH", "₪": "ILS", "฿": "THB", "₱": "PHP", "₦": "NGN", "₸": "KZT", "C$": "CAD",
    "CA$": "CAD", "A$": "AUD", "AU$": "AUD", "HK$": "HKD", "NZ$": "NZD", "R$": "BRL", "S$": "SGD", "NT$": "TWD",
    "MX$": "MXN", "ZŁ": "PLN", "KČ": "CZK", "FT": "HUF", "FR.": "CHF", "SFR.": "CHF", "元": "CNY", "円": "JPY",
    "RS.": "INR", "RS": "INR", "EURO": "EUR", "EUROS": "EUR", "KR": "", "KR.": "",
}  # fmt: skip
"""Marks in upper case; "" is a currency of several countries that only the catalogue's column can tell apart."""

_SHARED: Final = {
    "$": frozenset("USD AUD CAD NZD SGD HKD TWD MXN ARS CLP COP FJD JMD XCD BBD BSD BMD BND LRD NAD TTD UYU".split()),
    "¥": frozenset(("JPY", "CNY")), "￥": frozenset(("JPY", "CNY")),
    "£": frozenset(("GBP", "GIP", "EGP", "FKP", "SHP")),
    "KR": frozenset(("SEK", "NOK", "DKK", "ISK")), "KR.": frozenset(("SEK", "NOK", "DKK", "ISK")),
    "RS": frozenset(("INR", "PKR", "LKR", "NPR", "MUR")), "RS.": frozenset(("INR", "PKR", "LKR", "NPR", "MUR")),
}  # fmt: skip
"""Marks that more than one currency uses."""

_PRICE = re.compile(r"(?P<before>[^\d\s.,+-][^\d\s+-]{0,5})?\s*(?P<number>\d[\d.,'’\s]*)(?P<after>[^\d.,+-]{0,7}\.?)")


@dataclass(frozen=True, slots=True)
class Price:
    """An exact amount and the currency mark that stood beside it ("" for none)."""

    amount: Decimal
    mark: str = ""


def parse_price(value: object, *, decimal_comma: bool = False) -> Price:
    """Read a price.

    Args:
        value: a number or a text.
        decimal_comma: whether the file writes 12,90 for twelve and nine tenths (CSV parted by semicolons).

    Raises:
        ValueError: the price cannot be read with certainty; the message says why.
    """
    if isinstance(value, str):
        price = _of_text(value, decimal_comma=decimal_comma)
    elif to_number(value) is not None and isinstance(value, int | float | Decimal):
        amount = Decimal(str(round(value, FLOAT_PLACES))) if isinstance(value, float) else Decimal(value)
        price = Price(amount)
    else:
        raise ValueError(f"price {str(value)[:40]!r} is not a number")
    if price.amount < 0:
        raise ValueError(f"price {str(value)[:40]!r} is negative")
    if price.amount > MAX_PRICE:
        raise ValueError(f"price {str(value)[:40]!r} is larger than any price")
    return price


def currency_of(mark: str) -> str | None:
    """The ISO 4217 code of a code or symbol; None where it is unknown or shared without a usual owner."""
    upper = mark.strip().upper()
    return upper if upper in ISO_4217 else SYMBOLS.get(upper) or None


def agree(mark: str, code: str) -> bool:
    """Whether a mark in the price may stand for the currency that another column names."""
    return currency_of(mark) == code or code in _SHARED.get(mark.strip().upper(), ())


def _of_text(text: str, *, decimal_comma: bool) -> Price:
    shown = text.strip()[:40]
    match = _PRICE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"price {shown!r} is not a price")
    marks = [
        mark for mark in ((match["before"] or "").strip(), (match["after"] or "").strip()) if mark not in ("", "-")
    ]
    if len(marks) > 1:
        marks = (
            [mark for mark in marks if currency_of(mark)][:1] if len({currency_of(m) for m in marks}) == 1 else marks
        )
    mark = marks[0] if marks else ""
    if len(marks) > 1 or (mark and currency_of(mark) is None and mark.upper() not in SYMBOLS):
        raise ValueError(f"price {shown!r} holds {' and '.join(marks)!r}, which is no currency")
    return Price(_amount(match["number"].strip(), mark, shown, decimal_comma=decimal_comma), mark)


def _amount(number: str, mark: str, shown: str, *, decimal_comma: bool) -> Decimal:
    digits = re.sub(r"[\s'’](?=\d{3}(?!\d))", "", number)  # 1 299,00 and 1'299.00
    point = _decimal_point(digits, mark, decimal_comma=decimal_comma)
    whole, _, cents = digits.partition(point) if point else (digits, "", "")
    groups = re.split(r"[.,]", whole)
    if any(len(group) != 3 for group in groups[1:]) or len(groups) > 1 and not 1 <= len(groups[0]) <= 3:
        raise ValueError(f"price {shown!r} can be read in more than one way")
    text = "".join(groups) + ("." + cents if cents else "")
    if not re.fullmatch(r"\d+(\.\d+)?", text):
        raise ValueError(f"price {shown!r} is not a price")
    return Decimal(text)


def _decimal_point(digits: str, mark: str, *, decimal_comma: bool) -> str:
    """Which of "." and "," parts the cents; "" where the number has none."""
    found = [sign for sign in digits if sign in ".,"]
    if not found:
        return ""
    if len(set(found)) == 2:
        return found[-1]
    sign = found[0]
    if len(found) > 1:
        return ""
    whole, _, rest = digits.partition(sign)
    if len(rest) != 3 or whole == "0" or currency_of(mark) in _THREE_PLACES:
        return sign
    if mark:  # "1.299 €" and "$1,299": nobody prices in tenths of a cent beside a currency sign
        return ""
    return sign if (sign == ",") == decimal_comma else ""
