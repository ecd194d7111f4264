"""The packet of a handoff as the text of a private note, for help desks that show text."""

from __future__ import annotations

from agent.messages import Messages
from agent.support.handoff.packet import Packet, PacketItem, Tried


def note_of(packet: Packet, words: Messages) -> str:
    """Everything that the team should know, the most important first; Markdown."""
    lines = [
        *packet.summary,
        words.text("packet.open_question", text=packet.open_question) if packet.open_question else "",
        words.text("packet.mood", language=packet.language, mood=packet.mood),
        words.text("packet.contact", contact=", ".join(packet.contact)) if packet.contact else "",
    ]
    if packet.items:
        lines += ["", words.text("packet.items"), *(f"- {_item(item)}" for item in packet.items)]
    if packet.tried:
        lines += ["", words.text("packet.tried_list"), *(f"- {_tried(one)}" for one in packet.tried)]
    lines += ["", words.text("packet.transcript", path=packet.transcript)]
    return "\n".join(line for n, line in enumerate(lines) if line or n >= len(packet.summary) + 3)


def _item(item: PacketItem) -> str:
    parts = [item.title, item.price or "", item.url or "", ", ".join(item.reactions)]
    return " · ".join(" ".join(part.split()) for part in parts if part)


def _tried(one: Tried) -> str:
    parts = [f"“{one.said}”", one.action, ", ".join(one.sources)]
    return " → ".join(part for part in parts if part)
