"""What every room needs and what needs no room: errors, seeds, hashes, progress, plug-ins."""
