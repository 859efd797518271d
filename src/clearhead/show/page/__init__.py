"""The page: one HTML file with a trace in it, to be looked through cell by cell.

`content` says what of a trace a page holds, as plain data; `arrays` packs its numbers; `font` cuts the letters of
formulas out of a mathematical font; `assemble` puts these and the modules and styles of this folder into one file.
"""

from clearhead.show.page.assemble import page, page_of
from clearhead.show.page.content import content_of

__all__ = ["content_of", "page", "page_of"]
