"""One thread at a time makes the first import of transformers, whose lazy module fails for a second one (ImportError).

Knows nothing of what is imported.
"""

from __future__ import annotations

import threading

FIRST_IMPORT = threading.Lock()
"""Held around imports of transformers and of what imports it, where another thread may do the same."""
