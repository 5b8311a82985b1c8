"""Headers of messages, which are read here rather than by nats-py where they are as the server writes them."""

import pytest
from nats.aio.client import Client

from nflow.bus.nats.connection import QuickClient

RECORD = (
    b"Nats-Stream: nflow_event\r\nNats-Subject: nflow.event.a.main:1.fit\r\nNats-Sequence: 7\r\n"
    b"Nats-Time-Stamp: 2026-03-01T02:15:00.123456789Z\r\nNats-Last-Sequence: 3\r\n\r\n"
)


@pytest.mark.parametrize(
    "raw",
    [
        RECORD,
        b"",
        b"\r\n",
        b"Empty: \r\n\r\n",
        b"Link: a: b\r\n\r\n",
        b"No-Space:value\r\n\r\n",
        b"no header at all\r\nOne: 1\r\n\r\n",
        b"Na\xc3\xafve: 1\r\nOther: \xc3\xa9\xff\r\n\r\n",
    ],
)
def test_headers_are_read_as_nats_py_reads_them(raw: bytes):
    assert QuickClient._parse_header_lines(raw) == Client._parse_header_lines(raw)
