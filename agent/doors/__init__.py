"""Doors for other help desks: their webhooks in, our replies by their API. Who may knock: agent/api/doors.py."""
