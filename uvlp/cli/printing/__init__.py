"""What commands print instead of a run: its settings, and its cost."""
