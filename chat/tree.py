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
    key: UUID | None = None


class Tree:
    def __init__(self, nodes: Iterable[Node]) -> None:
        """`nodes` from the oldest to the newest."""
        self.nodes: dict[UUID, Node] = {}
        self._children: defaultdict[UUID | None, list[UUID]] = defaultdict(list)
        for node in nodes:
            self._put(node)

    def _put(self, node: Node) -> None:
        self.nodes[node.id] = node
        self._children[node.parent].append(node.id)

    def add(self, message: Message) -> None:
        """One that was written just now, under a parent that is in the tree."""
        self._put(Node(message.pk, message.parent_id, message.status, message.created_at, message.request_key))

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

    def children(self, message: UUID | None) -> list[UUID]:
        """Oldest first; of None: the first questions."""
        return self._children.get(message, [])

    def is_writing(self, message: UUID | None) -> bool:
        return message is not None and self.nodes[message].status == Message.Status.WRITING

    def is_being_answered(self, question: UUID) -> bool:
        return any(map(self.is_writing, self.children(question)))

    def asked_with(self, key: UUID) -> UUID | None:
        """The question that was asked with this key."""
        return next((node.id for node in self.nodes.values() if node.key == key), None)

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

    def place(self, *messages: Message) -> None:
        """Tell each of them its siblings."""
        for message in messages:
            message.siblings = self.siblings(message.pk)
            message.branch = message.siblings.index(message.pk) + 1


def read(conversation: Conversation) -> Tree:
    rows = Message.objects.filter(conversation=conversation).order_by("created_at", "id")
    return Tree(Node(*row) for row in rows.values_list("id", "parent_id", "status", "created_at", "request_key"))
