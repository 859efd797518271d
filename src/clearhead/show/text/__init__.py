"""Documents as text: plain, Markdown, LaTeX, HTML."""
