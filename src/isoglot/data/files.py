"""Read text files strictly: plain or gzip, UTF-8, with the line named in every error.

Here are bytes, lines and JSON objects; what the fields mean is the business of the format readers.
A line ends at a line feed and nowhere else, because passages hold U+2028 and its relatives.
"""

from __future__ import annotations

import contextlib
import functools
import gzip
import json
import re
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, TypeVar, cast

from isoglot.artifacts import atomic_write, file_sha256
from isoglot.errors import ConfigError, DataError, did_you_mean
from isoglot.languages import normalize_language

__all__ = [
    "ask_id",
    "ask_language",
    "ask_text",
    "ask_texts",
    "check_text",
    "check_texts",
    "find_file",
    "find_language_folders",
    "hash_files",
    "language_of_name",
    "list_folder",
    "parse_json_objects",
    "read_json",
    "read_json_objects",
    "read_lines",
    "read_pieces",
    "refuse_unknown_keys",
    "split_lines",
    "write_json_lines",
]

_GZIP_MAGIC = b"\x1f\x8b"
_BOM = b"\xef\xbb\xbf"
_SURROGATE = re.compile("[\ud800-\udfff]")

T = TypeVar("T")


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (line number from 1, line without its end) of a UTF-8 text file.

    A byte order mark and carriage returns at line ends are dropped; gzip is recognised by content.

    Raises:
        DataError: If the file is missing, is not UTF-8, or is a damaged gzip file.
    """
    number = 0
    with _open_binary(path) as file:
        while line := _guarded(path, number + 1, file.readline):
            number += 1
            yield number, _decode_line(line, path, number)


def read_pieces(path: Path, size: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield whole lines of a text file, about ``size`` bytes at a time, for ``split_lines``.

    Yields:
        The bytes, the number of their first line, and how far the file has been read, in bytes
        of the file as it is stored.

    Raises:
        DataError: If the file is missing, or is a damaged gzip file.
    """
    number = 1
    with _open_binary(path) as file:
        stored: Any = getattr(file, "fileobj", file)  # of a gzip file, the packed one
        while content := _guarded(path, None, lambda: file.read(size)):
            content += _guarded(path, None, file.readline)
            yield content, number, stored.tell()
            number += content.count(b"\n")


def split_lines(content: bytes, path: Path, first: int) -> Iterator[tuple[int, str]]:
    """Yield what ``read_lines`` yields of a piece whose first line has the number ``first``.

    Raises:
        DataError: If a line is not UTF-8.
    """
    for number, line in enumerate(content.removesuffix(b"\n").split(b"\n"), start=first):
        yield number, _decode_line(line, path, number)


def read_json(path: Path) -> Any:  # noqa: ANN401 - any JSON value
    """Read one JSON value from a plain or gzip file.

    Raises:
        DataError: If the file cannot be read or is not JSON.
    """
    with _open_binary(path) as file:
        content = _guarded(path, None, file.read)
    return _parse_json(_decode(content.removeprefix(_BOM), str(path)), str(path), first_line=1)


