"""Hook of MkDocs: the pages link to files of the checkout, which are no part of the site.

`[cards](../examples/bcnet)` becomes *cards* (`examples/bcnet`): a code host follows the link, the
site says where the file is. A link to what does not exist fails the strict build.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[1] / "docs"
_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(((?:\.\./)+[^)#\s]+)\)")
_log = logging.getLogger("mkdocs.hooks.docs_links")


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """The page's text with the links that leave `docs` written as paths from the root."""
    folder = (DOCS / page.file.src_uri).parent

    def written(match: re.Match[str]) -> str:
        target = (folder / match[2]).resolve()
        if target.is_relative_to(DOCS):
            return match[0]
        if not target.exists():
            _log.warning("%s: no file %s", page.file.src_uri, match[2])
        path = target.relative_to(DOCS.parent).as_posix()
        return f"`{path}`" if match[1].strip("`") in path else f"*{match[1]}* (`{path}`)"

    return _LINK.sub(written, markdown)
