"""Leases: which process makes what, on file systems that several hosts share."""
