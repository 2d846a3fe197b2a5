"""Declarations of plug-ins: one file per kind; read it to write a plug-in (docs/extending.md)."""
