"""Whether a customer who waits for people would rather go on with the bot. Words, in English and Chinese."""

from __future__ import annotations

import re
from typing import Final

_BOT: Final = r"(?:the |this |your )?(?:chat ?bot|bot|assistant|robot|program|machine)"
_TAKES_BACK: Final = re.compile(
    r"\s*(?:(?:never ?mind|ok(?:ay)?|please|actually|no|sorry|forget it|then|well"
    r"|i(?:'d| would) (?:rather|like to|prefer to)"
    r"|let'?s|let me|can (?:i|we)|i(?:'ll| will)|i want to)[\s,.!]+)*"
    rf"(?:(?:go |get |come |switch |take me |bring me )?back to {_BOT}"
    rf"|(?:(?:go|carry) on|continue|keep going|talk|speak|chat)(?: (?:talking|chatting))? (?:with|to) {_BOT}"
    r"(?: instead| again)?"
    r"|(?:no need (?:for|to wait for)|i do(?:n'?t| not) (?:need|want)(?: to (?:wait for|talk to))?|don'?t (?:need|get)"
    r"|cancel|stop waiting for) (?:a |an |the |any |your )?(?:human|person|agent|team|handoff|hand ?over|people"
    r"|somebody|anybody|anyone)(?: (?:any ?more|after all))?"
    r"|i do(?:n'?t| not) want to wait(?: any ?more| any longer)?)"
    r"(?:[\s,.!]+(?:please|thanks|thank you|then|instead|again))*[\s,.!]*",
    re.IGNORECASE,
)
_QUOTES: Final = " \t\n\"'“”‘’「」.!。！"
_CHINESE: Final = re.compile(
    r"[\s，。！]*(?:(?:算了|好吧|那|不等了|请|还是|我想|我要)[\s，。！]*)*"
    r"(?:(?:回到|返回|转回|换回|切换回|继续(?:跟|和|与|用|找)?|用|跟|和)(?:机器人|助手|小助手|AI|ai)(?:聊|说|吧|继续|服务|对话)*"
    r"|不(?:用|要|需要|必)(?:转)?(?:人工|真人|客服)了?|不等(?:人工|真人|客服)?了|取消(?:转)?人工)"
    r"(?:吧|了|谢谢)?[\s，。！]*"
)


def takes_back(text: str) -> bool:
    """Whether the whole of `text` says so: "never mind, go on with the assistant"."""
    return any(pattern.fullmatch(text.strip(_QUOTES)) is not None for pattern in (_TAKES_BACK, _CHINESE))
