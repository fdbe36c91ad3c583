"""Fetch Swagger UI from npm, check it, and put what /docs needs into src/mailapps/api/assets/swagger-ui.

Run it to change the version: set VERSION and INTEGRITY (`npm view swagger-ui-dist@VERSION dist.integrity`),
then `python tools/vendor_swagger.py`. With `--check` it fetches nothing and checks the files in the tree.
"""

from __future__ import annotations

import base64
import hashlib
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

VERSION = "5.35.0"
INTEGRITY = "sha512-U06rpMtW9V3XPGOBeamTUSr0Z09jMX4IJuANpE/EZbAhw0G8CgwrzU4YmXkn/h0wCDNsXdGarTNNHC3sU8yVUQ=="
FILES = (
    "LICENSE",
    "NOTICE",
    "favicon-32x32.png",
    "swagger-ui-bundle.js",
    "swagger-ui-bundle.js.LICENSE.txt",
    "swagger-ui.css",
)
HOME = Path(__file__).resolve().parent.parent / "src/mailapps/api/assets/swagger-ui"


def main() -> None:
    """Fetch or check, as the command line says."""
    if "--check" in sys.argv:
        check()
    else:
        with tempfile.TemporaryDirectory() as room:
            unpack(fetch(Path(room)))
        (HOME / "SHA256SUMS").write_text(sums(), encoding="ascii")
    print(f"swagger-ui-dist {VERSION}: {len(FILES)} files in {HOME}")


def fetch(room: Path) -> Path:
    """Return the package as npm has it, whose hash is the one above."""
    subprocess.run(["npm", "pack", "--silent", f"swagger-ui-dist@{VERSION}"], cwd=room, check=True)
    (package,) = room.glob("*.tgz")
    found = base64.b64encode(hashlib.sha512(package.read_bytes()).digest()).decode()
    if f"sha512-{found}" != INTEGRITY:
        sys.exit(f"{package.name} has the hash sha512-{found}, expected was {INTEGRITY}")
    return package


def unpack(package: Path) -> None:
    """Write the files that are needed; their names are ours, so that no path in the package matters."""
    HOME.mkdir(parents=True, exist_ok=True)
    with tarfile.open(package) as archive:
        for name in FILES:
            member = archive.extractfile(f"package/{name}")
            assert member is not None, f"{name} is not in the package"
            text = member.read()
            # without its last line the browser looks for no source map, which is not here
            (HOME / name).write_bytes(text.partition(b"\n//# sourceMappingURL=")[0].partition(b"\n/*# sourceMapp")[0])


def sums() -> str:
    """Return the hashes of the files as `sha256sum` writes them."""
    return "".join(f"{hashlib.sha256((HOME / name).read_bytes()).hexdigest()}  {name}\n" for name in FILES)


def check() -> None:
    """Leave with an error if a file is not as it was written."""
    if (HOME / "SHA256SUMS").read_text(encoding="ascii") != sums():
        sys.exit(f"{HOME}: a file was changed by hand; run tools/vendor_swagger.py")


if __name__ == "__main__":
    main()
