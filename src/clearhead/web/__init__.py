"""The live page: a problem to be changed, with its working following, served to this machine alone.

`guard` lets in only what comes from the page itself; `work` makes of a problem and a change the next problem and what
the page shows of it; `server` is the application. The server keeps nothing: each request brings its problem along.
"""

from clearhead.web.server import application

__all__ = ["application"]
