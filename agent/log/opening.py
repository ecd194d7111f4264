"""The log of the settings: what every command and the server open it by."""

from __future__ import annotations

from agent.log.store import EventLog
from agent.secrecy import make_sealer
from agent.settings import Settings


def open_log(settings: Settings) -> EventLog:
    """Open it with the database and the sealing keys that the settings name.

    Raises:
        DataDirectoryError: the folder or the database cannot be used, or is sealed with a key that is not ours.
        SettingsError: the database's URL or a key does not fit.
    """
    return EventLog.open(settings.database.url.get_secret_value(), settings.data_dir, make_sealer(settings))
