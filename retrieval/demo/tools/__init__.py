"""How the demo shop's files are made and checked: for this repository, not shipped in the wheel."""
