"""HTML of the page from Jinja templates. Text is always escaped; knows nothing of what it means.

`gr.HTML` puts the finished markup in as the value of its default template, which does not read it
again. Besides what HTML needs, `{`, `$` and backticks are written as character references: should a
later Gradio evaluate values as templates, catalogue text would still be only text.
"""

from __future__ import annotations

import re
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

_TEMPLATE_SIGNS = str.maketrans({"{": "&#123;", "}": "&#125;", "$": "&#36;", "`": "&#96;"})
# Ends before closing punctuation, so that "(see https://a.example/b)." links without ")."
_URL = re.compile(r"https?://[^\s<>\"'`{}|\\^]*[^\s<>\"'`{}|\\^.,;:!?)\]，。；：！？）】”’]", re.IGNORECASE)
MAX_LINK_CHARS = 60
"""A longer address is shown shortened; the link keeps it whole."""


def as_text(value: object) -> Markup:
    """`value` escaped for HTML text and quoted attributes; Markup passes as it is."""
    if isinstance(value, Markup):
        return value
    # The input is escaped by the first call; the second step only turns signs into references.
    return Markup(str(escape(value)).translate(_TEMPLATE_SIGNS))  # noqa: S704


def linked(text: str) -> Markup:
    """`text` escaped, with its http(s) addresses as links that open in a new tab."""
    parts, end = [], 0
    for match in _URL.finditer(text):
        url = match.group()
        shown = url if len(url) <= MAX_LINK_CHARS else url[: MAX_LINK_CHARS - 1] + "…"
        parts.append(as_text(text[end : match.start()]))
        parts.append(
            Markup('<a href="{}" target="_blank" rel="noopener noreferrer nofollow">{}</a>').format(
                as_text(url), as_text(shown)
            )
        )
        end = match.end()
    parts.append(as_text(text[end:]))
    return Markup("").join(parts)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("ui", "templates"),
        autoescape=True,
        finalize=as_text,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["linked"] = linked
    return environment


def render(template: str, **context: object) -> str:
    """The HTML of `ui/templates/<template>.html.j2`."""
    return _environment().get_template(f"{template}.html.j2").render(**context)
