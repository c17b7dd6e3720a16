"""What the memories themselves say of how kinds of content go together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from arrowmind.columnar import sweep_temporary
from arrowmind.joint import Alignment, JointEmbedding, Rows
from arrowmind.joint.state import load, save
from arrowmind.joint.training import train_fusion
from arrowmind.memory.steps import reached
from arrowmind.memory.storage import tables
from arrowmind.memory.storage.spaces import TEXT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arrowmind.memory.storage.blocks import Space
    from arrowmind.memory.storage.catalogue import Catalogue
    from arrowmind.memory.storage.paths import StorePaths
    from arrowmind.memory.storage.snapshot import Snapshot
    from arrowmind.observe import Progress

__all__ = ["AlignmentReport", "align", "joint_rows", "load_joint"]

_SETTING = "joint"
_MOST_ROWS = 20_000


@dataclass(frozen=True)
class AlignmentReport:
    """What an alignment found.

    Attributes:
        memories: that hold several kinds of content.
        maps: (source, target, pairs, reliability) of each map; reliability is the mean cosine on pairs held
            out.
        trained: whether a trained fusion is in use.
        before: share of held-out memories that one kind finds by another, closed form; None unless trained.
        after: the same, trained.
    """

    memories: int
    maps: tuple[tuple[str, str, int, float], ...]
    trained: bool
    before: float | None = None
    after: float | None = None


def align(
    catalogue: Catalogue, paths: StorePaths, snapshot: Snapshot, *, train: bool, progress: Progress
) -> AlignmentReport:
    """Fits the maps again on all memories that hold several kinds, and puts them in use."""
    rows = joint_rows(snapshot, _several(snapshot))
    joint, trained = JointEmbedding(Alignment.fit(rows)), None
    if train:
        trained = train_fusion(joint, rows, progress=progress)
        joint = trained.joint
    name = f"{joint.fingerprint}.arrow"
    paths.joint.mkdir(exist_ok=True)
    save(joint, paths.joint / name, paths.files)
    reached("joint.published")
    with catalogue.writing() as db:
        tables.replace_setting(db, _SETTING, name)
        tables.touch_layout(db)
    for path in paths.joint.iterdir():
        if path.suffix == ".arrow" and path.name != name:
            path.unlink(missing_ok=True)
    sweep_temporary(paths.joint)
    maps = (
        (*pair, fitted.pairs, fitted.reliability) for pair, fitted in sorted(joint.alignment.maps.items())
    )
    if trained is None:
        return AlignmentReport(len(rows), tuple(maps), trained=False)
    return AlignmentReport(len(rows), tuple(maps), trained.replaced, trained.before, trained.after)


def load_joint(paths: StorePaths, snapshot: Snapshot) -> JointEmbedding:
    """The joint embedding in use; one that knows nothing until the store is aligned.

    Raises:
        MemoryStoreError: its file is gone or damaged.
    """
    dimensions = {space.row.name: space.row.dimension for space in snapshot.spaces if space.row.dimension}
    if snapshot.joint is None:
        return JointEmbedding(Alignment(dimensions))
    joint = load(paths.joint / snapshot.joint, paths.files)
    # Spaces that came later are known, but not aligned yet.
    known = {**dimensions, **joint.alignment.dimensions}
    return JointEmbedding(Alignment(known, joint.alignment.maps), joint.fusion, joint.anchor)


def _several(snapshot: Snapshot) -> list[int]:
    """Memories that have vectors in several spaces; of very many, some at equal distances."""
    ids = [_ids_with_vectors(space) for space in snapshot.spaces]
    found, counts = np.unique(np.concatenate(ids), return_counts=True)
    several = found[counts > 1]
    step = max(1, -(-len(several) // _MOST_ROWS))
    return [int(id_) for id_ in several[::step]]


def _ids_with_vectors(space: Space) -> Any:
    parts = [np.empty(0, np.int64)]
    for block in space.blocks:
        rows = block.rows
        # A memory without a text has a vector of zeros there.
        live = (rows.scales > 0) & (rows.windows == 0)
        parts.append(rows.ids[live if block.dead is None else live & ~block.dead])
    return np.unique(np.concatenate(parts))


def joint_rows(snapshot: Snapshot, ids: Sequence[int]) -> Rows:
    """Vectors of memories in all spaces, the first window of each, as rows of a joint embedding."""
    wanted, vectors, present = np.array(ids, dtype=np.int64), {}, {}
    for space in snapshot.spaces:
        if space.row.dimension:
            values = np.zeros((len(wanted), space.row.dimension), np.float32)
            mask = np.zeros(len(wanted), np.bool_)
            for block in space.blocks:
                _fill(block.rows, wanted, values, mask)
            vectors[space.row.name], present[space.row.name] = values, mask
    return Rows(vectors or {TEXT: np.zeros((0, 1), np.float32)}, present or {TEXT: np.zeros(0, np.bool_)})


def _fill(rows: Any, wanted: Any, values: Any, mask: Any) -> None:
    """Sets the vectors of those of the memories that are in a block."""
    if not len(rows):
        return
    places = np.minimum(np.searchsorted(rows.ids, wanted), len(rows) - 1)
    here = (rows.ids[places] == wanted) & (rows.scales[places] > 0)
    chosen = places[here]
    values[here] = rows.vectors(chosen)
    mask |= here
