from __future__ import annotations

import re

import pytest
from llm_chat import CHAT

from agent.llm.generation import Cancelled, Reader, Watch
from agent.llm.grammar import Filler
from agent.llm.model import LoadedModel
from agent.llm.protocol import Filled, Limits
from retrieval.errors import EngineError

GRAMMARS = {
    "lines": (
        'root ::= line line? line?\nline ::= ("genre" | "year" | "not") ": " [a-z0-9]{1,8} "\\n"\n',
        r"((genre|year|not): [a-z0-9]{1,8}\n){1,3}",
    ),
    "choice": ('root ::= "yes" | "no" | "none of these"\n', r"yes|no|none of these"),
    "fixed": ('root ::= "always the same words"\n', r"always the same words"),
    "unicode": ('root ::= ("日本" | "é" | "😀"){2}\n', r"(日本|é|😀){2}"),
    "recursive": ('root ::= "a" | "(" root ")"\n', r"\(*a\)*"),
}


@pytest.fixture(scope="module")
def filler(tiny: LoadedModel) -> Filler:
    return Filler(tiny)


def fill(filler: Filler, model: LoadedModel, grammar: str, watch: Watch | None = None, **limits: object) -> Filled:
    return filler.fill(Reader(model), None, CHAT, grammar, Limits(**limits), watch or Watch(60))


@pytest.mark.parametrize("name", GRAMMARS)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_complete_answers_follow_the_grammar_and_cut_ones_say_so(
    filler: Filler, tiny: LoadedModel, name: str, seed: int
) -> None:
    grammar, pattern = GRAMMARS[name]
    temperature = 0.0 if seed == 0 else 1.5
    for max_tokens in (1, 3, 60):
        filled = fill(filler, tiny, grammar, max_tokens=max_tokens, seed=seed, temperature=temperature)
        assert filled.completion_tokens <= max_tokens
        assert not filled.complete or re.fullmatch(pattern, filled.text)
    assert filled.complete or name == "recursive"


def test_a_grammar_without_end_ends_with_the_budget(filler: Filler, tiny: LoadedModel) -> None:
    filled = fill(filler, tiny, 'root ::= "a" root\n', max_tokens=20)
    assert (filled.complete, filled.completion_tokens) == (False, 20)
    assert set(filled.text) == {"a"}


def test_seconds_end_it_too(filler: Filler, tiny: LoadedModel) -> None:
    assert not fill(filler, tiny, GRAMMARS["lines"][0], watch=Watch(0)).complete


def test_smol_picks_the_sensible_branch(smol: LoadedModel) -> None:
    filled = fill(Filler(smol), smol, 'root ::= "mood: " [a-z]{1,12} "\\n"\n', max_tokens=24)
    assert filled.complete
    assert re.fullmatch(r"mood: [a-z]{1,12}\n", filled.text)


def test_grammars_are_compiled_once(filler: Filler) -> None:
    grammar = GRAMMARS["choice"][0]
    assert filler.compile(grammar) is filler.compile(grammar)


@pytest.mark.parametrize("bad", ["", 'root ::= "', "root ::= nothing", 'start ::= "a"'])
def test_an_unreadable_grammar_is_one_sentence(filler: Filler, tiny: LoadedModel, bad: str) -> None:
    with pytest.raises(EngineError, match="^The grammar cannot be read: [^\\[]"):
        fill(filler, tiny, bad)


def test_cancel(filler: Filler, tiny: LoadedModel) -> None:
    with pytest.raises(Cancelled):
        fill(filler, tiny, GRAMMARS["lines"][0], watch=Watch(60, lambda: True))
