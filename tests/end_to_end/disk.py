"""A disk that fails, crawls or loses its power, put under a process by preloading a library.

Power cut: whenever the process fsyncs a file, its content is copied to a shadow; whenever it
fsyncs a directory, the names in it are. `survived` puts together what a machine would find after
its power came back: everything else was only in the memory of the operating system.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tests.conftest import tool

LIBRARY = r"""
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int told(const char *what) { return getenv(what) && access(getenv(what), F_OK) == 0; }

static void copy(int from, int to) {
    char piece[65536];
    ssize_t size;
    while ((size = read(from, piece, sizeof piece)) > 0)
        if (write(to, piece, size) != size) abort();
}

static void list(int from, int to) {
    DIR *directory = fdopendir(dup(from));
    struct dirent *entry;
    while ((entry = readdir(directory)))
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
            dprintf(to, "%c %lu %s\n", entry->d_type == DT_DIR ? 'd' : 'f',
                    (unsigned long) entry->d_ino, entry->d_name);
    closedir(directory);
}

/* Take over what a descriptor stands for, in one step. */
static void keep(int fd) {
    char from[64], path[PATH_MAX], aside[PATH_MAX];
    struct stat status;
    if (fstat(fd, &status)) return;
    int is_directory = S_ISDIR(status.st_mode);
    const char *shadow = getenv("DISK_SHADOW");
    unsigned long id = status.st_ino;
    snprintf(from, sizeof from, "/proc/self/fd/%d", fd);
    snprintf(path, sizeof path, "%s/%lu", shadow, id);
    snprintf(aside, sizeof aside, "%s/%lu.%d.aside", shadow, id, (int) syscall(SYS_gettid));
    int in = open(from, O_RDONLY), out = open(aside, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (in < 0 || out < 0) abort();
    if (is_directory) list(in, out); else copy(in, out);
    close(in);
    close(out);
    rename(aside, path);
    snprintf(path, sizeof path, "%s/%lu.held", shadow, id);  /* so that no other gets its number */
    if (!is_directory) linkat(AT_FDCWD, from, AT_FDCWD, path, AT_SYMLINK_FOLLOW);
}

/* Sleep for the microseconds that a file names. */
static void crawl(void) {
    unsigned pause = 0;
    FILE *file = told("DISK_CRAWLS") ? fopen(getenv("DISK_CRAWLS"), "r") : NULL;
    if (!file) return;
    if (fscanf(file, "%u", &pause) == 1) usleep(pause);
    fclose(file);
}

static int synced(int fd, long call) {
    if (told("DISK_FAILS")) { errno = EIO; return -1; }
    crawl();
    int result = syscall(call, fd);
    if (result == 0 && told("DISK_SHADOW")) keep(fd);
    return result;
}

int fsync(int fd) { return synced(fd, SYS_fsync); }
int fdatasync(int fd) { return synced(fd, SYS_fdatasync); }
"""


class Disk:
    """What can happen to the disk under one process; `environment` puts it there."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        source, library = directory / "disk.c", directory / "disk.so"
        source.write_text(LIBRARY)
        command = [tool("cc"), "-shared", "-fPIC", "-o", str(library), str(source)]
        subprocess.run(command, check=True)
        self._fails, self._crawls = directory / "fails", directory / "crawls"
        self._shadow = directory / "shadow"
        self.environment = {
            "LD_PRELOAD": str(library),
            "DISK_FAILS": str(self._fails),
            "DISK_CRAWLS": str(self._crawls),
            "DISK_SHADOW": str(self._shadow),
        }

    def fail(self) -> None:
        """Let every fsync fail from now on."""
        self._fails.touch()

    def crawl(self, pause_s: float) -> None:
        """Let every fsync take so much longer from now on."""
        self._crawls.write_text(str(round(pause_s * 1e6)))

    def heal(self) -> None:
        """Let everything go well again."""
        self._fails.unlink(missing_ok=True)
        self._crawls.unlink(missing_ok=True)

    def watch(self, directory: Path) -> None:
        """Remember from now on what is durable; what a directory holds just now, is."""
        shutil.rmtree(self._shadow, ignore_errors=True)
        self._shadow.mkdir()
        self._remember(directory)

    def survived(self, directory: Path, to: Path) -> None:
        """Put into `to` what of a directory is durable, now that its process is gone."""
        to.mkdir()
        self._restore(directory.stat().st_ino, to)

    def _remember(self, path: Path) -> None:
        number = path.stat().st_ino
        if not path.is_dir():
            shutil.copy(path, self._shadow / str(number))
            os.link(path, self._shadow / f"{number}.held")
            return
        lines = [
            f"{'d' if entry.is_dir() else 'f'} {entry.stat().st_ino} {entry.name}\n"
            for entry in path.iterdir()
        ]
        (self._shadow / str(number)).write_text("".join(lines))
        for entry in path.iterdir():
            self._remember(entry)

    def _restore(self, number: int, to: Path) -> None:
        names = self._shadow / str(number)
        for line in names.read_text().splitlines() if names.exists() else ():
            kind, entry, name = line.split(" ", 2)
            content = self._shadow / entry
            if kind == "d":
                (to / name).mkdir()
                self._restore(int(entry), to / name)
            elif content.exists():
                shutil.copy(content, to / name)
            else:
                (to / name).touch()  # a name without content
