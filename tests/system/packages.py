# SPDX-License-Identifier: MIT
"""Debian packages of this source tree, built in the roots of roots.py."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import roots

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
        options = "-b" if architecture == roots.NATIVE else f"-B -a{architecture} -Pcross,nocheck"
        check = "" if tests else "nocheck"
        log = roots.inside(
            root,
            f"cd /build/sensorgw && DEB_BUILD_OPTIONS='{check} parallel=2'"
            f" dpkg-buildpackage -us -uc {options} 2>&1",
        )
        output.mkdir(parents=True, exist_ok=True)
        files = [Path(shutil.copy(path, output)) for path in work.iterdir() if path.is_file()]
    return Built(release, architecture, log, tuple(files))


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
