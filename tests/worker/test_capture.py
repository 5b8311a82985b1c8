"""What tasks write comes out as whole lines, in order, and never holds up the worker."""

import asyncio
import os

import pytest

from nflow.wire.lines import unpack_lines
from nflow.worker.capture import LINES_AT_ONCE, LONGEST_LINE_BYTES, LONGEST_LOG, Capture, Pipe


class Printing:
    """A slot's output, without the slot: what is written here, and the messages that come of it."""

    def __init__(self) -> None:
        out, self.out = os.pipe()
        err, self.err = os.pipe()
        self.messages: list[tuple[str, bytes]] = []
        self._news = asyncio.Event()
        self.capture = Capture(Pipe(out, "out"), Pipe(err, "err"), self._publish)
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
