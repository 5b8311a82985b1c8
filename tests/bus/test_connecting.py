"""Finding out at once whether a server can serve, and saying what is wrong when it cannot."""

import math

import pytest

from nflow.bus.nats import connect
from nflow.bus.topology import LogLimits
from nflow.errors import ServerRefused, ServerTooOld, ServerUnreachable, StorageFull
from tests.bus.conftest import NatsWorld
from tests.servers import Server, free_port


@pytest.fixture
async def world(one_server):
    world = NatsWorld(one_server)
    yield world
    await world.close()


@pytest.fixture
def special(tmp_path):
    """Start a server with settings of its own."""
    servers = []

    def start(**options) -> Server:
        servers.append(Server(tmp_path / f"special{len(servers)}", **options).start())
        return servers[-1]

    yield start
    for server in servers:
        server.kill()


async def test_nobody_there_is_reported_with_the_address():
    port = free_port()

    with pytest.raises(ServerUnreachable, match=f"127.0.0.1:{port}"):
        await connect(f"nats://127.0.0.1:{port}")


async def test_the_second_address_is_tried_when_the_first_does_not_answer(one_server):
    bus = await connect(f"nats://127.0.0.1:{free_port()},{one_server[0].url}", token=one_server[0].token)

    assert bus.connected_for() > 0.0
    await bus.close()


async def test_a_wrong_token_is_refused_and_not_shown(one_server):
    with pytest.raises(ServerRefused) as refused:
        await connect(one_server[0].url, token="guess")

    assert "guess" not in str(refused.value)
    assert "token" in str(refused.value)


async def test_a_server_without_jetstream_is_reported(special):
    server = special(jetstream=False)

    with pytest.raises(ServerTooOld, match="JetStream"):
        await connect(server.url, token=server.token)


async def test_a_second_client_finds_no_differences(world):
    first, second = await world.connect(), await world.connect()

    assert first.differences == second.differences == []


async def test_a_harmless_difference_is_shown_and_left_alone(world):
    bus = await world.connect(namespace="odd")
    api = bus._connection.client.jetstream()
    config = (await api.stream_info("odd_logs")).config
    config.max_age = 3600.0
    await api.update_stream(config)

    again = await world.connect(namespace="odd", logs=LogLimits(age=86400.0))

    assert any("odd_logs" in line and "max_age" in line for line in again.differences)
    assert (await api.stream_info("odd_logs")).config.max_age == 3600.0


async def test_limits_of_the_logs_that_nobody_has_set_here_may_be_any(world):
    await world.connect(namespace="free", logs=LogLimits(size_bytes=2_000_000, age=math.inf))

    again = await world.connect(namespace="free")

    assert again.differences == []


async def test_limits_of_the_logs_are_changed_where_that_is_asked_for(world):
    bus = await world.connect(namespace="less")

    told = await bus.set_log_limits(LogLimits(size_bytes=2_000_000))

    assert told == ["less_logs: max_bytes is 2000000 now; it was 536870912."]
    assert await bus.set_log_limits(LogLimits(size_bytes=2_000_000)) == []
    config = (await bus._connection.client.jetstream().stream_info("less_logs")).config
    assert (config.max_bytes, config.max_age) == (2_000_000, 30 * 86400.0)
    assert (await world.connect(namespace="less", logs=LogLimits(size_bytes=2_000_000))).differences == []


async def test_a_stream_that_cannot_serve_is_refused(world):
    bus = await world.connect(ensure=False)
    await bus._connection.client.jetstream().add_stream(name="bad_jobs", subjects=["bad.job.>"])

    with pytest.raises(ServerRefused, match="bad_jobs"):
        await world.connect(namespace="bad")


async def test_no_room_for_a_stream_is_reported(special):
    server = special(store="max_file: 1MB")

    with pytest.raises(StorageFull, match="room"):
        await connect(server.url, token=server.token)


async def test_a_full_stream_refuses_new_records_and_keeps_the_old(world):
    bus = await world.connect(namespace="full", ensure=False)
    api = bus._connection.client.jetstream()
    await api.add_stream(name="full_events", subjects=["full.event.>"], max_bytes=20_000, discard="new")
    await bus.append("full.event.a", bytes(9000))
    await bus.append("full.event.b", bytes(9000))

    with pytest.raises(StorageFull):
        await bus.append("full.event.c", bytes(9000))

    assert (await api.stream_info("full_events")).state.messages == 2


async def test_a_denied_subject_is_reported_and_the_rest_goes_on(special):
    server = special(
        login='authorization { users: [{ user: "worker", password: "pw", permissions: '
        '{ publish: { deny: ["nflow.blob.>"] } } }] }'
    )
    bus = await connect(server.url, user="worker", password="pw")

    with pytest.raises(ServerRefused, match=r"nflow\.blob\.x"):
        await bus.append("nflow.blob.x", b"x")

    assert await bus.append("nflow.event.x", b"x")
    await bus.close()
