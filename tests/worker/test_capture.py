"""What tasks write comes out as whole lines, in order, and never holds up the worker."""

import asyncio
import os

import pytest

from nflow.wire.lines import unpack_lines, unpack_passage
from nflow.worker.capture import LINES_AT_ONCE, LONGEST_LINE_BYTES, LONGEST_LOG, MOST_BYTES, Capture, Pipe
from nflow.worker.tail import Piece, Tail


class Printing:
    """A slot's output, without the slot: what is written here, and the messages that come of it."""

    most = MOST_BYTES

    def __init__(self) -> None:
        out, self.out = os.pipe()
        err, self.err = os.pipe()
        self.messages: list[tuple[str, bytes]] = []
        self._news = asyncio.Event()
        self.capture = Capture(Pipe(out, "out"), Pipe(err, "err"), self._publish, self.most)
        self.capture.listen(asyncio.get_running_loop())
        self.capture.begin("lines.a", 1)

    def _publish(self, subject: str, payload: bytes) -> None:
        self.messages.append((subject, payload))
        self._news.set()

    async def news(self) -> None:
        async with asyncio.timeout(10):
            await self._news.wait()
        self._news.clear()

    @property
    def lines(self) -> list[tuple[str, str]]:
        return [(line.stream, line.text) for _, payload in self.messages for line in unpack_lines(payload)[1]]

    def close(self) -> None:
        self.capture.close()
        for fd in (self.out, self.err):
            os.close(fd)


@pytest.fixture
async def printing():
    printing = Printing()
    yield printing
    printing.close()


async def test_lines_come_as_they_are_written(printing):
    os.write(printing.out, b"one\ntw")
    await printing.news()
    os.write(printing.out, b"o\r\n")
    await printing.news()

    assert printing.lines == [("out", "one"), ("out", "two")]


def test_what_is_no_text_comes_all_the_same():
    read_end, write_end = os.pipe()
    os.write(write_end, b"caf\xe9\n")
    pipe = Pipe(read_end, "out")

    [line] = pipe.cut(pipe.read(), at=0.0)

    assert line.raw == b"caf\xe9\n"
    pipe.close()
    os.close(write_end)


async def test_a_last_line_without_its_end_comes_when_the_task_is_over(printing):
    os.write(printing.out, b"the end")

    printing.capture.end()

    assert printing.lines == [("out", "the end")]


async def test_lines_belong_to_the_attempt_that_wrote_them(printing):
    os.write(printing.out, b"first\n")
    printing.capture.end()
    printing.capture.begin("lines.b", 2)
    os.write(printing.out, b"second\n")
    printing.capture.end()

    assert [(subject, unpack_lines(payload)[0]) for subject, payload in printing.messages] == [
        ("lines.a", 1),
        ("lines.b", 2),
    ]


async def test_what_was_begun_after_the_end_of_an_attempt_is_not_the_next_ones(printing):
    printing.capture.end()
    os.write(printing.out, b"late wor")

    printing.capture.begin("lines.b", 1)
    os.write(printing.out, b"hello\n")
    printing.capture.end()

    assert [(subject, unpack_lines(payload)[1][0].text) for subject, payload in printing.messages] == [
        ("lines.a", "late wor"),
        ("lines.b", "hello"),
    ]


async def test_a_line_without_end_is_cut(printing):
    await asyncio.to_thread(os.write, printing.out, b"x" * 3 * LONGEST_LINE_BYTES + b"y\n")

    printing.capture.end()

    assert max(len(text) for _, text in printing.lines) <= LONGEST_LINE_BYTES + 1
    assert "".join(text for _, text in printing.lines) == "x" * 3 * LONGEST_LINE_BYTES + "y"


async def test_thousands_of_empty_lines_are_several_messages(printing):
    os.write(printing.out, b"\n" * 60_000)

    printing.capture.end()

    assert len(printing.lines) == 60_000
    assert max(len(unpack_lines(payload)[1]) for _, payload in printing.messages) <= LINES_AT_ONCE


async def test_what_is_logged_comes_after_what_was_printed_before_it(printing):
    os.write(printing.out, b"printed\n")

    printing.capture.log("INFO", "user", "logged")

    assert printing.lines == [("out", "printed"), ("log", "logged")]


async def test_a_logged_text_fits_into_a_message(printing):
    printing.capture.log("INFO", "user", "x" * 2_000_000)

    [(_, text)] = printing.lines
    assert text.startswith("x" * LONGEST_LOG)
    assert text.endswith("it has 2000000 characters)")


async def test_a_pipe_that_was_drained_in_the_same_moment_is_still_listened_to(printing):
    """Once, a look that found nothing was taken for the end, and a task that went on to print was stuck for ever."""
    doorbell, button = os.pipe()
    loop = asyncio.get_running_loop()
    loop.add_reader(doorbell, lambda: (os.read(doorbell, 1), printing.capture.drain()))

    os.write(button, b"!")
    os.write(printing.out, b"one\n")
    await printing.news()
    os.write(printing.out, b"two\n")
    await printing.news()

    assert printing.lines == [("out", "one"), ("out", "two")]
    loop.remove_reader(doorbell)
    os.close(doorbell)
    os.close(button)


async def test_a_process_that_prints_without_end_does_not_hold_up_the_worker(printing):
    endless = await asyncio.create_subprocess_exec("yes", stdout=printing.out)
    await printing.news()

    printing.capture.end()

    endless.kill()
    await endless.wait()
    assert {text for _, text in printing.lines[:-1]} == {"y"}


