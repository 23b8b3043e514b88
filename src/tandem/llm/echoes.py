"""Likelihoods from a completions server that repeats its prompt with log-probabilities (``echo`` and ``logprobs``, as vLLM does)."""

from __future__ import annotations

from typing import Any

from tandem.interfaces import LogLikelihood

__all__ = ["ECHO", "read_echo"]

ECHO = {"echo": True, "logprobs": 1, "max_tokens": 1, "temperature": 1.0}
"""one token is generated, and not looked at: not every server takes 0"""


def read_echo(reply: Any, completion: str) -> LogLikelihood:
    """The likelihood of the completion that the server was sent behind its prompt.

    Tokens are counted from the end of the text: what stands before it may be a start token, which only some servers have in the text.

    Args:
        reply: of the server, to prompt and completion as one text.
        completion: its end.

    Raises:
        ValueError: the reply has no log-probabilities of the prompt, or a token straddles prompt and completion.
    """
    log_probs, usage = reply.choices[0].logprobs, reply.usage
    if log_probs is None or not log_probs.tokens or not log_probs.token_logprobs or usage is None:
        raise ValueError("no log-probabilities of the prompt")
    tokens, values = log_probs.tokens[: usage.prompt_tokens], log_probs.token_logprobs[: usage.prompt_tokens]
    if len(tokens) < usage.prompt_tokens or len(values) != len(tokens):
        raise ValueError("log-probabilities of what it generates alone")
    rest, total, count = completion, 0.0, 0
    for token, value in zip(reversed(tokens), reversed(values), strict=True):
        if not rest:
            break
        if not token or not rest.endswith(token) or value is None:
            raise ValueError(
                f"tokens of which {token!r} is not a part of {rest[-60:]!r}: it straddles prompt and completion, or has no text"
            )
        rest, total, count = rest[: -len(token)], total + value, count + 1
    if rest:
        raise ValueError(f"no tokens of {rest[:60]!r}")
    return LogLikelihood(total, count)
