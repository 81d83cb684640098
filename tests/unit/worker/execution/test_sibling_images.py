"""What the images of one job share: which pictures are new, who takes the spare ones, and who waits for whom."""

from __future__ import annotations

import asyncio

from tests.support.factories.jobs import image
from worker.execution.sibling_images import SiblingImages
from worker.memory.budget import Budget
from worker.sandbox.pool import Picture

ROUTE = ("openrouter", "a/b")


def picture(name: str) -> Picture:
    return Picture(data=name.encode(), mime="image/png", width=64, height=64, sha256=name)


def siblings(count: int, *stored: int) -> SiblingImages:
    return SiblingImages(count=count, stored=[image("7", index) for index in stored])


def test_what_is_stored_is_not_missing() -> None:
    images = siblings(3, 1)
    assert (images.missing(), images.stored()) == ([0, 2], frozenset({1}))
    images.note_stored(image("7", 0))
    assert (images.missing(), images.stored()) == ([2], frozenset({0, 1}))


def test_a_picture_is_one_image_only() -> None:
    images = siblings(3)
    a, b = picture("a"), picture("b")
    assert images.choose(0, [a, b]) == [a, b]
    assert images.choose(1, [a]) == []
    assert images.seen_as(a) == 0
    assert images.choose(0, [a]) == [a]  # its own once more


def test_spare_pictures_go_to_missing_images_and_duplicates_count_as_unused() -> None:
    images, share = siblings(3), Budget(100).share()
    share.take(10)
    assert images.choose(0, [picture("a"), picture("b")])
    images.offer([picture("a"), picture("b")], 5, share)
    taken = images.take_spare(1)
    assert taken is not None
    assert (taken.picture, taken.number, taken.share.held) == (picture("b"), 5, 1)
    assert images.unused == {5: 1}
    assert images.take_spare(2) is None


def test_what_no_image_takes_is_unused_and_its_memory_free() -> None:
    budget = Budget(100)
    images, share = siblings(2), budget.share()
    share.take(10)
    images.offer([picture("a"), picture("b")], 5, share)
    images.drop_spares()
    assert (images.unused, images.has_spare(), budget.held) == ({5: 2}, False, 10)
    share.release()
    images.release_memory()
    assert budget.held == 0


def test_the_calls_under_way_suffice_where_a_model_brings_several() -> None:
    images = siblings(3)
    images.per_answer.known = {ROUTE: 3}
    with images.turn(0, ROUTE):
        assert images.calls_suffice()
        images.per_answer.doubt(ROUTE)
        assert not images.calls_suffice()
    assert not images.calls_suffice()


async def test_an_image_waits_as_long_as_others_are_made() -> None:
    images = siblings(2)
    with images.active():
        assert await images.others_go_on(60, at_breaker=False) is False  # no other one is made
        with images.active():
            assert await images.others_go_on(0.01, at_breaker=False) is True  # its time is over
            waiting = asyncio.create_task(images.others_go_on(60, at_breaker=True))
            await asyncio.sleep(0)
            images.note_call_ended()
            assert await waiting is True  # a place may be free


async def test_a_spare_picture_ends_a_wait() -> None:
    images, share = siblings(2), Budget(100).share()
    with images.active(), images.active():
        waiting = asyncio.create_task(images.others_go_on(60, at_breaker=False))
        await asyncio.sleep(0)
        images.offer([picture("a")], 0, share)
        assert await waiting is True


async def test_a_call_waits_for_a_spare_picture_only_once_images_without_a_call_have_theirs() -> None:
    images, share = siblings(2), Budget(100).share()
    with images.call(0):
        waiting = asyncio.create_task(images.until_spare())
        images.offer([picture("a")], 1, share)
        await asyncio.sleep(0)
        assert not waiting.done()
        images.offer([picture("b")], 1, share)
        await asyncio.wait_for(waiting, 60)
