"""The id of one event, said in plain Python."""

import hashlib


def event_id(user_id: str, item_id: str, timestamp: int) -> str:
    parts = (user_id, item_id, str(timestamp))
    text = "".join(f"{len(part)}:{part}" for part in parts)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
