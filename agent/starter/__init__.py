"""The adapter that comes with the product: its files, made by `make starter`, and how an engine gets it."""