async def test_output_that_has_ended_is_not_looked_at_again(printing):
    os.write(printing.out, b"one\n")
    os.dup2(printing.err, printing.out)  # closes the only other end of the pipe
    await printing.news()
    await asyncio.sleep(0)

    printing.capture.drain()

    assert printing.lines == [("out", "one")]


class Flood(Printing):
    """Output of which 64 KiB are kept: 60 KiB of its beginning and 4 KiB of its end."""

    most = 64 * 1024

    async def write(self, data: bytes) -> None:
        """Write all of it, as a task does that waits for its pipe."""
        await asyncio.to_thread(self._write, data)

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self.out, view) :]

    @property
    def texts(self) -> list[str]:
        return [text for stream, text in self.lines if stream == "out"]

    @property
    def notes(self) -> list[str]:
        return [text for stream, text in self.lines if stream == "log"]


@pytest.fixture
async def flood():
    flood = Flood()
    yield flood
    flood.close()


def numbered(count: int) -> bytes:
    return b"".join(b"line %06d\n" % number for number in range(count))


async def test_of_a_flood_the_first_and_the_last_lines_are_kept_and_what_is_left_out_is_counted(flood):
    total = 50_000

    await flood.write(numbered(total))
    flood.capture.end()

    first, last = flood.texts[:4000], flood.texts[-5:]
    assert first == [f"line {number:06}" for number in range(4000)]
    assert last == [f"line {number:06}" for number in range(total - 5, total)]
    [missing] = [note for note in flood.notes if note.endswith("are left out here")]
    lines = int(missing.split()[0])
    whole = [text for text in flood.texts if len(text) == len("line 000000")]
    assert total - lines - 2 <= len(whole) <= total - lines


async def test_what_is_left_out_is_told_in_its_place(flood):
    await flood.write(numbered(50_000))
    flood.capture.end()

    [place] = [place for place, (_, text) in enumerate(flood.lines) if text.endswith("are left out here")]
    before = [text for stream, text in flood.lines[:place] if stream == "out"]
    after = [text for stream, text in flood.lines[place:] if stream == "out"]
    assert before[0] == "line 000000"
    assert after[-1] == "line 049999"
    assert max(before) < min(text for text in after if text.startswith("line"))


async def test_whoever_follows_a_flood_is_told_that_its_end_comes_later(flood):
    await flood.write(numbered(50_000))
    flood.capture.drain()

    [note] = flood.notes
    assert note.startswith("it has written 60 KiB: of the rest no more than the last 4 KiB are kept")


async def test_output_that_is_hardly_too_long_comes_whole(flood):
    total = 63 * 1024 // len(b"line 000000\n")

    for start in range(0, total, 100):
        os.write(flood.out, b"".join(b"line %06d\n" % number for number in range(start, min(start + 100, total))))
        flood.capture.drain()
    flood.capture.end()

    assert flood.texts == [f"line {number:06}" for number in range(total)]
    assert len(flood.notes) == 1


async def test_what_is_logged_at_the_end_of_a_flood_is_kept(flood):
    await flood.write(numbered(50_000))
    flood.capture.log("ERROR", "user", "no beam")
    flood.capture.end()

    assert flood.lines[-1] == ("log", "no beam")


async def test_the_last_lines_of_a_flood_tell_why_it_failed(flood):
    await flood.write(numbered(50_000) + b"no beam\n")
    flood.capture.end()

    assert flood.capture.last_lines[-1] == "no beam"


async def test_the_next_attempt_is_kept_from_its_beginning_again(flood):
    await flood.write(numbered(50_000))
    flood.capture.end()
    flood.messages.clear()

    flood.capture.begin("lines.a", 2)
    os.write(flood.out, b"again\n")
    flood.capture.end()

    assert flood.lines == [("out", "again")]


async def test_a_flood_of_tiny_pieces_takes_no_more_memory_than_one_of_large_ones():
    tail: Tail[None] = Tail(4096)

    for _ in range(10_000):
        tail.add(Piece(0.0, None, b"x\n"))

    assert len(tail.pieces()) < 100
    assert tail.dropped_lines == 10_000 - len(tail.pieces())


async def test_bytes_that_are_no_text_come_back_as_they_were(printing):
    every = bytes(range(256))

    os.write(printing.out, every + b"\nhalf")
    printing.capture.end()

    lines = [line for _, payload in printing.messages for line in unpack_lines(payload)[1]]
    assert b"".join(line.raw for line in lines) == every + b"\nhalf"


async def test_ends_of_lines_and_long_lines_come_back_as_they_were(printing):
    written = b"dos\r\n10 %\r20 %\r30 %\n" + "ä".encode() * LONGEST_LINE_BYTES + b"\n\n\r\n"

    await asyncio.to_thread(os.write, printing.out, written)
    printing.capture.end()

    lines = [line for _, payload in printing.messages for line in unpack_lines(payload)[1]]
    assert b"".join(line.raw for line in lines) == written
    assert not any("\udc80" <= character <= "\udcff" for line in lines for character in line.text)


async def test_the_last_lines_can_be_shown_whatever_they_hold(printing):
    os.write(printing.out, b"caf\xe9\n")
    printing.capture.log("INFO", "user", "odd \ud800")
    printing.capture.end()

    assert printing.capture.last_lines == ("caf\\xe9", "odd \\ud800")


async def test_no_two_messages_are_taken_for_one(printing):
    for _ in range(3):
        os.write(printing.out, b"the same\n")
        printing.capture.drain()

    passages = [unpack_passage(payload) for _, payload in printing.messages]

    assert len({(passage.sender, passage.number) for passage in passages}) == 3
