"""Webhooks out: which addresses may be told (guard), and the telling (sending). What is told: agent/log/outbox.py."""
