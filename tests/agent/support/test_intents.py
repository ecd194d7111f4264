"""Intents by example: told apart, refused outside, kept whole; the rules of one turn."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from small_shop import HashingEncoder

from agent.messages import messages
from agent.support.hours import OfficeHours
from agent.support.intent_file import OUTSIDE, read_examples, read_intents, read_test, read_train
from agent.support.intent_learning import learn_intents
from agent.support.intent_store import newest, open_intents, write_intents
from agent.support.intents import IntentExample, IntentModel, IntentRule
from retrieval.encoder import FloatArray
from retrieval.errors import BadRequest, IndexUnavailable, SettingsError

WORDS = {
    "cancel": ("cancel stop undo drop", "order purchase parcel"),
    "refund": ("refund reimburse repay", "money payment price"),
    "password": ("reset change forgot", "password login account"),
    OUTSIDE: ("sing paint describe", "weather moon poem"),
}
FRAMES = ("please {0} my {1}", "how do i {0} the {1}", "can you {0} this {1} now", "i want to {0} a {1}")


def examples(*names: str, frames: Sequence[str] = FRAMES) -> list[IntentExample]:
    return [
        IntentExample(frame.format(verb, noun), name)
        for name in names
        for verb in WORDS[name][0].split()
        for noun in WORDS[name][1].split()
        for frame in frames
    ]


NEW = "i want to {0} this {1} please"
INSIDE = ("cancel", "refund", "password")


@pytest.fixture(scope="module")
def model() -> IntentModel:
    return learn_intents(examples(*WORDS), HashingEncoder(), outside=OUTSIDE)


def test_new_sentences_are_told_apart_and_those_outside_are_refused(model: IntentModel) -> None:
    asked = examples(*WORDS, frames=(NEW,))
    guesses = model.guess([one.text for one in asked], HashingEncoder())
    wanted = [None if one.intent == OUTSIDE else one.intent for one in asked]
    assert np.mean([guess.intent == intent for guess, intent in zip(guesses, wanted, strict=True)]) > 0.9
    assert all(0 <= guess.score <= 1 for guess in guesses)


def test_a_new_intent_is_new_examples() -> None:
    more = [*examples(*INSIDE), *(IntentExample(f"where is the {one} shop", "shops") for one in ("big", "old", "near"))]
    learned = learn_intents(more, HashingEncoder())
    assert learned.guess(["where is the new shop"], HashingEncoder())[0].intent == "shops"


def test_without_a_label_for_the_outside_nothing_is_refused() -> None:
    learned = learn_intents(examples(*INSIDE), HashingEncoder())
    guesses = learned.guess(["zebra quantum", "", "sing the moon"], HashingEncoder())
    assert all(one.intent in INSIDE for one in guesses)


def test_intents_that_are_left_out_stand_in_for_the_outside() -> None:
    learned = learn_intents(examples(*INSIDE), HashingEncoder(), outside=OUTSIDE)
    assert learned.outside is None
    assert learned.guess(["zebra quantum xylophone"], HashingEncoder())[0].intent is None
    assert learned.guess([NEW.format("cancel", "order")], HashingEncoder())[0].intent == "cancel"


def test_a_score_says_how_often_it_is_right(model: IntentModel) -> None:
    sure, unsure = model.guess([NEW.format("refund", "money"), "refund my password"], HashingEncoder())
    assert sure.score > 0.9
    assert unsure.score < sure.score


def test_the_same_examples_give_the_same_answers(model: IntentModel) -> None:
    again = learn_intents(examples(*WORDS), HashingEncoder(), outside=OUTSIDE)
    asked = [one.text for one in examples("refund", OUTSIDE, frames=(NEW,))]
    assert again.guess(asked, HashingEncoder()) == model.guess(asked, HashingEncoder())


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], "Examples of two"),
        (examples("cancel"), "Examples of two"),
        (examples("cancel", OUTSIDE), "Examples of two"),
    ],
)
def test_too_little_to_learn_from_is_said(rows: list[IntentExample], said: str) -> None:
    with pytest.raises(BadRequest, match=said):
        learn_intents(rows, HashingEncoder(), outside=OUTSIDE)


def test_an_only_example_is_learned_all_the_same() -> None:
    learned = learn_intents([*examples(*INSIDE), IntentExample("gift voucher", "gifts")], HashingEncoder())
    assert learned.guess(["gift voucher"], HashingEncoder())[0].intent == "gifts"
    assert learned.guess([NEW.format("refund", "money")], HashingEncoder())[0].intent == "refund"


def test_two_intents_alone_have_no_scope() -> None:
    assert learn_intents(examples("cancel", "refund"), HashingEncoder(), outside=OUTSIDE).scope is None


def test_an_only_example_of_the_outside_is_learned_and_left_out_intents_show_the_rest() -> None:
    joke = IntentExample("sing about the moon", OUTSIDE)
    learned = learn_intents([*examples(*INSIDE), joke], HashingEncoder(), outside=OUTSIDE)
    assert learned.outside == OUTSIDE
    asked = [joke.text, "zebra quantum xylophone", NEW.format("cancel", "order"), NEW.format("forgot", "password")]
    guesses = learned.guess(asked, HashingEncoder())
    assert [one.intent for one in guesses] == [None, None, "cancel", "password"]


@pytest.mark.parametrize("outside", [(), ("sing about the moon",), ("sing about the moon", "describe the weather")])
@pytest.mark.parametrize("names", [("cancel", "refund"), INSIDE])
def test_single_examples_are_answered_all_the_same(names: Sequence[str], outside: Sequence[str]) -> None:
    rows = [examples(name)[0] for name in names] + [IntentExample(text, OUTSIDE) for text in outside]
    learned = learn_intents(rows, HashingEncoder(), outside=OUTSIDE)
    assert learned.scope is None
    guesses = learned.guess([one.text for one in rows], HashingEncoder())
    assert [one.intent for one in guesses] == [None if one.intent == OUTSIDE else one.intent for one in rows]


def test_what_is_written_reads_the_same(model: IntentModel, tmp_path: Path) -> None:
    rules = (IntentRule("cancel", action="cancel_order"), IntentRule("refund", answer="Within {5} days."))
    folder = write_intents(tmp_path, model, rules)
    assert newest(tmp_path) == folder
    opened = open_intents(folder, HashingEncoder())
    asked = [one.text for one in examples(*WORDS, frames=(NEW,))]
    stored, now = (one.guess(asked, HashingEncoder()) for one in (opened.model, model))
    assert [one.intent for one in stored] == [one.intent for one in now]
    assert np.allclose([one.score for one in stored], [one.score for one in now], atol=1e-5)
    assert opened.read(NEW.format("refund", "money"))[1] == rules[1]
    assert opened.read("sing the moon poem")[1] is None


def test_a_half_written_folder_does_not_exist_and_older_ones_go(model: IntentModel, tmp_path: Path) -> None:
    made = [write_intents(tmp_path, model, ()) for _ in range(3)]
    assert [one.is_dir() for one in made] == [False, True, True]
    (made[2] / "manifest.json").unlink()
    assert newest(tmp_path) == made[1]
    assert newest(tmp_path / "nothing") is None


def test_a_damaged_folder_and_another_encoder_are_one_sentence(model: IntentModel, tmp_path: Path) -> None:
    folder = write_intents(tmp_path, model, ())
    with pytest.raises(IndexUnavailable, match="another|encoder"):
        open_intents(folder, _Other())
    for damaged in (b"PK\x03\x04 half", b""):
        (folder / "model.npz").write_bytes(damaged)
        with pytest.raises(IndexUnavailable, match="import intents"):
            open_intents(folder, HashingEncoder())


class _Other(HashingEncoder):
    name = "another"


def test_intents_of_an_older_version_are_one_sentence(model: IntentModel, tmp_path: Path) -> None:
    folder = write_intents(tmp_path, model, ())
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    (folder / "manifest.json").write_text(json.dumps({**manifest, "schema": 1}), encoding="utf-8")
    with pytest.raises(IndexUnavailable, match="its schema is 1, ours is 2.*import intents FILE"):
        open_intents(folder, HashingEncoder())


class _Layered(HashingEncoder):
    """Its sentence vectors say nothing; the layer below knows whether a number is even."""

    def encode(self, texts: Sequence[str]) -> FloatArray:
        return np.eye(1, self.dim, dtype=np.float32).repeat(len(texts), axis=0)

    def encode_deep(self, texts: Sequence[str]) -> FloatArray:
        below = np.eye(self.dim, dtype=np.float32)[[int(text) % 2 for text in texts]]
        return np.hstack([self.encode(texts), below])


def test_what_a_layer_below_knows_is_heard(tmp_path: Path) -> None:
    rows = [IntentExample(str(number), ("even", "odd")[number % 2]) for number in range(1000, 9000, 133)]
    learned = learn_intents(rows, _Layered())
    opened = open_intents(write_intents(tmp_path, learned, ()), _Layered()).model
    asked = [str(number) for number in range(1001, 9000, 217)]
    wanted = [("even", "odd")[int(text) % 2] for text in asked]
    for one in (learned, opened):
        assert [guess.intent for guess in one.guess(asked, _Layered())] == wanted


def test_a_file_of_intents(tmp_path: Path) -> None:
    file = tmp_path / "intents.toml"
    file.write_text(
        'outside = ["tell me a joke"]\n[intent.hours]\nexamples = ["when are you open"]\nanswer = "9 to 5."\n'
        '[intent.law]\nexamples = ["can I sue"]\nrefuse = true\n',
        encoding="utf-8",
    )
    told = read_intents(file)
    assert {(one.text, one.intent) for one in told.examples} == {
        ("when are you open", "hours"),
        ("can I sue", "law"),
        ("tell me a joke", OUTSIDE),
    }
    assert told.rules == (IntentRule("hours", answer="9 to 5."), IntentRule("law", refuse=True))


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("intents.toml", "[intent.a]\nexamples = []\n", "intent.a.examples"),
        ("intents.toml", '[intent.a]\nexamples = ["x"]\nanwser = "y"\n', "anwser"),
        ("intents.toml", "[intent", "TOML"),
        ("intents.toml", '[intent.outside]\nexamples = ["x"]\n', "outside"),
        ("rows.jsonl", '{"text": "a"}\n', "Line 1 .*'intent'"),
        ("rows.jsonl", '{"text": "a", "intent": "b"}\nnonsense\n', "Line 2 .*JSON"),
        ("rows.jsonl", "[1]\n", "Line 1 .*object"),
        ("rows.jsonl", "\udcff".encode("utf-8", "surrogateescape").decode("latin-1"), "Line 1"),
    ],
)
def test_what_is_wrong_with_a_file_is_one_sentence(tmp_path: Path, name: str, text: str, said: str) -> None:
    file = tmp_path / name
    file.write_text(text, encoding="utf-8")
    with pytest.raises(BadRequest, match=said):
        read_intents(file)


def test_rows_may_hide_their_intent_only_in_a_test_file(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text('{"text": "a"}\n\n{"text": "b", "intent": null}\n{"text": "c", "intent": "d"}\n', encoding="utf-8")
    assert list(read_test(file)) == [("a", None), ("b", None), ("c", "d")]
    with pytest.raises(BadRequest, match="Line 1"):
        list(read_examples(file))
    with pytest.raises(BadRequest, match="no file"):
        list(read_test(tmp_path / "none.jsonl"))


def test_a_row_that_is_asked_may_be_blank_and_its_intent_no_label(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"text": "", "intent": "a"},
        {"text": " ", "intent": ["a"]},
        {"text": "b", "intent": True},
        {"text": "c", "intent": 7},
    ]
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    assert list(read_test(file)) == [("", "a"), (" ", None), ("b", None), ("c", "7")]
    file.write_text(json.dumps(rows[-1]), encoding="utf-8")
    assert list(read_train(file)) == [(IntentExample("c", "7"), 7)]
    assert list(read_examples(file)) == [IntentExample("c", "7")]
    file.write_text(json.dumps(rows[2]), encoding="utf-8")
    with pytest.raises(BadRequest, match="'intent'"):
        list(read_train(file))


def test_a_damaged_archive_is_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl.gz"
    whole = gzip.compress(b'{"text": "a", "intent": "b"}\n')
    file.write_bytes(whole)
    assert list(read_examples(file)) == [IntentExample("a", "b")]
    for damaged in (whole[:10] + b"\xff" * 20, whole[:-12], whole[:-8] + b"\0" * 8):
        file.write_bytes(damaged)
        with pytest.raises(BadRequest, match="cannot be read"):
            list(read_examples(file))


def test_office_hours_follow_the_clocks_of_their_zone() -> None:
    hours = OfficeHours.of(("Mon-Fri 09:00-17:30", "Sat 10:00-14:00"), "Europe/Berlin")
    friday = datetime(2026, 7, 3, 15, 0, tzinfo=UTC)  # 17:00 in Berlin
    assert hours.is_open(friday)
    assert not hours.is_open(friday.replace(minute=30))
    assert hours.opens(friday) == datetime(2026, 7, 4, 8, 0, tzinfo=UTC)
    sunday = datetime(2026, 12, 6, 12, 0, tzinfo=UTC)
    assert hours.opens(sunday) == datetime(2026, 12, 7, 8, 0, tzinfo=UTC)  # winter time
    assert hours.sentence(sunday, messages("en")) == "Our team is back on Monday at 09:00."
    assert hours.sentence(friday, messages("zh")) == "我们的客服现在在线。"


def test_without_hours_somebody_is_always_there_and_nothing_is_said() -> None:
    hours = OfficeHours.of(())
    assert hours.is_open(datetime(2026, 1, 1, tzinfo=UTC))
    assert hours.sentence(datetime(2026, 1, 1, tzinfo=UTC), messages("en")) == ""


@pytest.mark.parametrize("line", ["Mon 9-5", "Funday 09:00-17:00", "Mon 17:00-09:00", "Mon 25:00-26:00"])
def test_hours_that_are_none_are_refused(line: str) -> None:
    with pytest.raises(SettingsError, match="office hours"):
        OfficeHours.of((line,))


def test_a_zone_that_is_none_is_refused() -> None:
    with pytest.raises(SettingsError, match="time zone"):
        OfficeHours.of(("Mon 09:00-17:00",), "Atlantis/Capital")
