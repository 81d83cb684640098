"""Which calls of a chat are the same."""

from __future__ import annotations

from producer.chat.turn import MOST_TURNS, Calls, Turn

TURN = Turn(channel="c", chat_id="1", sender_id="ann", session="c:1", id="turn")
FOX = {"prompt": "a fox"}


def test_equal_calls_of_a_turn_have_names_of_their_own() -> None:
    calls = Calls()
    names = [calls.key(TURN, FOX) for _ in range(3)]
    assert len(set(names)) == 3
    assert [Calls().key(TURN, FOX) for _ in range(2)] == names[:1] * 2


def test_a_call_whose_arrival_nobody_knows_leaves_its_name_to_the_next() -> None:
    calls = Calls()
    first, second = calls.key(TURN, FOX), calls.key(TURN, FOX)
    calls.take_back(TURN, first)
    assert [calls.key(TURN, FOX), calls.key(TURN, FOX) in (first, second)] == [first, False]


def test_other_turns_sessions_and_arguments_have_other_names() -> None:
    others: list[dict[str, str | None]] = [{"id": "other"}, {"session": "c:2"}, {"id": None}, {"id": None}]
    names = [Calls().key(TURN.model_copy(update=change), FOX) for change in others]
    names += [Calls().key(TURN, FOX), Calls().key(TURN, {"prompt": "a hare"})]
    assert len(set(names)) == 6


def test_old_turns_are_forgotten() -> None:
    calls = Calls()
    first = calls.key(TURN, FOX)
    for number in range(MOST_TURNS):
        calls.key(TURN.model_copy(update={"id": str(number)}), FOX)
    assert calls.key(TURN, FOX) == first


def test_owner_and_pictures_are_named_by_chat_and_session() -> None:
    assert (TURN.owner, TURN.chat) == ("c:1:ann", "chat:c:1")
