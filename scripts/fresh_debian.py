"""A minimal Debian in a folder, made by debootstrap, with an ordinary user who may use sudo.

The network is reached from it as this computer reaches it: settings of apt and pip, and
certificates, are copied, and folders of packages that pip names can be read. Each command has
mounts and processes of its own (Linux namespaces): none is left when it ends, however it ends.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

SUITE = "bookworm"
PACKAGES = "ca-certificates", "git", "make", "sudo"
"""What a user has before README's first command: HTTPS, a checkout, `make`, a way to be root."""
USER = "user"
HOME = f"/home/{USER}"
SECONDS = 3600
"""For one command; the longest by far is the first installation over a slow network."""
SETTINGS = (
    *("/etc/resolv.conf", "/etc/hosts", "/etc/pip.conf", "/usr/local/share/ca-certificates"),
    *("/etc/ssl/certs/ca-certificates.crt", "/etc/apt/apt.conf", "/etc/apt/apt.conf.d"),
    *("/etc/apt/auth.conf", "/etc/apt/auth.conf.d"),
)
"""Files and folders of this computer that say how the network is reached."""
PIP_OF_USER = ".config/pip/pip.conf", ".pip/pip.conf"
VARIABLES = r"PIP_\w+|\w+_PROXY|SSL_CERT_FILE|REQUESTS_CA_BUNDLE"
ALONE = "unshare", "--mount", "--pid", "--fork", "--kill-child"
ENTER = """set -e
root=$1 user=$2
shift 2
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount --rbind /sys "$root/sys"
while [ "$1" != -- ]; do
    mkdir -p "$root$1"
    mount --bind "$1" "$root$1"
    mount -o remount,bind,ro "$root$1"
    shift
done
shift
exec /usr/sbin/chroot --userspec="$user" "$root" "$@"
"""
"""Run behind ALONE, with the root, the user, folders to be read, `--` and a command."""


class StepError(Exception):
    """A command failed; the text has its last lines."""


@dataclass(frozen=True)
class Debian:
    """Its folder, what of this computer can be read there, and the user's variables."""

    root: Path
    folders: tuple[Path, ...]
    environment: dict[str, str]

    def run(self, *command: str, user: str = USER) -> str:
        """What a command prints; StepError if it fails or takes longer than SECONDS."""
        folders = map(str, self.folders)
        enter = [*ALONE, "sh", "-c", ENTER, "sh", str(self.root), user, *folders, "--"]
        environment = {**self.environment, "PATH": "/usr/bin:/bin"}
        return output(*enter, *command, environment=environment)

    def path(self, inside: str) -> Path:
        """Where a file or folder of the Debian is on this computer."""
        return self.root / inside.lstrip("/")


def output(*command: str, environment: dict[str, str] | None = None) -> str:
    """What a command prints, errors among it; StepError as for `Debian.run`."""
    try:
        done = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise StepError(f"not done after {SECONDS} s") from None
    if done.returncode:
        last = "\n".join(done.stdout.splitlines()[-30:])
        raise StepError(f"status {done.returncode}\n{last}")
    return done.stdout


def fresh(root: Path, home: Path) -> Debian:
    """Make it in an empty folder; `home` has pip's settings of whoever runs this."""
    root.chmod(0o755)
    include = f"--include={','.join(PACKAGES)}"
    output(*ALONE, "debootstrap", "--variant=minbase", include, SUITE, str(root))
    variables = {
        name: text
        for name, text in os.environ.items()
        if re.fullmatch(VARIABLES, name, re.IGNORECASE)
    }
    configured = [Path("/etc/pip.conf"), *(home / name for name in PIP_OF_USER)]
    texts = [path.read_text(encoding="utf-8") for path in configured if path.exists()]
    named = named_paths([*variables.values(), *texts])
    for path in [*map(Path, SETTINGS), *(path for path in named if path.is_file())]:
        copy(path, root / path.relative_to("/"))
    folders = tuple(path for path in named if path.is_dir())
    debian = Debian(root, folders, {**variables, "HOME": HOME, "USER": USER})
    sudoers = f"{USER} ALL=(ALL) NOPASSWD: ALL"
    script = f"/usr/sbin/useradd --create-home --shell /bin/bash {USER}\n"
    debian.run("sh", "-ec", f"{script}echo '{sudoers}' >/etc/sudoers.d/{USER}", user="root")
    for name in PIP_OF_USER:
        copy(home / name, debian.path(HOME) / name)
    debian.run("chown", "-R", f"{USER}:{USER}", HOME, user="root")
    return debian


def named_paths(settings: Iterable[str]) -> list[Path]:
    """Files and folders that pip's settings name; of a local index the folder around it.

    The pages of a local index link to files beside it.
    """
    found = set()
    for text in settings:
        for scheme, name in re.findall(r"(file://|(?<![\w/.:]))(/[^\s'\"]+)", text):
            path = Path(name).parent if scheme else Path(name)
            if path.exists() and path != Path("/"):
                found.add(path)
    return sorted(found)


def copy(source: Path, target: Path) -> None:
    """A file or a folder, where there is one, in place of what is there."""
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True)
    elif source.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        shutil.copy2(source, target)
