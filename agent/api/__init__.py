"""The HTTP API: OpenAI's chat endpoint, and a small typed one for feedback, wishes and conversations.

`agent.api.app.create_api` makes the application; nothing is imported here, so that the command line
starts without FastAPI.
"""
