"""Documents on paper: worksheets, set by typst as PDF, SVG and PNG."""
