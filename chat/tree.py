"""The shape of a conversation: who is whose parent, read in one small query, texts left out."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from chat.models import Conversation, Message


class Node(NamedTuple):
    id: UUID
    parent: UUID | None
    status: str
    created_at: datetime


class Tree:
    def __init__(self, nodes: Iterable[Node]) -> None:
        """`nodes` from the oldest to the newest."""
        self.nodes = {node.id: node for node in nodes}
        self._children: defaultdict[UUID | None, list[UUID]] = defaultdict(list)
        for node in self.nodes.values():
            self._children[node.parent].append(node.id)

    def path(self, leaf: UUID | None) -> list[UUID]:
        """From the root down to `leaf`; empty for none."""
        path = []
        while leaf is not None:
            path.append(leaf)
            leaf = self.nodes[leaf].parent
        return path[::-1]

    def siblings(self, message: UUID) -> list[UUID]:
        """All under its parent, itself among them, oldest first."""
        return self._children[self.nodes[message].parent]

    def newest_leaf(self, message: UUID) -> UUID:
        """Of all branches that go on from `message` the end that was written last; itself if none does."""
        leaves, rest = [], [message]
        while rest:
            here = rest.pop()
            children = self._children.get(here)
            if children:
                rest += children
            else:
                leaves.append(here)
        return max(leaves, key=lambda leaf: (self.nodes[leaf].created_at, leaf))


def read(conversation: Conversation) -> Tree:
    rows = Message.objects.filter(conversation=conversation).order_by("created_at", "id")
    return Tree(Node(*row) for row in rows.values_list("id", "parent_id", "status", "created_at"))
