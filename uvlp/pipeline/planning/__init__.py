"""Translation of a recipe into tasks. Nothing is read or computed here."""
