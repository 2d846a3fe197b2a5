"""What the user sees of a run: lines by kind, bars, the width of a terminal."""
