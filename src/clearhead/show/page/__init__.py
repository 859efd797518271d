"""The page: one HTML file with a trace, which shows the arithmetic of every cell.

`content` makes plain data of a trace; `arrays` packs its numbers; `font` makes a subset of a mathematical font for
the letters of formulas; `assemble` joins these and the modules and styles of this folder into one file.
"""

from clearhead.show.page.assemble import page, page_of
from clearhead.show.page.content import claimed_cells, content_of

__all__ = ["claimed_cells", "content_of", "page", "page_of"]
