"""Which items have an embedding of their own."""

from collections.abc import Iterable, Sequence


class Vocabulary:
    """Item ids → rows of the item table; whatever is not in it is row 0."""

    def __init__(self, item_ids: Sequence[str]) -> None:
        """`item_ids` get rows 1, 2, ... in this order."""
        self.item_ids = tuple(item_ids)
        self._rows = {item: row for row, item in enumerate(self.item_ids, start=1)}

    @classmethod
    def of(cls, item_ids: Iterable[str], *, least: int) -> "Vocabulary":
        """The items that occur at least that often, sorted.

        The others share row 0, which so learns what a rarely seen item is like.
        """
        counts: dict[str, int] = {}
        for item in item_ids:
            counts[item] = counts.get(item, 0) + 1
        return cls(sorted(item for item, count in counts.items() if count >= least))

    def __len__(self) -> int:
        """Rows of the item table, row 0 included."""
        return len(self.item_ids) + 1

    def rows(self, items: Iterable[str]) -> list[int]:
        """Row of each item, 0 for unknown ones."""
        return [self._rows.get(item, 0) for item in items]
