"""Options that several commands have. Only light imports."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ConfigOption = Annotated[Path | None, typer.Option("--config", help="Settings file; default: chatalogue.toml.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Machine-readable output on stdout.")]
