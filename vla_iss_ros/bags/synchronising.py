# Copyright 2026 vla_iss_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Find what belongs to one instant among a bag's messages, in one pass and with few of them in memory."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from vla_iss_ros.bags.missing_cameras import Instant
from vla_iss_ros.bags.reader import Bag, Stretch
from vla_iss_ros.messages.errors import MessageError
from vla_iss_ros.messages.stamps import SECOND, nanoseconds_from_stamp

# A frame waits this long, in the log's time, for a stream that has fallen silent; ns.
PATIENCE = 1 * SECOND
# Messages with a stamp far in the future would block a stream's buffer for ever.
_KEPT = 10 * SECOND

Stream = tuple[str, str]  # kind ("image", "labels", "state") and camera
Partners = dict[Stream, Any]


@dataclass(frozen=True)
class Stamped:
    """A message with the stamp of its header, or the log's where it has none, and that of the log; ns."""

    stamp: int
    logged: int
    message: Any


def stamped(logged: int, message: Any) -> Stamped:
    """Return ``message`` with its stamps; raises MessageError or AttributeError for one without a good header."""
    return Stamped(nanoseconds_from_stamp(message.header.stamp) or logged, logged, message)


def readable(bag: Bag, topic: str, stretch: Stretch) -> Iterator[Stamped]:
    """Yield the messages of ``topic`` within ``stretch`` that have a good header; BagError where it is damaged."""
    for entry in bag.messages([topic], stretch):
        with suppress(MessageError, AttributeError):
            yield stamped(entry.stamp, entry.message)


def synchronise(
    bag: Bag,
    streams: Mapping[str, Sequence[Stream]],
    first: Stream,
    slops: Mapping[str, int],
    problems: Counter[str],
    stretch: Stretch | None = None,
    instants: Collection[Instant] = (),
) -> Iterator[tuple[Stamped, Partners]]:
    """Yield each message of stream ``first`` with the nearest message of every stream, its own among them.

    Also each image of another stream that is one of ``instants``. ``streams``: by topic. ``slops``: by kind of stream,
    ns. Messages without a good header are counted in ``problems``.
    """
    others = [s for topic, group in streams.items() if topic in bag.topics for s in group if s != first]
    waiting: deque[tuple[Stream, Stamped]] = deque()
    buffers: dict[Stream, deque[Stamped]] = {stream: deque() for stream in others}
    for entry in bag.messages(list(streams), stretch):
        try:
            message = stamped(entry.stamp, entry.message)
        except (MessageError, AttributeError) as error:
            if stretch is None or entry.stamp in stretch:
                problems[f"{entry.topic}: {getattr(error, 'reason', 'no header')}"] += 1
            continue
        for stream in streams[entry.topic]:
            kind, camera = stream
            if stream == first or (kind == "image" and (entry.stamp, camera) in instants):
                waiting.append((stream, message))
            if stream != first:
                buffers[stream].append(message)
        while waiting and _is_settled(waiting[0][1], buffers, entry.stamp):
            yield _take(*waiting.popleft(), buffers, slops)
    while waiting:
        yield _take(*waiting.popleft(), buffers, slops)


def _is_settled(image: Stamped, buffers: Mapping[Stream, deque[Stamped]], now: int) -> bool:
    """Tell whether no later message can be nearer to ``image`` than those that are here."""
    if now - image.logged > PATIENCE:
        return True
    return all(buffer and buffer[-1].stamp >= image.stamp for buffer in buffers.values())


def _take(
    own: Stream, image: Stamped, buffers: Mapping[Stream, deque[Stamped]], slops: Mapping[str, int]
) -> tuple[Stamped, Partners]:
    """Pick each stream's nearest message and forget those that are too old for any later image."""
    partners: Partners = {}
    for stream, buffer in buffers.items():
        slop = slops[stream[0]]
        nearest = min(buffer, key=lambda each: abs(each.stamp - image.stamp), default=None)
        if nearest is not None and abs(nearest.stamp - image.stamp) <= slop:
            partners[stream] = nearest.message
        while buffer and (buffer[0].stamp < image.stamp - slop or buffer[0].logged < image.logged - _KEPT):
            buffer.popleft()
    partners[own] = image.message
    return image, partners
