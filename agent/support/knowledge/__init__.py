"""The team's articles: read from files, cut at headings, searched, quoted."""
