# SPDX-License-Identifier: MIT
"""Roots of Debian 12 and 13, made by mmdebstrap from this machine's own apt sources, and kept.

They are in build/roots, beside the build trees. A root is made anew when its recipe changes.
"""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from board import build_folder

RELEASES = ("bookworm", "trixie")
SOURCE = Path(__file__).parents[2]
NATIVE = subprocess.run(
    ["dpkg", "--print-architecture"], capture_output=True, text=True, check=True
).stdout.strip()
FOREIGN = [name for name in ("arm64", "armhf") if name != NATIVE]

MAKE_S = 1800  # about 60 s on an idle machine with a near mirror
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LC_ALL": "C.UTF-8",
    "DEBIAN_FRONTEND": "noninteractive",
}


class RootFailed(Exception):
    """A root could not be made, or a command failed in it."""


def need_tools(*names: str) -> None:
    """Skips the test where it cannot run: not root, or a program is missing."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    for name in names:
        if not shutil.which(name):
            pytest.skip(f"{name} is missing")


def sources(release: str) -> list[str]:
    """This machine's line of Debian's archive, for another release. Updates are left out: a mirror
    that is being renewed has them for one architecture and not for another."""
    own = re.search(r"^VERSION_CODENAME=(\w+)", Path("/etc/os-release").read_text(), re.M)
    targets = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(ORIGIN)\t$(REPO_URI)\t$(RELEASE)\t$(COMPONENT)",
         "Identifier: Packages"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    lines = {}
    for origin, uri, suite, component in (line.split("\t") for line in targets.splitlines()):
        if own and (origin, suite, component) == ("Debian", own[1], "main"):
            lines[f"deb {uri} {release} {component}"] = None
    if not lines:
        pytest.skip("no sources of Debian here: run apt-get update")
    return list(lines)


def folder() -> Path:
    made = build_folder().parent / "roots"
    made.mkdir(parents=True, exist_ok=True)
    return made


@contextmanager
def one_at_a_time(name: str) -> Iterator[None]:
    with (folder() / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def make(name: str, release: str, variant: str, packages: Iterable[str],
         architectures: Iterable[str] = (), afterwards: Iterable[str] = (),
         files: Iterable[Path] = ()) -> Path:  # fmt: skip
    """The root NAME of a release, made unless it is there by the same recipe.

    afterwards   shell commands to run in it, with the network; `files` are in /root then
    """
    options = [f"--variant={variant}", f"--include={','.join(packages)}"]
    if architectures:
        options.append(f"--architectures={','.join(architectures)}")
    commands = list(afterwards)
    recipe = repr((options, commands, [path.read_bytes() for path in files]))
    digest = hashlib.sha256(recipe.encode()).hexdigest()[:10]
    root = folder() / f"{release}-{name}-{digest}"
    with one_at_a_time(f"{release}-{name}"):
        if root.is_dir():
            return root
        for other in folder().glob(f"{release}-{name}-*"):
            if other.is_dir():
                remove(other)
        fresh = root.with_suffix(".new")
        run(["mmdebstrap", "--quiet", *options, release, fresh, *sources(release)])
        for path in files:
            shutil.copy(path, fresh / "root")
        (fresh / "etc/hosts").write_text("127.0.0.1 localhost\n::1 localhost\n")
        for command in ["apt-get update", *commands, "apt-get clean"]:
            inside(fresh, command)
        fresh.rename(root)
    return root


def remove(root: Path) -> None:
    run(["rm", "-rf", "--one-file-system", root])


def run(command: list, timeout: float = MAKE_S) -> str:
    done = subprocess.run(
        list(map(str, command)), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, errors="replace", timeout=timeout,
    )  # fmt: skip
    if done.returncode != 0:
        raise RootFailed(f"{' '.join(map(str, command))}: {done.returncode}\n{done.stdout[-4000:]}")
    return done.stdout


ENTER = """
root=$1; shift
mount --rbind /dev "$root/dev"; mount --rbind /sys "$root/sys"
exec chroot "$root" env -i "$@"
"""


def inside(root: Path, command: str, timeout: float = MAKE_S, check: bool = True) -> str:
    """Runs a shell command in a root that is not booted, in namespaces of its own but the network.

    What it mounts is gone with it, and so is every process that it leaves behind.
    """
    if Path("/etc/resolv.conf").exists():
        shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
    environment = [f"{key}={value}" for key, value in ENVIRONMENT.items()]
    whole = ["unshare", "--mount", "--pid", "--fork", "--kill-child", f"--mount-proc={root}/proc",
             "bash", "-ec", ENTER, "_", root, *environment, "sh", "-ec", command]  # fmt: skip
    if check:
        return run(whole, timeout)
    done = subprocess.run(
        list(map(str, whole)), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, errors="replace", timeout=timeout,
    )  # fmt: skip
    return done.stdout


# --- the roots that the suites share


def for_building(release: str) -> Path:
    """Builds packages for all our architectures, runs their tests, and knows lintian."""
    control = SOURCE / "debian/control"
    crossing = [f"crossbuild-essential-{name}" for name in FOREIGN]
    dependencies = [
        "mkdir -p /root/source/debian",
        "cp /root/control /root/source/debian",
        "apt-get build-dep -y --no-install-recommends /root/source",
    ]
    for name in FOREIGN:
        dependencies.append(
            f"apt-get build-dep -y --no-install-recommends -a{name} -P cross,nocheck --arch-only"
            " /root/source"
        )
    return make(
        "build", release, "buildd",
        ["debhelper", "lintian", "qemu-user-static", "libsimavr-dev", "libelf-dev", *crossing],
        architectures=[NATIVE, *FOREIGN], afterwards=dependencies, files=[control],
    )  # fmt: skip


def for_running(release: str, depends: str) -> Path:
    """A machine as a user has it, with a broker, and everything that sensorgw depends on."""
    return make(
        "run", release, "apt",
        ["systemd-sysv", "dbus", "udev", "openssl", "ca-certificates", "iproute2",
         "unattended-upgrades", "rabbitmq-server", "avrdude", "libsimavr2", "libelf1"],
        afterwards=[
            f"apt-get satisfy -y --no-install-recommends '{depends}'",
            "systemctl disable rabbitmq-server epmd.socket epmd.service apt-daily.timer"
            " apt-daily-upgrade.timer unattended-upgrades",
        ],
    )  # fmt: skip


def for_autopkgtest(release: str, depends: str) -> Path:
    """A testbed for debian/tests: all that it needs is there but sensorgw itself."""
    return make(
        "autopkgtest", release, "apt",
        ["systemd-sysv", "dbus", "udev", "autopkgtest", "dpkg-dev", "mosquitto", "mosquitto-clients",
         "openssl", "python3"],
        afterwards=[f"apt-get satisfy -y --no-install-recommends '{depends}'"],
    )  # fmt: skip


DOWNLOADED = "/var/cache/downloaded"
NEWCOMER = "newcomer"


def for_newcomer(release: str, packages: Iterable[str]) -> Path:
    """A bare Debian with a user who may ask for sudo.

    These packages are not installed, but in a cache, so that it needs no network: what listens in
    its own can then only be its own.
    """
    return make(
        "newcomer", release, "apt", ["systemd-sysv", "dbus", "passwd", "sudo"],
        afterwards=[
            f"useradd --create-home --shell /bin/bash {NEWCOMER}",
            f"echo '{NEWCOMER} ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/{NEWCOMER}",
            f"mkdir -p {DOWNLOADED}/partial && apt-get install -y --no-install-recommends"
            f" --download-only -o Dir::Cache::archives={DOWNLOADED} {' '.join(packages)}",
        ],
    )  # fmt: skip
