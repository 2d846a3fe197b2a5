"""What a plug-in of each room declares: one file per room, read this to write one (docs/extending.md)."""
