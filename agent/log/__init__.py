"""The event log: conversations, turns, what was shown, and every reaction, in SQL.

`agent.log.store.EventLog` is the door; what goes in and out stands in `agent.log.records`. Everything that
learns reads this log and nothing else.
"""
