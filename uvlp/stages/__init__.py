"""Stages: each reads artifacts, calls one plug-in, checks the result and writes one artifact.

Every file has ``run(work: Work) -> None``. Stages never import each other, and import heavy libraries only
inside ``run``, because keys and finished artifacts do not need them.
"""
