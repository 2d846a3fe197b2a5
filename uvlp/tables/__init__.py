"""Tables of results: cells, notes, uncertainty, comparisons."""
