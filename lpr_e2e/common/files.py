"""Files that are whole or not there: files that replace an earlier one, lines, tables; and folders that one owns."""

from __future__ import annotations

import contextlib
import csv
import errno
import io
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from lpr_e2e.common.errors import UnwrittenError, UserError
from lpr_e2e.common.interrupts import postponed

# A name may have 255 bytes, and a character four of them: so many are kept of it where something is put before it.
_NAME_KEPT = 60
# Read backwards at once, bytes.
_BLOCK = 65_536
# Larger tables and label files than anybody has: one of a million plates has a hundred million bytes.
MOST_BYTES = 2**30
# A larger file of settings, figures or notes of ours than any: with the names of data sets, fonts and settings.
MOST_JSON = 16 * 2**20


def read_file(path: Path, most: int = MOST_BYTES) -> bytes:
    """What a file holds that is read as a whole.

    Raises:
        OSError: it cannot be read, is a pipe or a device, which may have no end, or has more than `most` bytes.
    """
    require_file(path, most)
    with path.open("rb") as file:
        data = file.read(most + 1)  # It may have grown.
    if len(data) > most:
        raise _too_large(path, most)
    return data


def read_json(path: Path) -> Any:
    """What a file holds as `write_json` writes it.

    Raises:
        OSError: as `read_file`; more than 16 MiB are too many.
        ValueError: it is no JSON.
    """
    try:
        return json.loads(read_file(path, MOST_JSON))
    except RecursionError:
        raise ValueError("nested without end") from None


def require_file(path: Path, most: int = MOST_BYTES) -> None:
    """Make sure that a file can be read as a whole.

    Raises:
        OSError: there is none, it is a pipe or a device, or has more than `most` bytes.
    """
    size = path.stat().st_size
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not path.is_file():  # Opening a pipe would wait for ever.
        raise OSError(errno.EINVAL, "no regular file", str(path))
    if size > most:
        raise _too_large(path, most)


def _too_large(path: Path, most: int) -> OSError:
    return OSError(errno.EFBIG, f"larger than {most / 2**20:,.0f} MiB", str(path))


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Write a file at once or not at all.

    Args:
        path: where the file shall be; its folder exists. A link is followed; what is no file, such as a pipe, is
            written to as it is.

    Yields:
        a hidden path beside it, of the same ending, to write to. Afterwards the file is there under its own name; after
        an error or an interruption everything is as it was before.
    """
    path = Path(os.path.realpath(path))
    if path.exists() and not path.is_file():
        yield path
        return
    temporary = path.with_name(f".part.{path.name[-_NAME_KEPT:]}")
    temporary.unlink(missing_ok=True)  # A link of this name would lead to another file, which would be lost.
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_json(path: Path, values: object) -> None:
    """Write a file of JSON, UTF-8, at once or not at all; see `whole_file`.

    Raises:
        TypeError, ValueError: JSON cannot hold the values, or UTF-8 one of their texts.
        OSError: the file cannot be written.
    """
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


@contextlib.contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Fill a new or empty folder at once or not at all.

    Args:
        path: the folder; it need not exist.

    Yields:
        a folder in it to write to. Afterwards all of that is in the folder itself; after an error or an interruption
        everything is as it was before. After a kill there is the folder `part` alone.

    Raises:
        UserError: the folder is not empty, or no folder, or another process fills it.
    """
    refuse_filled(path)
    made = [one for one in (path, *path.parents) if not one.exists()]
    path.mkdir(parents=True, exist_ok=True)
    part = path / "part"
    try:
        part.mkdir()
    except FileExistsError:
        raise UserError(f"{path}: another process writes to this folder; expected a new or empty one") from None
    try:
        yield part
        with postponed():
            # Files last: they are the tables that tell what is in the folders.
            for child in sorted(part.iterdir(), key=Path.is_file):
                child.rename(path / child.name)
            part.rmdir()
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        with contextlib.suppress(OSError):
            for one in made:
                one.rmdir()
        raise


