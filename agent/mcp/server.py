"""The tools in the protocol's words, by the protocol's own SDK: over HTTP, a server for each request, or over stdio.

Only here the package `mcp` is imported, which takes a second. Knows nothing of what the tools do.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fastapi.exceptions import RequestValidationError
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.shared.exceptions import MCPError
from mcp.types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    ToolAnnotations,
)
from mcp.types import Tool as ToolEntry
from pydantic import ValidationError
from starlette.types import Receive, Scope, Send

from agent.api.errors import MAX_BODY_BYTES, failure_of
from agent.api.schemas import as_json
from agent.mcp.tools import INSTRUCTIONS, TOOLS, Desk, Tool

NAME: Final = "chatalogue"


def make_server(desk: Desk, version: str) -> Server[dict[str, Any]]:
    """A server for one caller: it offers what their scopes allow, and keeps nothing between two requests."""
    offered = {tool.name: tool for tool in TOOLS if tool.scope in desk.caller.scopes}

    async def list_tools(_context: object, _params: PaginatedRequestParams | None) -> ListToolsResult:
        return ListToolsResult(tools=[_entry(tool) for tool in offered.values()])

    async def call_tool(_context: object, params: CallToolRequestParams) -> CallToolResult:
        if params.name not in offered:
            raise MCPError(INVALID_PARAMS, f"There is no tool {params.name!r} here; there are {', '.join(offered)}.")
        return await _called(offered[params.name], desk, params.arguments or {})

    return Server(
        NAME,
        version=version,
        title=desk.services.settings.chat.shop_name or "Chatalogue",
        instructions=INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


def _entry(tool: Tool) -> ToolEntry:
    hints = ToolAnnotations(read_only_hint=tool.reads, destructive_hint=False, open_world_hint=False)
    return ToolEntry(
        name=tool.name,
        title=tool.title,
        description=tool.description,
        input_schema=tool.arguments.model_json_schema(),
        output_schema=tool.result.model_json_schema(mode="serialization"),
        annotations=hints,
    )


async def _called(tool: Tool, desk: Desk, arguments: Mapping[str, Any]) -> CallToolResult:
    """What the tool says; what fails is one sentence, the API's own, which the other assistant can act on."""
    try:
        said = await tool.call(desk, tool.arguments.model_validate(arguments))
    except ValidationError as error:
        wrong = [{**one, "loc": ("arguments", *one["loc"])} for one in error.errors(include_url=False)]
        return _refusal(RequestValidationError(wrong))
    except Exception as error:  # as the API's border: logged there without words, told as one sentence
        return _refusal(error)
    text = TextContent(type="text", text=said.text)
    return CallToolResult(content=[text], structured_content=as_json(said.values))


def _refusal(error: Exception) -> CallToolResult:
    return CallToolResult(content=[TextContent(type="text", text=failure_of(error).message)], is_error=True)


async def answer_http(desk: Desk, version: str, scope: Scope, receive: Receive, send: Send) -> None:
    """One request of the streamable HTTP transport, stateless; hosts and origins are checked before (agent/api)."""
    manager = StreamableHTTPSessionManager(
        make_server(desk, version), json_response=True, stateless=True, max_request_body_size=MAX_BODY_BYTES
    )
    async with manager.run():
        await manager.handle_request(scope, receive, send)


async def serve_stdio(desk: Desk, version: str) -> None:
    """Answer on standard input and output until the input ends."""
    server = make_server(desk, version)
    async with stdio_server() as (incoming, outgoing):
        await server.run(incoming, outgoing, server.create_initialization_options())