def read_json_objects(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (``path:line``, object) of a JSON Lines file; blank lines are passed over.

    Raises:
        DataError: If a line is not a JSON object.
    """
    yield from parse_json_objects(read_lines(path), path)


def parse_json_objects(
    lines: Iterable[tuple[int, str]], path: Path
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (``path:line``, object) of numbered lines; see `read_json_objects`."""
    for number, line in lines:
        if not line.strip():
            continue
        where = f"{path}:{number}"
        value = _parse_json(line, str(path), first_line=number)
        if not isinstance(value, dict):
            raise DataError(
                f"{where}: expected a JSON object in braces, got {_kind(value)}; "
                "put one object on each line"
            )
        yield where, value


def ask_text(row: Mapping[str, Any], key: str, where: str) -> str:
    """Return a text that must be there and must not be empty.

    Raises:
        DataError: If the key is missing, is not a string, or holds only white space.
    """
    if key not in row:
        raise DataError(f"{where}: no field {key!r}; the fields here are {_list(row)}")
    return check_text(row[key], f"{where}: {key}")


def ask_id(row: Mapping[str, Any], key: str, where: str) -> str:
    """Return an id as a string; whole numbers are taken for what they show.

    Raises:
        DataError: If the key is missing, or is neither a whole number nor a text.
    """
    value = row.get(key)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return ask_text(row, key, where)


def ask_texts(row: Mapping[str, Any], key: str, where: str) -> dict[str, str]:
    """Return a mapping from language to text, its language codes normalised.

    Raises:
        DataError: If it is missing, empty or no mapping, a language is unknown or comes twice, or
            a text is empty.
    """
    if key not in row:
        raise DataError(f"{where}: no field {key!r}; the fields here are {_list(row)}")
    return check_texts(row[key], f"{where}: {key}")


def check_texts(value: object, where: str) -> dict[str, str]:
    """Return ``value`` if it is a mapping from language to text; see `ask_texts`."""
    if not isinstance(value, dict) or not value:
        raise DataError(
            f'{where}: expected a mapping of languages to texts such as {{"en": "..."}}, '
            f"got {_kind(value)}"
        )
    texts: dict[str, str] = {}
    for code, text in value.items():
        lang = ask_language(code, where)
        if lang in texts:
            raise DataError(
                f"{where}: language {lang!r} comes twice (again as {code!r}); keep one of its texts"
            )
        texts[lang] = check_text(text, f"{where}.{code}")
    return texts


def check_text(value: object, where: str) -> str:
    """Return ``value`` if it is a text that an encoder can read."""
    if not isinstance(value, str):
        raise DataError(f"{where}: expected a text, got {_kind(value)}")
    if not value.strip():
        raise DataError(f"{where}: the text is empty; give it a text or take the row out")
    if _SURROGATE.search(value):
        raise DataError(f"{where}: the text holds half of a surrogate pair, which UTF-8 cannot say")
    return value


def ask_language(code: str, where: str) -> str:
    """Return the project's code for a language named in a data file.

    Raises:
        DataError: If the code names no language.
    """
    try:
        return _normalize_cached(code)
    except ConfigError as error:
        raise DataError(f"{where}: {error}") from None


def refuse_unknown_keys(row: Mapping[str, Any], allowed: Collection[str], where: str) -> None:
    """Refuse keys that no reader would look at: they are usually a misspelt one.

    Raises:
        DataError: Naming the first such key.
    """
    for key in row:
        if key not in allowed:
            hint = did_you_mean(key, allowed) or f"; allowed: {', '.join(sorted(allowed))}"
            raise DataError(f"{where}: unknown field {key!r}{hint}")


def find_file(folder: Path, name: str) -> Path | None:
    """Return the file of this name, plain or with ``.gz``, or None."""
    candidates = (folder / name, folder / f"{name}.gz")
    return next((path for path in candidates if path.is_file()), None)


def find_language_folders(folder: Path, prefix: str = "") -> dict[str, Path]:
    """Return the subfolders named by a language code, after ``prefix``, by normalised code."""
    found = {}
    for path in sorted(folder.glob(f"{prefix}*")):
        if path.is_dir() and (lang := language_of_name(path.name.removeprefix(prefix))):
            found[lang] = path
    return found


def select_languages(
    folder: Path,
    find: Callable[[Path], dict[str, T]],
    langs: Iterable[str] | None,
    *,
    expected: str,
    missing: str,
) -> dict[str, T]:
    """Return what a folder has for the wanted languages, in their order; default for all.

    Args:
        folder: A folder with files per language.
        find: Finds what there is, by language.
        langs: Wanted languages.
        expected: What the folder should hold, for the error when nothing is found.
        missing: What a language lacks, with ``{lang}`` in it, for the error when it is not there.

    Raises:
        ConfigError: If a wanted language is none.
        DataError: If there is no such folder, or a language is not in it.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder")
    found = find(folder)
    if not found:
        raise DataError(f"{folder}: no {expected}; found {list_folder(folder)}")
    if langs is None:
        return found
    wanted = [ask_language(lang, str(folder)) for lang in langs]
    if absent := sorted(set(wanted) - set(found)):
        raise DataError(
            f"{folder}: no {missing.format(lang=absent[0])}; "
            f"the languages here are {', '.join(found)}"
        )
    return {lang: found[lang] for lang in dict.fromkeys(wanted)}


def language_of_name(name: str) -> str | None:
    """Return the language a file or folder is named by, or None where it is another word."""
    if not re.fullmatch(r"[a-z]{2,3}([-_][A-Za-z]{2,4})?", name):
        return None
    try:
        return _normalize_cached(name)
    except ConfigError:
        return None


def list_folder(folder: Path, limit: int = 8) -> str:
    """Name what a folder holds, for errors."""
    names = sorted(
        path.name + ("/" if path.is_dir() else "")
        for path in folder.iterdir()
        if not path.name.startswith(".")
    )
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return (", ".join(names[:limit]) + more) or "nothing"


def hash_files(paths: Iterable[Path], root: Path) -> dict[str, str]:
    """Return the SHA-256 of files by their name relative to ``root``."""
    return {path.relative_to(root).as_posix(): file_sha256(path) for path in paths}


def write_json_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> int:
    """Write JSON Lines atomically, as gzip if the name ends in ``.gz``; return the number of rows.

    Equal rows give equal bytes: the gzip header carries neither time nor name.
    """
    count = 0
    with atomic_write(path, "wb") as file:
        packed = (
            gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0)
            if path.suffix == ".gz"
            else contextlib.nullcontext(file)
        )
        with packed as target:
            for row in rows:
                target.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")
                count += 1
    return count


@functools.lru_cache(maxsize=1024)
def _normalize_cached(code: str) -> str:
    return normalize_language(code)


@contextlib.contextmanager
def _open_binary(path: Path) -> Iterator[IO[bytes]]:
    try:
        file = path.open("rb")
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise DataError(f"{path}: expected a file, got a folder") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
    with file:
        magic = file.read(2)
        file.seek(0)
        if magic == _GZIP_MAGIC:
            yield cast(IO[bytes], gzip.GzipFile(fileobj=file, mode="rb"))
        elif path.suffix == ".gz":
            raise DataError(f"{path}: named .gz but is no gzip file; fetch it again or rename it")
        else:
            yield file


def _guarded(path: Path, line: int | None, read: Callable[[], T]) -> T:
    """Call ``read`` and say in our words what can go wrong inside a stream."""
    where = f"{path}:{line}" if line else str(path)
    try:
        return read()
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(
            f"{where}: the gzip file is damaged or cut short; fetch it again"
        ) from error
    except OSError as error:
        raise DataError(f"{where}: cannot be read ({error.strerror or error})") from error


def _decode_line(line: bytes, path: Path, number: int) -> str:
    if number == 1:
        line = line.removeprefix(_BOM)
    return _decode(line.rstrip(b"\r\n"), f"{path}:{number}")


def _decode(content: bytes, where: str) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{where}: not UTF-8 (byte {error.start}: 0x{content[error.start]:02x}); "
            "save the file as UTF-8"
        ) from None


def _parse_json(text: str, path: str, first_line: int) -> Any:  # noqa: ANN401 - any JSON value
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        line = first_line + error.lineno - 1
        raise DataError(
            f"{path}:{line}: not valid JSON ({error.msg} at column {error.colno})"
        ) from None
    except RecursionError:
        raise DataError(f"{path}:{first_line}: not valid JSON (nested too deeply)") from None


def _kind(value: object) -> str:
    names = {dict: "a mapping", list: "a list", str: "a text", bool: "true or false"}
    if value is None:
        return "null"
    if isinstance(value, dict | list | str) and not value:
        return f"{names[type(value)]} that is empty"
    return names.get(type(value), f"the number {value!r}")


def _list(row: Mapping[str, Any]) -> str:
    return ", ".join(sorted(row)) or "none"
