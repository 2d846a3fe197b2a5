"""Compare two images file by file: two builds of one commit must have the same files and packages.

    python -m tools.image_files IMAGE           SHA-256, mode, owner and name of every file
    python -m tools.image_files IMAGE OTHER     what differs; exit code 1 if anything does

Times are not compared: the classic builder gives layers the time of the build.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tarfile
from typing import IO, cast

from uvlp.core.errors import UvlpError

MADE_BY_THE_ENGINE = {".dockerenv", "dev/console", "etc/hostname", "etc/hosts", "etc/mtab", "etc/resolv.conf"}
BLOCK = 2**20


def files_of(image: str) -> dict[str, str]:
    """Return content hash or link target, mode and owner of every file of ``image`` by its name.

    Raises:
        UvlpError: no Docker engine, or no such image.
    """
    container = _docker("create", image)
    try:
        with subprocess.Popen(["docker", "export", container], stdout=subprocess.PIPE) as export:
            found = listing(cast(IO[bytes], export.stdout))
        if export.returncode != 0:
            raise UvlpError("docker export failed", got=image)
        return found
    finally:
        _docker("rm", container)


def listing(archive: IO[bytes]) -> dict[str, str]:
    """Return the same for a tar archive, which is read once."""
    found = {}
    with tarfile.open(fileobj=archive, mode="r|") as members:
        for member in members:
            if member.name not in MADE_BY_THE_ENGINE:
                content = _content(members, member)
                found[member.name] = f"{content} {member.mode:o} {member.uid}:{member.gid}"
    return found


def _content(members: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    if member.issym() or member.islnk():
        return f"-> {member.linkname}"
    data = members.extractfile(member) if member.isfile() else None
    if data is None:
        return "(directory)" if member.isdir() else "(device)"
    digest = hashlib.sha256()
    while block := data.read(BLOCK):
        digest.update(block)
    return digest.hexdigest()


def differing(ours: dict[str, str], theirs: dict[str, str]) -> list[str]:
    """Return the names of files that are missing in one or not the same in both."""
    return sorted(name for name in {*ours, *theirs} if ours.get(name) != theirs.get(name))


def _docker(*words: str) -> str:
    try:
        done = subprocess.run(["docker", *words], capture_output=True, encoding="utf-8", check=False)
    except FileNotFoundError:
        raise UvlpError("there is no docker command", fix="install Docker") from None
    if done.returncode != 0:
        raise UvlpError(f"docker {words[0]} failed", got=done.stderr.strip().replace("\n", " "))
    return done.stdout.strip()


def main(images: list[str]) -> int:
    """Print the files of one image, or what differs between two."""
    try:
        first, *others = [files_of(image) for image in images]
    except UvlpError as error:
        print(f"image_files: {error}", file=sys.stderr)
        return 2
    if not others:
        print("\n".join(f"{facts}  {name}" for name, facts in sorted(first.items())))
        return 0
    names = differing(first, others[0])
    for name in names:
        print(f"{name}: {first.get(name, 'missing')} | {others[0].get(name, 'missing')}")
    print(f"{len(names)} of {len({*first, *others[0]})} files differ", file=sys.stderr)
    return 1 if names else 0


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: python -m tools.image_files IMAGE [OTHER]")
    sys.exit(main(sys.argv[1:]))
