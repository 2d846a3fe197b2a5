"""The command line: options, requests, and one file per command."""
