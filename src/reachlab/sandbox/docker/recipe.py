"""The default image, built on first use from this machine's CPython: no registry, no network.

    python -m reachlab.sandbox.docker.recipe

It carries a label with what it was made from; one made from something else is made anew.
Not covered: packages. For those name an image of your own, with Python 3.11 or newer and no volumes.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import platform
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from reachlab import __version__
from reachlab.errors import BadValue, ToolFault, UnknownName
from reachlab.sandbox.docker import rootfs
from reachlab.sandbox.docker.engine import connect, faults, sdk
from reachlab.sandbox.jail.inside import owners

DEFAULT = "reachlab-sandbox"
LABEL = "reachlab.image"
_DOCKERFILE = "FROM scratch\nADD root.tar /\nENV PATH=/usr/local/bin:/usr/bin:/bin LANG=C.UTF-8\nWORKDIR /tmp\n"


def version() -> str:
    """What the image is made from: this library, this interpreter, this recipe."""
    recipe = hashlib.sha256(_DOCKERFILE.encode() + Path(rootfs.__file__).read_bytes()).hexdigest()[:12]
    return f"{__version__}-{platform.python_implementation()}-{platform.python_version()}-{recipe}"


def ensure(client: Any, image: str) -> None:
    """The image is there, built if it is the default one, and fit for a sandbox."""
    with faults("looking for an image"):
        found = _inspect(client, image)
        if image == DEFAULT and (found is None or _config(found, "Labels").get(LABEL) != version()):
            build(client)
            found = _inspect(client, image)
        if found is None:
            known = [tag for entry in client.api.images() for tag in entry.get("RepoTags") or ()]
            raise UnknownName("image", image, known, f"docker pull {image} fetches it from a registry.")
    if volumes := sorted(_config(found, "Volumes")):
        raise BadValue(f"image {image!r}", volumes, "no volumes: what a run writes there would be left for the next")


def build(client: Any) -> None:
    """Build the default image, whether it is there or not."""
    with faults("building the image"), tempfile.TemporaryFile() as context:
        _write_context(context)
        context.seek(0)
        answers = client.api.build(
            fileobj=context, custom_context=True, tag=DEFAULT, labels={LABEL: version()}, rm=True, forcerm=True,
            network_mode="none", decode=True,
        )  # fmt: skip
        problems = [answer["error"] for answer in answers if "error" in answer]
    if problems:
        raise ToolFault(f"the Docker engine could not build the image: {problems[0]}")


def _write_context(file: Any) -> None:
    """A Dockerfile and the root file system, as the engine takes them."""
    with tempfile.TemporaryDirectory(prefix=owners.prefix("image")) as folder, tempfile.TemporaryFile() as packed:
        rootfs.fill(Path(folder))
        with tarfile.open(fileobj=packed, mode="w") as tar:
            for name in sorted(os.listdir(folder)):
                tar.add(os.path.join(folder, name), name, filter=_everybodys)
        with tarfile.open(fileobj=file, mode="w") as tar:
            dockerfile = tarfile.TarInfo("Dockerfile")
            dockerfile.size = len(_DOCKERFILE)
            tar.addfile(dockerfile, io.BytesIO(_DOCKERFILE.encode()))
            root = tarfile.TarInfo("root.tar")
            root.size = packed.tell()
            packed.seek(0)
            tar.addfile(root, packed)


def _everybodys(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """Root's, readable by all, writable by nobody else, without the setuid bit."""
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    entry.mode = (entry.mode | 0o444 | (0o111 if entry.isdir() or entry.mode & 0o111 else 0)) & 0o755
    return entry


def _inspect(client: Any, image: str) -> dict[str, Any] | None:
    try:
        return dict(client.api.inspect_image(image))
    except sdk().errors.ImageNotFound:
        return None


def _config(found: dict[str, Any], key: str) -> dict[str, Any]:
    return dict((found.get("Config") or {}).get(key) or {})


if __name__ == "__main__":
    build(connect())
    print(json.dumps({"image": DEFAULT, "version": version()}))
