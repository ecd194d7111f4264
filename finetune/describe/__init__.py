"""Better descriptions of items: a model writes, two checks and a discriminator judge, retrieval decides."""
