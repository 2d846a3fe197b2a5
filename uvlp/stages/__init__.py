"""Each stage reads artifacts, calls one hook, checks the result and writes one artifact.

Every file has ``run(work: Work) -> None``. Stages never import each other, and import heavy
libraries only inside ``run``, because keys and finished results are answered without them.
"""
