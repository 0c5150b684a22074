"""The photographs of a truth under the names by which they are read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path, PureWindowsPath

from lpr_e2e.common.errors import UserError
from lpr_e2e.common.terminal import many
from lpr_e2e.data.names import name_parts
from lpr_e2e.evaluation.truth import Truth


def as_read(truths: Sequence[Truth], img_ids: Iterable[str], source: Path) -> tuple[list[Truth], str | None]:
    """Rename photographs that are read under another name, where it plainly is the same photograph.

    One name may have folders before it that the other lacks, backslashes, or letters in another case or form of
    Unicode. Of an absolute path, which another machine wrote, the file's name is enough.

    Args:
        truths: what is known.
        img_ids: of the photographs that are read, or were.
        source: where the truth comes from, for messages.

    Returns:
        the truths in their order, those that nothing read is called like unchanged; and a sentence about those that
        were renamed, None if none was.

    Raises:
        UserError: a name may mean two photographs, or two names one.
    """
    img_ids = list(dict.fromkeys(img_ids))
    names = {truth.img_id: truth.img_id for truth in truths if truth.img_id in set(img_ids)}
    by_file: dict[str, list[str]] = defaultdict(list)
    for img_id in img_ids:
        if img_id not in names:
            by_file[_parts(img_id)[0]].append(img_id)
    of_photograph: dict[str, str] = {}
    for truth in truths:
        if truth.img_id in names:
            continue
        same = [one for one in by_file[_parts(truth.img_id)[0]] if _may_be(truth.img_id, one)]
        if len(same) > 1:
            raise UserError(
                f"{source}: {truth.img_id!r} may be {same[0]!r} or {same[1]!r}; write it with its folder, as it is read"
            )
        if same:
            other = of_photograph.setdefault(same[0], truth.img_id)
            if other != truth.img_id:
                raise UserError(f"{source}: both {other!r} and {truth.img_id!r} may be {same[0]!r}; write it as it is")
            names[truth.img_id] = same[0]
    note = None
    if of_photograph:
        read, known = next(iter(of_photograph.items()))
        note = f"{many(len(of_photograph), 'photograph')} of {source} read under another name: {known!r} is {read!r}"
    return [replace(truth, img_id=names.get(truth.img_id, truth.img_id)) for truth in truths], note


def _parts(name: str) -> tuple[str, ...]:
    """The name's parts, the file's own first, as they are compared."""
    return name_parts(name) or (name,)


def _may_be(written: str, img_id: str) -> bool:
    """Whether two names of files called alike have the same folders before them, as far as both have any."""
    is_absolute = bool(PureWindowsPath(written).anchor)
    return is_absolute or all(one == other for one, other in zip(_parts(written), _parts(img_id), strict=False))
