# SPDX-License-Identifier: MIT
"""Debian packages of this source tree, built in the roots of roots.py."""

import json
import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import roots

BUILDER = "builder"  # an ordinary user: some unit tests are other ones for root
CHANGELOG = "{source} ({version}) unstable; urgency=medium\n\n  * For a test.\n\n -- {by}\n\n"


@dataclass(frozen=True)
class Built:
    """What one build made."""

    release: str
    architecture: str
    log: str
    files: tuple[Path, ...]

    def deb(self, name: str = "sensorgw") -> Path:
        return next(path for path in self.files if re.fullmatch(rf"{name}_.*\.deb", path.name))

    @property
    def changes(self) -> Path:
        return next(path for path in self.files if path.suffix == ".changes")

    def field(self, name: str, package: str = "sensorgw") -> str:
        return roots.run(["dpkg-deb", "-f", self.deb(package), name]).strip()


def listed(*groups: str) -> list[str]:
    """The packages of these groups of tests/packages.txt."""
    lines = (roots.SOURCE / "tests/packages.txt").read_text().splitlines()
    parts = [line.split(":", 1) for line in lines if ":" in line and not line.startswith("#")]
    return sorted({name for group, names in parts if group in groups for name in names.split()})


def copy_source(folder: Path) -> None:
    """This tree without what was built in it."""
    ignored = shutil.ignore_patterns(".git", "build", "build-*", "__pycache__", "node_modules")
    shutil.copytree(roots.SOURCE, folder, symlinks=True, ignore=ignored)


def build(release: str, output: Path, architecture: str = roots.NATIVE, tests: bool = False,
          version: str | None = None, edit: dict[str, str] | None = None) -> Built:  # fmt: skip
    """Builds the packages into `output`.

    tests     run the unit tests on the way
    version   another one than in debian/changelog
    edit      file -> text to append to it
    """
    root = roots.for_building(release)
    work = root / "build"
    with roots.one_at_a_time(f"{release}-building"):
        if work.exists():
            roots.remove(work)
        work.mkdir()
        copy_source(work / "sensorgw")
        if version:
            write_version(work / "sensorgw/debian/changelog", version)
        for name, text in (edit or {}).items():
            with (work / "sensorgw" / name).open("a") as file:
                file.write(text)
        options = "-F" if architecture == roots.NATIVE else f"-B -a{architecture} -Pcross,nocheck"
        how = "parallel=2" if tests else "parallel=2 nocheck"
        command = f"cd sensorgw && DEB_BUILD_OPTIONS='{how}' dpkg-buildpackage -us -uc {options} 2>&1"
        log = roots.inside(
            root,
            f"id {BUILDER} >/dev/null 2>&1 || useradd --home-dir /build {BUILDER};"
            f"chown -R {BUILDER}: /build; runuser --login {BUILDER} -c {shlex.quote(command)}",
        )
        output.mkdir(parents=True, exist_ok=True)
        files = [Path(shutil.copy(path, output)) for path in work.iterdir() if path.is_file()]
    return Built(release, architecture, log, tuple(files))


# It plays a DHT11 in fast motion, by the millisecond; emulated, all is slower.
TOO_EXACT = {"source_gpio"}
EMULATORS = {"arm64": "qemu-aarch64-static", "armhf": "qemu-arm-static", "amd64": "qemu-x86_64-static"}
MACHINE_FILE = """[binaries]
c = '{triplet}-gcc'
ar = '{triplet}-ar'
strip = '{triplet}-strip'
pkg-config = '{triplet}-pkg-config'
pkgconfig = '{triplet}-pkg-config'
exe_wrapper = '{emulator}'

[host_machine]
system = 'linux'
cpu_family = '{cpu}'
cpu = '{cpu}'
endian = 'little'
"""


def emulator(architecture: str) -> str:
    """The program that runs those of another architecture, in the root for building."""
    return EMULATORS[architecture]


def run_unit_tests(release: str, architecture: str) -> str:
    """Cross-builds the unit tests and runs them under qemu-user; returns what ninja and meson said.

    Without the scripts among them, which start our programs themselves, past the emulator, and
    without TOO_EXACT.
    """
    root = roots.for_building(release)
    work = root / "unit"
    query = f"dpkg-architecture -a{architecture} -qDEB_HOST_GNU_"
    triplet, cpu = (
        roots.inside(root, f"{query}{name} 2>/dev/null").strip() for name in ("TYPE", "CPU")
    )
    with roots.one_at_a_time(f"{release}-building"):
        if work.exists():
            roots.remove(work)
        work.mkdir()
        copy_source(work / "sensorgw")
        (work / "machine").write_text(
            MACHINE_FILE.format(triplet=triplet, cpu=cpu, emulator=emulator(architecture))
        )
        log = roots.inside(
            root,
            "cd /unit && meson setup --cross-file machine b sensorgw -Dtests=enabled -Dcriterion=own"
            " -Dfirmware=disabled -Demulator=disabled && nice ninja -C b",
        )
        tests = json.loads(roots.inside(root, "meson introspect --tests /unit/b 2>/dev/null"))
        programs = [
            test["name"] for test in tests
            if test["cmd"][0].startswith("/unit/b/") and test["name"] not in TOO_EXACT
        ]  # fmt: skip
        return log + roots.inside(
            root,
            "meson test -C /unit/b --no-rebuild --print-errorlogs --timeout-multiplier 5 "
            + shlex.join(programs),
            check=False,
        )


def write_version(changelog: Path, version: str) -> None:
    text = changelog.read_text()
    by = re.search(r"^ -- (.*)$", text, re.M)
    assert by
    changelog.write_text(
        CHANGELOG.format(source="sensorgw", version=version, by=by[1]) + text
    )


def build_board(release: str, output: Path) -> tuple[Path, Path]:
    """The emulated board and its firmware, as that release builds them: avrnode, sgw-node.elf."""
    root = roots.for_building(release)
    work = root / "board"
    names = ("tests/emulator/avrnode", "firmware/sgw-node.elf")
    with roots.one_at_a_time(f"{release}-building"):
        if work.exists():
            roots.remove(work)
        work.mkdir()
        copy_source(work / "sensorgw")
        roots.inside(
            root,
            "cd /board && meson setup b sensorgw -Dtests=disabled -Dfirmware=enabled"
            f" -Demulator=enabled && ninja -C b {' '.join(names)}",
        )
        output.mkdir(parents=True, exist_ok=True)
        files = [Path(shutil.copy(work / "b" / name, output)) for name in names]
    return files[0], files[1]


def depends_of(built: Built) -> str:
    """What the package needs, without versions of ours."""
    return built.field("Depends")


def archive(folder: Path, release: str, debs: list[Path]) -> None:
    """Makes `folder` an apt repository of these packages, with the name Sensorgw-Test."""
    for deb in debs:
        shutil.copy(deb, folder)
    text = subprocess.run(
        ["dpkg-scanpackages", "--multiversion", "."],
        cwd=folder, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    (folder / "Packages").write_text(text)
    release_text = subprocess.run(
        ["apt-ftparchive", "-o", "APT::FTPArchive::Release::Origin=Sensorgw-Test",
         "-o", f"APT::FTPArchive::Release::Codename={release}", "release", "."],
        cwd=folder, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    (folder / "Release").write_text(release_text)
