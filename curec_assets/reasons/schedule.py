"""In which order the events of many users are walked.

Each user's rounds are in order; users do not depend on each other. A language model writes many
reasons at once in little more time than one. So of all users, those with the most left to do go
first, as many as fill a shard (Hu's rule for chains, which gives the fewest shards): a user with
hundreds of rounds is walked along with others, and not alone at the end.
"""

import heapq
from collections.abc import Mapping, Sequence


def shards_of(sizes: Mapping[str, Sequence[int]], at_once: int) -> dict[str, list[int]]:
    """User → the shard of each of their rounds, rising.

    `sizes`: user → number of events of each of their rounds. `at_once`: events that a shard has at
    least, where enough users are left.
    """
    events = sum(map(sum, sizes.values()))
    longest = max(map(len, sizes.values()), default=0)
    least = max(at_once, -(-events // longest) if longest else 0)
    # Most rounds left first; the user's id makes the order one.
    waiting = [(-len(rounds), user) for user, rounds in sizes.items() if rounds]
    heapq.heapify(waiting)
    shards: dict[str, list[int]] = {user: [] for user in sizes}
    shard = 0
    while waiting:
        filled, again = 0, []
        while waiting and filled < least:
            left, user = heapq.heappop(waiting)
            filled += sizes[user][len(shards[user])]
            shards[user].append(shard)
            if left + 1:
                again.append((left + 1, user))
        for entry in again:
            heapq.heappush(waiting, entry)
        shard += 1
    return shards
