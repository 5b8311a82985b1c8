"""Settings: where they come from, which one wins, and what a mistake is answered."""

from pathlib import Path

import pytest

from nflow import config
from nflow.errors import ConfigError


@pytest.fixture(autouse=True)
def nothing_set(tmp_path, monkeypatch):
    """A user without settings, in an empty working directory."""
    for name in [*map(config.variable, config.names()), "NFLOW_CONFIG"]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_nothing_need_be_set(tmp_path):
    settings = config.load()

    assert settings.server.url is None
    assert settings.server.namespace == "nflow"
    assert settings.home == tmp_path / "state" / "nflow"
    assert settings.worker.slots >= 1
    assert settings.worker.queues == ("workflow", "dag", "task")


def test_the_environment_wins_over_the_file_and_a_flag_over_both(monkeypatch):
    write(Path("nflow.toml"), "[worker]\nslots = 1\ngrace = 1.5\ntasks_per_slot = 11\n")
    monkeypatch.setenv("NFLOW_WORKER_SLOTS", "2")
    monkeypatch.setenv("NFLOW_WORKER_TASKS_PER_SLOT", "22")

    worker = config.load({"worker.slots": 3, "worker.grace": None}).worker

    assert (worker.slots, worker.tasks_per_slot, worker.grace) == (3, 22, 1.5)


def test_the_file_here_wins_over_the_users_own(tmp_path):
    write(tmp_path / "config" / "nflow" / "nflow.toml", '[server]\nnamespace = "own"\n')
    assert config.load().server.namespace == "own"

    write(Path("nflow.toml"), '[server]\nnamespace = "here"\n')

    assert config.load().server.namespace == "here"
    assert config.load().file == Path("nflow.toml").absolute()


def test_a_named_file_wins_over_the_one_here(tmp_path, monkeypatch):
    write(Path("nflow.toml"), '[server]\nnamespace = "here"\n')
    monkeypatch.setenv("NFLOW_CONFIG", str(write(tmp_path / "site.toml", '[server]\nnamespace = "site"\n')))

    assert config.load().server.namespace == "site"


def test_a_named_file_that_is_not_there_is_an_error(monkeypatch):
    monkeypatch.setenv("NFLOW_CONFIG", "missing.toml")

    with pytest.raises(ConfigError, match=r"Cannot read the settings in .*missing\.toml: No such file"):
        config.load()


def test_every_setting_can_come_from_the_environment(tmp_path, monkeypatch):
    values = {
        "home": "there",
        "server.url": "nats://a:4222",
        "server.user": "me",
        "server.password": "word",
        "server.namespace": "x9",
        "server.replicas": "3",
        "workflows.folders": f"flows:{tmp_path}",
        "worker.slots": "4",
        "worker.queues": "task, detector",
        "worker.tasks_per_slot": "5",
        "worker.grace": "0.5",
        "worker.kill_after": "2",
        "worker.slot_memory": "2GiB",
        "worker.recycle_memory": "512MiB",
        "policy.attempts": "3",
        "policy.pause": "30s",
        "policy.on_failure": "stop_dag",
        "policy.timeout": "1h",
        "policy.deadline": "never",
        "blobs.url": "file:///gpfs/nflow",
        "blobs.cache_size": "512 MiB",
        "limits.inline_size": "8KiB",
        "limits.max_value_size": "1073741824",
        "store.url": "mongodb://me:hush@host/nflow",
        "store.timeout": "5",
        "retention.failed": "12h",
        "retention.history": "never",
        "logs.max_size": "2GiB",
        "logs.max_age": "90d",
        "logs.per_task": "1MiB",
    }
    for name, value in values.items():
        monkeypatch.setenv(config.variable(name), value)

    settings = config.load()

    assert {*values, "server.token"} == set(config.names())
    assert settings.home == Path("there").absolute()
    assert settings.server.replicas == 3
    assert settings.workflows.folders == (Path("flows").absolute(), tmp_path)
    assert settings.worker.queues == ("task", "detector")
    assert (settings.worker.kill_after, settings.worker.slot_memory) == (2, 2 * 1024**3)
    assert (settings.policy.pause, settings.policy.timeout, settings.policy.deadline) == (30, 3600, float("inf"))
    assert settings.blobs.folder == Path("/gpfs/nflow")
    assert settings.blobs.cache_size == 512 * 1024**2
    assert (settings.limits.inline_size, settings.limits.max_value_size) == (8192, 1024**3)
    assert (settings.store.database, settings.store.timeout) == ("mongodb://me:hush@host/nflow", 5)
    assert "hush" not in repr(settings)
    assert (settings.retention.failed, settings.retention.history) == (12 * 3600, float("inf"))


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ('"7d"', 604800),
        ('"2 h"', 7200),
        ('"1 h 30 m"', 5400),
        ('"30m"', 1800),
        ('"1h 30m"', 5400),
        ('"0.5d"', 43200),
        ('"90"', 90),
        ("90", 90),
        ('"0s"', 0),
    ],
)
def test_a_duration_has_units_or_is_in_seconds(written, seconds):
    write(Path("nflow.toml"), f"[retention]\nfailed = {written}\n")

    assert config.load().retention.failed == seconds


@pytest.mark.parametrize("written", ['"7 weeks"', '"d"', '"-1h"', "-1", '"nan"', "true", "[]"])
def test_what_is_no_duration_is_refused(written):
    write(Path("nflow.toml"), f"[retention]\nfailed = {written}\n")

    with pytest.raises(ConfigError, match=r"retention\.failed in .*nflow\.toml: "):
        config.load()


