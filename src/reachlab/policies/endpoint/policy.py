"""A model behind an endpoint that takes and gives token ids: a session as of a model of one's own.

What a handle samples depends on its seed, as far as the server keeps to it. vLLM draws with noise in single precision:
tokens rarer than about 1e-7 never come, so a p0 below that is not to be sampled through a server. Not covered:
gradients, exact p0, and KL to another policy: a server gives the log-probabilities of single tokens, not of the whole
vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from threading import Event
from typing import TYPE_CHECKING, Any

import numpy as np
from transformers import PreTrainedTokenizerBase

from reachlab import ActRequest, TokenKind, Transcript, Turn
from reachlab.errors import BadValue, PolicyFault
from reachlab.policies.chat import ChatTemplate
from reachlab.policies.chat_model.retry import side_by_side, silence
from reachlab.policies.endpoint.client import Client
from reachlab.policies.endpoint.completions import Completion, asking, completion, scored, scoring
from reachlab.policies.threads import Threads
from reachlab.seeding import derive

if TYPE_CHECKING:
    from reachlab.policies.imaginer import SessionImaginer
    from reachlab.policies.scoring import TokenScores


@dataclass(eq=False)
class EndpointPolicy:
    """``reachlab.Policy`` over ``/completions``."""

    name: str
    client: Client
    served: str
    """The model's name at the server."""
    tokenizer: PreTrainedTokenizerBase
    stop_ids: frozenset[int]
    positions: int
    """Tokens that the model takes in all."""

    @cached_property
    def template(self) -> ChatTemplate:
        return ChatTemplate(self.tokenizer)

    def session(self) -> EndpointSession:
        return EndpointSession(self.template, self.positions, self, self.stop_ids)

    def imaginer(self) -> SessionImaginer:
        """A new ``reachlab.Imaginer``, for one rollout."""
        from reachlab.policies.imaginer import SessionImaginer

        stops = self.stop_ids | {self.template.observation_stop}
        session = EndpointSession(self.template, self.positions, self, stops)
        return SessionImaginer(self.template, session)

    def logprobs(self, transcripts: Sequence[Transcript]) -> list[np.ndarray]:
        """For each transcript (T,) log-probabilities in nats of its tokens; 0 for the first."""

        def ask(index: int, stop: Event) -> np.ndarray:
            ids = transcripts[index].ids.tolist()
            return scored(self.client.post("/completions", scoring(self.served, ids), stop), ids)

        found: dict[int, np.ndarray] = {}
        for index, outcome in self._side_by_side(ask, range(len(transcripts))):
            if isinstance(outcome, Exception):
                raise PolicyFault(f"{self.name} scored no tokens: {outcome}") from outcome
            found[index] = outcome
        return [found[index] for index in range(len(transcripts))]

    def score(self, base: EndpointPolicy, transcripts: Sequence[Transcript]) -> list[TokenScores]:
        """Of the base against itself, whose KL is 0."""
        from reachlab.policies.scoring import TokenScores

        if base is not self:
            raise BadValue("base", base.name, "the policy itself: a server gives no KL to another one")
        scores = []
        for transcript, logprobs in zip(transcripts, self.logprobs(transcripts), strict=True):
            counted = np.isin(transcript.kinds, (TokenKind.POLICY, TokenKind.OBSERVATION))
            own = np.where(counted, logprobs, 0.0)
            scores.append(TokenScores(own, own, np.zeros(len(own))))
        return scores

    def _side_by_side(self, work: Any, items: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
        return side_by_side(work, items, self.client.connections, self.client.retry.seconds)


@dataclass
class EndpointSession(Threads):
    """``reachlab.Session``; ``stop_ids`` end a turn."""

    policy: EndpointPolicy
    stop_ids: frozenset[int]

    def act(self, requests: Sequence[ActRequest]) -> Iterator[tuple[int, Turn]]:
        waiting = []
        for request in requests:
            thread = self._threads[request.handle]
            if room := self.positions - len(thread.ids):
                waiting.append(replace(request, max_tokens=min(request.max_tokens, room)))
            else:
                yield request.handle, silence(thread.fault)
        for request, outcome in self.policy._side_by_side(self._ask, waiting):
            yield request.handle, self._take(request, outcome)

    def _ask(self, request: ActRequest, stop: Event) -> Completion:
        """On a thread of its own: reads the past, changes nothing."""
        policy, thread, most = self.policy, self._threads[request.handle], request.max_tokens
        seed = derive(thread.seed, "sampling", thread.turns)
        body = asking(policy.served, thread.ids, seed=seed, max_tokens=most, stop=sorted(self.stop_ids))
        return policy.client.retry.run(lambda: completion(policy.client.once("/completions", body), most), stop)

    def _take(self, request: ActRequest, outcome: Completion | Exception) -> Turn:
        if isinstance(outcome, Exception):
            return silence(f"{self.policy.name}: {outcome}")
        thread, (ids, logprobs, stopped) = self._threads[request.handle], outcome
        thread.push(ids.tolist(), [int(TokenKind.POLICY)] * len(ids), logprobs.tolist())
        thread.turns += 1
        ended = stopped or int(ids[-1]) in self.stop_ids
        return Turn(self.template.decode((ids[:-1] if ended else ids).tolist()), ids, logprobs, ended)
