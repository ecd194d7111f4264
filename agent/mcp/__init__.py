"""Search, recommendations and answers for other assistants, over the Model Context Protocol.

Tools over the same services as the API (agent/api), with the same keys. Whoever imports `server` here needs the package
`mcp`; nothing else does.
"""
