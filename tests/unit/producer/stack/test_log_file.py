"""A part's log is kept within a bound, and whoever appends to it goes on."""

from __future__ import annotations

from pathlib import Path

from producer.stack.log_file import trim


def test_a_long_log_is_put_aside_and_its_writer_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    with log.open("ab", buffering=0) as writer:
        writer.write(b"old " * 10)
        trim(log, most=40)
        assert log.stat().st_size == 40
        writer.write(b"more")
        trim(log, most=40)
        writer.write(b"new")
    assert (log.read_bytes(), (tmp_path / "worker.log.1").read_bytes()) == (b"new", b"old " * 10 + b"more")


def test_a_log_that_is_not_there_is_no_problem(tmp_path: Path) -> None:
    trim(tmp_path / "none.log")
    assert list(tmp_path.iterdir()) == []
