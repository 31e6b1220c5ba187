"""Content: each user's ridge regression of residuals on what the items' texts say.

Items are described by the leading principal components of their text embeddings. A user's
regression grows with their events; a query reads it as it was before its time. Formula is ours.
"""

import numba
import numpy as np

from curec_assets.evidence.bias import Bias
from curec_assets.evidence.event_log import Codes, EventLog, Floats, Ints, Queries

COLUMNS = {
    "content_rating": "taste",
    "content_like": "taste",
}
"""Each number with the kind of fact (`schema.KINDS`) that it belongs to."""


class Content:
    """Predicted residuals from item texts; `read` gives `COLUMNS`."""

    columns = COLUMNS

    def __init__(self, log: EventLog, bias: Bias, components: Floats, ridge: float) -> None:
        """`components`: (items, numbers) see `TextComponents.of_items`."""
        self._log = log
        self._components = components
        self._ridge = ridge
        self._bias = bias

    def read(self, queries: Queries) -> Floats:
        """(queries, columns)."""
        log = self._log
        order = np.lexsort((queries.times, queries.users))
        begin, end = log.by_user.before(queries.users, queries.times)
        found = np.zeros((len(queries), 2))
        found[order] = _walk(
            queries.users[order],
            queries.items[order],
            begin[order],
            end[order],
            log.by_user.events,
            log.items,
            self._bias.ratings.residuals,
            self._bias.likes.residuals,
            self._components,
            self._ridge,
        )
        return found


@numba.njit(cache=True)
def _walk(
    users: Ints,
    items: Ints,
    begins: Ints,
    ends: Ints,
    events: Codes,
    their_items: Codes,
    ratings: Floats,
    likes: Floats,
    components: Floats,
    ridge: float,
) -> Floats:
    """Queries by user, then time: each user's regression is built up once."""
    size = components.shape[1]
    found = np.zeros((len(users), 2))
    gram = np.eye(size) * ridge
    right = np.zeros((size, 2))
    added = 0
    for query in range(len(users)):
        if query == 0 or users[query] != users[query - 1]:
            gram = np.eye(size) * ridge
            right = np.zeros((size, 2))
            added = begins[query]
        while added < ends[query]:
            event = events[added]
            vector = components[their_items[event]]
            gram += np.outer(vector, vector)
            right[:, 0] += vector * ratings[event]
            right[:, 1] += vector * likes[event]
            added += 1
        if items[query] < 0 or users[query] < 0 or begins[query] == ends[query]:
            continue
        found[query] = np.linalg.solve(gram, components[items[query]]) @ right
    return found
