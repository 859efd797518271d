"""The live page: a problem that can be changed, with its working computed again, served to this machine only.

`guard` accepts only requests of the page itself; `work` makes the next problem, and its page, of a problem and a
change; `server` is the application. The server keeps nothing: each request contains its problem.
"""

from clearhead.web.server import application

__all__ = ["application"]
