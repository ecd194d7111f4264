"""Progress bars and notices of transformers, switched off for the whole process."""

from __future__ import annotations


def quiet_transformers() -> None:
    """Only errors are logged from here on, and no bar is drawn; for processes that own their output."""
    from transformers.utils import logging

    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