def test_data_go_with_their_history_at_the_latest():
    write(Path("nflow.toml"), '[retention]\nfailed = "31d"\n')

    with pytest.raises(ConfigError, match=r"retention\.history is shorter than retention\.failed"):
        config.load()


def test_paths_in_a_file_start_from_the_files_folder(tmp_path, monkeypatch):
    site = write(tmp_path / "site" / "nflow.toml", 'home = "state"\n[workflows]\nfolders = ["flows", "/abs"]\n')

    settings = config.load(file=site)

    assert settings.home == site.parent / "state"
    assert settings.workflows.folders == (site.parent / "flows", Path("/abs"))


def test_an_empty_variable_is_not_set(monkeypatch):
    monkeypatch.setenv("NFLOW_SERVER_URL", "")

    assert config.load().server.url is None


def test_an_unknown_key_is_named_with_its_file_and_the_closest_known_one():
    write(Path("nflow.toml"), '[server]\nulr = "nats://a:4222"\n')

    with pytest.raises(ConfigError, match=r"No setting 'server\.ulr' in .*nflow\.toml\. Did you mean 'server\.url'\?"):
        config.load()


def test_an_unknown_section_is_named():
    write(Path("nflow.toml"), "[workers]\nslots = 2\n")

    with pytest.raises(ConfigError, match=r"No setting 'workers\.slots'.* Did you mean 'worker\.slots'\?"):
        config.load()


def test_an_unknown_flag_is_a_config_error_too():
    with pytest.raises(ConfigError, match=r"'worker\.slot'\. Did you mean 'worker\.slots'\?"):
        config.load({"worker.slot": 2})


@pytest.mark.parametrize("name", ["NFLOW_SERVER_ULR", "NFLOW_SERVR_URL", "NFLOW_WORKERSLOTS", "NFLOW_SERVER"])
def test_a_misspelt_variable_is_named(monkeypatch, name):
    monkeypatch.setenv(name, "x")

    with pytest.raises(ConfigError, match=f"{name} is no setting"):
        config.load()


def test_variables_of_others_are_left_alone(monkeypatch):
    monkeypatch.setenv("NFLOW_TEST_DATA", "/data")

    config.load()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("worker.slots", "0"),
        ("worker.slots", "many"),
        ("worker.queues", ","),
        ("server.replicas", "2"),
        ("server.namespace", "a.b"),
    ],
)
def test_a_value_out_of_range_names_who_set_it(monkeypatch, name, value):
    monkeypatch.setenv(config.variable(name), value)

    with pytest.raises(ConfigError, match=f"^{config.variable(name)}: "):
        config.load()


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("worker.slot_memory", "1KiB", "it has to be at least 64MiB; write it like '2GiB'."),
        ("worker.slot_memory", "2 gigs", "a size is written as '2GiB', '512MB', or a number of bytes."),
        ("worker.slot_memory", "-1", "a size is written as '2GiB', '512MB', or a number of bytes."),
        ("worker.recycle_memory", "0", "it has to be at least 1B; write it like '2GiB'."),
        ("blobs.cache_size", "much", "a size is written as '2GiB', '512MB', or a number of bytes."),
        ("limits.inline_size", "1GiB", "it has to be between 0B and 128KiB; write it like '128KiB'."),
        ("policy.deadline", "0", "it has to be longer than nothing; for no limit write 'never'."),
        ("policy.timeout", "0 s", "it has to be longer than nothing; for no limit write 'never'."),
        ("policy.timeout", "nan", "it has to be longer than nothing; for no limit write 'never'."),
    ],
)
def test_what_is_wrong_with_a_size_or_a_limit_is_told_in_words(name, value, words):
    with pytest.raises(ConfigError) as refused:
        config.load({name: value})

    assert str(refused.value) == f"{name}: {words}"


def test_a_flag_is_called_what_a_person_calls_it():
    with pytest.raises(ConfigError, match=r"^--deadline: "):
        config.load({"policy.deadline": "soon"}, called={"policy.deadline": "--deadline"})


def test_a_size_may_be_written_at_its_very_limits():
    limits = config.load({"limits.inline_size": 0, "worker.slot_memory": "64MiB"})

    assert (limits.limits.inline_size, limits.worker.slot_memory) == (0, 64 * 1024**2)


def test_a_wrong_value_in_a_file_names_the_file():
    write(Path("nflow.toml"), "[worker]\nslots = -1\n")

    with pytest.raises(ConfigError, match=r"^worker\.slots in .*nflow\.toml: "):
        config.load()


def test_a_file_that_is_no_toml_says_where():
    write(Path("nflow.toml"), "[worker\n")

    with pytest.raises(ConfigError, match=r"nflow\.toml is not TOML: .*line 1"):
        config.load()


def test_secrets_are_not_shown(monkeypatch):
    monkeypatch.setenv("NFLOW_SERVER_TOKEN", "s3cret")

    settings = config.load()

    assert "s3cret" not in f"{settings!r} {settings} {settings.model_dump_json()}"
    assert settings.server.token is not None
    assert settings.server.token.get_secret_value() == "s3cret"


@pytest.mark.parametrize(
    "flags",
    [
        {"server.url": "nats://s3cret@a:4222"},
        {"server.token": "s3cret", "server.user": "me"},
        {"server.password": "s3cret"},
        {"server.token": ["s3cret"]},
    ],
)
def test_an_error_about_a_secret_does_not_tell_it(flags):
    with pytest.raises(ConfigError) as refused:
        config.load(flags)

    assert "s3cret" not in str(refused.value)
    assert str(refused.value).startswith("server")


def test_settings_do_not_change():
    with pytest.raises(ValueError, match="frozen"):
        config.load().server.url = "nats://elsewhere:4222"