def refuse_filled(path: Path) -> None:
    """Make sure that writing to a folder overwrites nothing.

    Raises:
        UserError: it is not empty, or no folder.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise UserError(f"{path}: expected a new or empty folder")


def refuse_foreign(folder: Path, marks: Iterable[str], names: Iterable[str], option: str = "--output") -> None:
    """Make sure that nothing is replaced in a folder that holds no earlier result of the same kind.

    Args:
        folder: where a result goes; it need not exist.
        marks: names of which each is in a folder that holds such a result, or the beginning of one.
        names: what a result replaces or removes.
        option: of the command, that names the folder.

    Raises:
        UserError: something of these names is there, and no mark.
    """
    if any((folder / mark).exists() for mark in marks):
        return
    for name in names:
        found = folder / name
        if found.is_file() or (found.is_dir() and any(found.iterdir())):
            raise UserError(
                f"{found}: is there already, and was not written by this command; name another folder with {option}"
            )


def refuse_link(path: Path) -> None:
    """Make sure that a result with a name of ours is not written through a link.

    Raises:
        UserError: it is a link to a file, which would be lost, or to a folder, in which files would.
    """
    if path.is_symlink() and (path.is_file() or path.is_dir()):
        raise UserError(f"{path}: a link to {os.path.realpath(path)}, which is not overwritten; remove the link")


def require_places(targets: Iterable[Path], made: Path | None = None) -> None:
    """Make sure that files can be written where they were asked for, before they are worked for.

    Args:
        targets: files that somebody has named; they need not exist.
        made: a folder that will be made.

    Raises:
        UserError: one of them is a folder, or in a folder that is not there, or two are the same file; or a file stands
            where a folder would be made.
    """
    for above in (made, *made.parents) if made else ():
        if above.exists():
            if not above.is_dir():
                raise UserError(f"{made}: {above} is a file; expected a folder, or the name of a new one")
            break
    seen: dict[str, Path] = {}
    for target in targets:
        if target.is_dir():
            raise UserError(f"{target}: is a folder; expected a file")
        folder = target.parent
        if not folder.is_dir() and (made is None or os.path.realpath(folder) != os.path.realpath(made)):
            raise UserError(f"{target}: there is no folder {folder}")
        other = seen.setdefault(os.path.realpath(target), target)
        if other is not target:
            raise UserError(f"{target}: is to be written twice, with different contents; name another file")


def refuse_inputs(targets: Iterable[Path], inputs: Iterable[Path]) -> None:
    """Make sure that nothing that is read is written over, whatever names and links lead to it.

    Args:
        targets: files that will be written; they need not exist.
        inputs: what is read: files, and folders, which stand for all files in them.

    Raises:
        UserError: a target is one of the inputs.
    """
    there, places = {}, {}
    for target in targets:
        with contextlib.suppress(OSError):
            there[_identity(target)] = target
            places[target] = Path(os.path.realpath(target))
    if not there:
        return
    for given in inputs:
        if given.is_dir():
            folder = os.path.realpath(given)
            for target, place in places.items():
                if target.is_file() and place.is_relative_to(folder):
                    raise UserError(
                        f"{target}: this would overwrite a file in {given}, which is read; name another file"
                    )
        for path in (given, *(given.iterdir() if given.is_dir() else ())):
            with contextlib.suppress(OSError):
                written = there.get(_identity(path))
                if written is not None and written.is_file():
                    raise UserError(f"{written}: this would overwrite {path}, which is read; name another file")


def _identity(path: Path) -> tuple[int, int]:
    """What tells a file from all others, links followed."""
    found = path.stat()
    return found.st_dev, found.st_ino


@contextlib.contextmanager
def results_in(folder: Path) -> Iterator[None]:
    """Begin to write results to a folder that the user has named with --output.

    Raises:
        UnwrittenError: the system does not let anything be written there: no rights, no room.
        OSError: a file stands in place of a folder, or the other way round.
    """
    try:
        yield
    except (FileExistsError, NotADirectoryError, IsADirectoryError):
        raise
    except OSError as error:
        reason = error.strerror or error
        raise UnwrittenError(f"{folder}: nothing can be written there ({reason}); name another with --output") from None


@contextlib.contextmanager
def owned(lock: Path, refusal: str) -> Iterator[None]:
    """Own what a lock file stands for, until the end of the context or of this process, however it ends.

    Args:
        lock: the lock file; it stays behind, and means nothing then.
        refusal: what to say if another process owns it.

    Raises:
        UserError: another process owns it.
    """
    import filelock  # Takes a twentieth of the time that reading a photograph takes, start included.

    try:
        with filelock.FileLock(lock, timeout=0):
            yield
    except filelock.Timeout:
        raise UserError(refusal) from None


class WholeLines:
    """A text file in which everything that is written at once is on disk at once, or not at all.

    A name of a file that is no valid text is written with \\x escapes, so that the file is always UTF-8.

    Args:
        path: the file; an earlier one is replaced.
        append: whether an earlier one is gone on with instead. A last line of it that was not written to its end, as a
            process that is killed may leave it, is cut off.

    Raises:
        UserError: it is a link to a file, which would be lost.
        OSError: the file cannot be written.
    """

    def __init__(self, path: Path, append: bool = False):
        refuse_link(path)
        append = append and path.exists()
        if not append and path.is_file() and path.stat().st_nlink > 1:
            path.unlink()  # What has another name, too, is kept under it: a copy of an earlier result, say.
        self._file = path.open("r+b" if append else "wb", buffering=0)
        if append:
            self._file.truncate(_whole_lines_end(self._file))
            self._file.seek(0, os.SEEK_END)

    def write(self, lines: str) -> None:
        """Append some lines; if there is no room for all of them (`OSError`), none is left."""
        before, data = self._file.tell(), lines.encode("utf-8", errors="backslashreplace")
        try:
            while data:
                data = data[self._file.write(data) :]
        except OSError:
            self._file.truncate(before)
            self._file.seek(before)
            raise

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _whole_lines_end(file: io.RawIOBase) -> int:
    """Where the last line of a file that has a line end, ends."""
    end = file.seek(0, os.SEEK_END)
    while end:
        start = max(0, end - _BLOCK)
        file.seek(start)
        found = (file.read(end - start) or b"").rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0


# What a spreadsheet takes for the beginning of a formula, whatever blanks and invisible signs stand before it; some
# take the wide signs of East Asian keyboards, too.
_FORMULA = r"(?:[\t\r\n]|[\s\x00-\x1f\ufeff\u200b-\u200f\u202a-\u202e\u2060-\u2069]*[=+\-@\uff1d\uff0b\uff0d\uff20])"
# What gets an apostrophe; and so that it can be taken away again, what looks like that.
_MARKED, _UNMARKED = re.compile(f"'+{_FORMULA}"), re.compile(f"'*{_FORMULA}")


def name_as_cell(name: str) -> str:
    """The name of a file for a table that a spreadsheet may open, which would take some for formulas: another name of
    the same file."""
    return f"./{name}" if re.match(_FORMULA, name) else name


def as_cell(text: str) -> str:
    """A text as a table holds it that a spreadsheet may open: with an apostrophe before what it would compute.

    That is how spreadsheets themselves mark a text. `from_cell` takes it away again.
    """
    return f"'{text}" if _UNMARKED.match(text) else text


def from_cell(cell: str) -> str:
    """The text of which `as_cell` gives this cell."""
    return cell[1:] if _MARKED.match(cell) else cell


def csv_lines(rows: Iterable[Sequence[str]]) -> str:
    """Rows as they stand in a CSV file, each with its line end."""
    return "".join(map(_csv_line, rows))


def _csv_line(row: Sequence[str]) -> str:
    # Before Python 3.13, a carriage return gets no quotes unless it is a part of the line end.
    line = io.StringIO(newline="")
    csv.writer(line, lineterminator="\r\n").writerow(row)
    return line.getvalue().removesuffix("\r\n") + "\n"
