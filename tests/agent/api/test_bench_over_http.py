"""The benchmark's customers reach a real server with OpenAI's client and get our object."""

from __future__ import annotations

from scripted_chat import Server

from agent.bench.dialogue.bots import OverHttp


async def test_our_own_server_can_be_measured(server: Server) -> None:
    bot = await OverHttp.open(f"{server.url}/v1", "")
    try:
        first = await bot.reply("hello", [], None)
        assert bot.model == "chatalogue"
        assert first.answer is not None
        assert first.text
        again = await bot.reply("more", [], first.answer.session_id)
        assert again.answer is not None
        assert server.chat.asked[-1].session_id == first.answer.session_id
    finally:
        await bot.close()
