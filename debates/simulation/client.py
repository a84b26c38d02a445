"""Simulated agents behind the interface of agents.ollama.Client: given the prompts of a debate, they answer them.

A speech settles what its agent holds, and the ballot after it says so; each answer is drawn anew, so that seats with
the same model and prompt think for themselves.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from math import log
from random import Random
from typing import Any

from agents.ollama import BadRequest, Chunk, Deadlines, ModelFailed, ModelMissing, Stats
from debates.simulation.minds import Rethought, Thought, ease, rethink, think
from debates.simulation.panels import SimulatedAgent
from debates.simulation.prompted import Message, Prompted, ending, read

NEVER = 1e-6  # probability of a letter that a simulated agent would not choose
Objects = list[dict[str, Any]]


class SimulatedClient:
    """`agents` by the name of their model; `answers`: question → the words of the right option.

    Raises ModelMissing, BadRequest (a question it knows no answer to), ModelFailed (as often as its agents fail).
    """

    def __init__(
        self,
        agents: Mapping[str, SimulatedAgent],
        *,
        answers: Mapping[str, str],
        correlation: float = 0.0,
        seed: int = 1,
    ) -> None:
        self._agents = agents
        self._answers = answers
        self._correlation = correlation
        self._seed = seed
        self._random = Random(seed)  # noqa: S311  (a simulation)

    async def chat(  # noqa: PLR0913 - the interface of agents.ollama.Client
        self,
        *,
        model: str,
        messages: Sequence[Message],
        deadlines: Deadlines | None = None,
        format: str | Mapping[str, Any] | None = None,  # noqa: A002 - the protocol's word
        options: Mapping[str, Any] | None = None,
        think: bool | str | None = None,
        keep_alive: float | str | None = None,
        tools: Sequence[Mapping[str, Any]] | None = None,
        top_logprobs: int = 0,
    ) -> AsyncGenerator[Chunk, None]:
        """Word by word, as fast as they are read; the first after the agent's latency."""
        agent = self._agent(model)
        await asyncio.sleep(agent.latency)
        is_probe = (options or {}).get("num_predict") == 1
        pieces = self._pieces(agent, messages, schema=format, is_probe=is_probe)
        for text, entry in pieces:
            yield Chunk(text, logprobs=[entry or _certain(text)] if top_logprobs else ())
        prompt = sum(len(message["content"].split()) for message in messages)
        yield Chunk(done=True, done_reason="stop", stats=Stats(prompt_tokens=prompt, output_tokens=len(pieces)))

    def _agent(self, model: str) -> SimulatedAgent:
        if model not in self._agents:
            raise ModelMissing(model, available=list(self._agents))
        return self._agents[model]

    def _pieces(
        self,
        agent: SimulatedAgent,
        messages: Sequence[Message],
        *,
        schema: str | Mapping[str, Any] | None,
        is_probe: bool,
    ) -> list[tuple[str, dict[str, Any] | None]]:
        """Text, and what a host would tell of its alternatives where it has any."""
        prompted = read(messages)
        if self._random.random() < agent.failure_rate:
            raise ModelFailed("This simulated agent fails now and then.")
        if isinstance(schema, Mapping) and "option" in schema.get("properties", {}):
            return self._ballot(agent, prompted, schema)
        if isinstance(schema, Mapping):
            return [(json.dumps(self._instance(schema)), None)]
        if is_probe:
            return [self._letter(self._held(agent, prompted), prompted)]
        return [(f"{word} ", None) for word in self._speech(agent, prompted).split()]

    def _speech(self, agent: SimulatedAgent, prompted: Prompted) -> str:
        if not prompted.options:
            return "I have nothing to add to what was said."
        found = self._think_again(agent, prompted)
        return f"Having thought about it, I come to this. {ending(found.thought, found.reason)}"

    def _think_again(self, agent: SimulatedAgent, prompted: Prompted) -> Rethought:
        own, right = self._held(agent, prompted), self._right(prompted)
        heard = [Thought(option, own.sure) for option in prompted.heard if option in prompted.options]
        return rethink(agent, own, heard=heard, right=right, random=self._random)

    def _held(self, agent: SimulatedAgent, prompted: Prompted) -> Thought:
        """What it said last, or what it thinks at first."""
        if prompted.own is not None:
            return prompted.own
        difficulty = ease(agent, correlation=self._correlation, question=f"{self._seed}:{prompted.question}")
        return think(ease=difficulty, options=prompted.options, right=self._right(prompted), random=self._random)

    def _right(self, prompted: Prompted) -> str:
        answer = self._answers.get(prompted.question)
        if answer not in prompted.options:
            raise BadRequest(f"No simulated agent knows what is right of: {prompted.question[:80]}")
        return answer

    def _ballot(
        self, agent: SimulatedAgent, prompted: Prompted, schema: Mapping[str, Any]
    ) -> list[tuple[str, dict[str, Any] | None]]:
        thought = self._held(agent, prompted)
        letter, entry = self._letter(thought, prompted)
        has_moved = bool(prompted.voted) and prompted.voted != thought.option
        reason = prompted.reason if has_moved else "none"
        told = {
            "confidence": thought.stated(agent),
            "reason": f"I hold {thought.option}.",
            "claims": [{"text": self._claim(thought), "kind": "inference"}],
            "cited_claims": _cited(thought, prompted) if reason not in ("none", "majority_pressure") else [],
            "change_reason": reason,
            "would_change_if": "Somebody showed that it is not so.",
            "ranking": [letter, *(each for each in self._options(prompted) if each != letter)],
        }
        rest = {name: told[name] for name in schema["properties"] if name in told}
        return [('{"option": "', None), (letter, entry), (f'", {json.dumps(rest)[1:]}', None)]

    def _claim(self, thought: Thought) -> str:
        return f"{thought.option}: ground number {self._random.randrange(10**6)}"

    def _letter(self, thought: Thought, prompted: Prompted) -> tuple[str, dict[str, Any]]:
        """Its letter; the probabilities of all, its true belief (whatever it states)."""
        options = self._options(prompted)
        letter = next((each for each, option in options.items() if option == thought.option), "")
        if not letter:
            raise BadRequest("The prompt offers no letter for what this simulated agent holds.")
        rest = max((1 - thought.sure) / (len(options) - 1), NEVER)
        belief = {each: max(thought.sure, NEVER) if each == letter else rest for each in options}
        rivals = [{"token": each, "logprob": log(min(share, 1.0))} for each, share in belief.items()]
        chosen = next(rival for rival in rivals if rival["token"] == letter)
        return letter, {**chosen, "top_logprobs": rivals}

    def _options(self, prompted: Prompted) -> dict[str, str]:
        """Without the letter to abstain by."""
        return {letter: option for letter, option in prompted.letters.items() if option in prompted.options}

    def _instance(self, schema: Mapping[str, Any]) -> Any:
        """Something that satisfies the schema, for steps whose answers are lists: checks, options, a ranking."""
        if "enum" in schema:
            return self._random.choice(schema["enum"])
        match schema.get("type"):
            case "object":
                return {name: self._instance(each) for name, each in schema["properties"].items()}
            case "array":
                return self._items(schema)
            case "integer":
                return schema.get("minimum", 0)
        return f"Point {self._random.randrange(10**6)}"

    def _items(self, schema: Mapping[str, Any]) -> list[Any]:
        count, items = schema.get("minItems", 0), schema["items"]
        if "enum" in items:
            return self._random.sample(items["enum"], count)
        return [self._instance(items) for _ in range(count)]


def _certain(text: str) -> dict[str, Any]:
    return {"token": text, "logprob": 0.0, "top_logprobs": []}


def _cited(thought: Thought, prompted: Prompted) -> list[int]:
    """The newest claim of others for what it holds now."""
    speaks = [number for number, text in prompted.claims.items() if text.startswith(f"{thought.option}: ")]
    return [number for number in speaks if not prompted.claims[number].endswith("(yours)")][-1:]
