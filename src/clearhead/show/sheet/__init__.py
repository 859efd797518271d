"""A trace as a spreadsheet with live formulas, for Excel 2016 and later and for LibreOffice."""
