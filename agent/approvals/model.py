"""A model as reviewer: it sees one action as data between marks, and answers in a fixed form or not at all."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncGenerator, Callable
from typing import Final, cast

from agent.approvals.answers import ANSWER_SCHEMA, MOST_ANSWER, Review, encoded, read_answer
from agent.errors import ModelError
from agent.llm.client import ItemArrived, ModelClient, ModelEvent, ModelRequest, ResponseDone
from agent.protocol.approvals import ApprovalRequest
from agent.protocol.items import JsonObject, developer_message, message_text, user_message

MOST_QUESTION: Final = 60_000  # bytes of one question, about four to a token
_FORMAT: Final[JsonObject] = {
    "type": "json_schema",
    "name": "review",
    "strict": True,
    "schema": ANSWER_SCHEMA,
}


class ModelReviewer:
    """One request a question, each by itself: what a model was told about one action sways no other."""

    def __init__(
        self,
        client: ModelClient,
        model: str,
        *,
        prompt: str,
        session: str,
        seconds: float,
        most: int,
        tokens: int,
        masked: Callable[[str], str] = str,
    ) -> None:
        """`most` questions and `tokens` a session; `masked` takes secrets out of a text."""
        self.name = f"model:{model}"
        self._client = client
        self._model = model
        self._prompt = prompt
        self._session = session
        self._seconds = seconds
        self._left = most
        self._tokens = tokens
        self._masked = masked

    async def review(self, request: ApprovalRequest) -> Review:
        """Its answer. Never raises."""
        if self._left <= 0 or self._tokens <= 0:
            return Review(None, "it was asked as often as it may be in one session")
        self._left -= 1
        try:
            data = encoded(request, self._session, self._masked)
            if len(data) > MOST_QUESTION:
                return Review(None, "what is asked about is too long")
            async with asyncio.timeout(self._seconds):
                return read_answer((await self._answer(data.decode("ascii"))).encode("utf-8", "replace"))
        except TimeoutError:
            return Review(None, f"it did not answer within {self._seconds:g} seconds")
        except (ModelError, ValueError) as error:
            return Review(None, str(error))

    async def _answer(self, data: str) -> str:
        mark = secrets.token_hex(16)  # what is reviewed cannot know it, so it cannot write its own end
        told = f"=== {mark}\n{data}\n=== {mark}"
        request = ModelRequest(
            model=self._model,
            input=(developer_message(self._prompt), user_message(told)),
            tools=(),
            cache_key=f"{self._session}:review",
            parallel_tool_calls=False,
            text_format=_FORMAT,
        )
        said: list[str] = []
        stream = cast("AsyncGenerator[ModelEvent, None]", self._client.stream(request))
        async with contextlib.aclosing(stream):
            async for event in stream:
                match event:
                    case ItemArrived(item):
                        if item.get("type") == "message":
                            said.append(message_text(item))
                        elif item.get("type") != "reasoning":
                            raise ValueError("it tried to act instead of answering")
                    case ResponseDone(usage, complete=complete):
                        self._tokens -= usage.input_tokens + usage.output_tokens
                        if not complete:
                            raise ValueError("its answer broke off")
                    case _:
                        pass
                if sum(map(len, said)) > MOST_ANSWER:
                    raise ValueError(f"its answer is longer than {MOST_ANSWER} bytes")
        return "".join(said).strip()
