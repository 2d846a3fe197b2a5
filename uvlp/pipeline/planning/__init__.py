"""A recipe as tasks: what gets a row, and what is made for it. Nothing is read or made here."""
