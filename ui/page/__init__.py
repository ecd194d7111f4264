"""The shopper's page: chat, cards, wishes and reactions. Draws and wires; decides nothing."""

from __future__ import annotations

from ui.page.mount import mount_page

__all__ = ["mount_page"]
