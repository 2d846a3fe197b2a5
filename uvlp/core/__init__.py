"""Shared by all packages and importing none of them: errors, seeds, hashes, progress, plug-ins."""
