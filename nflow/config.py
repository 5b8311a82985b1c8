"""What nflow is set to: a file, then the environment, then the flags of a command; the later wins.

The only module that reads the process's environment. `load()` is called once by a command at its edge, and the
`Settings` it returns are passed on. Slots never import this: pydantic costs them a tenth of a second.
"""

import difflib
import math
import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import unquote, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ByteSize,
    ConfigDict,
    Field,
    SecretStr,
    TypeAdapter,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, InitSettingsSource, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from nflow.errors import ConfigError

#: Names the file that a process reads to see what is in it, where it does: nothing in there may use nflow.
LOOKED_AT = "NFLOW_LOOKED_AT"

PREFIX = "NFLOW_"
FILE_NAME = "nflow.toml"


def _cores() -> int:
    """The cores this process may use, which a batch system may have made fewer than the machine's."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _user_folder(variable: str, default: str) -> Path:
    """A folder of the XDG base directory specification; a relative one is to be ignored, it says."""
    chosen = Path(os.environ.get(variable, ""))
    return chosen if chosen.is_absolute() else Path.home() / default


def _split(value: object, separator: str) -> object:
    return [part.strip() for part in value.split(separator) if part.strip()] if isinstance(value, str) else value


def _number(value: object) -> object:
    """The number of a variable, which is always text: a choice among numbers does not convert it."""
    return int(value) if isinstance(value, str) and value.isdecimal() else value


def _here(value: object) -> object:
    """A path of a flag or a variable, made absolute from the working directory."""
    return Path(value).expanduser().absolute() if isinstance(value, str | Path) else value


#: Seconds in a unit of time.
_UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?\s*[dhms]\s*)+", re.ASCII)
_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)\s*([dhms])", re.ASCII)


def _seconds(value: object) -> object:
    """A duration: '7d', '1h 30m', seconds as a number, or 'never' for what has no end."""
    text = str(value).strip().lower()
    if text == "never":
        return math.inf
    if _DURATION.fullmatch(text):
        return sum(float(amount) * _UNITS[unit] for amount, unit in _AMOUNT.findall(text))
    try:
        return float(text)
    except ValueError:
        raise ValueError("a duration is written as '7d', '12h', '30m', '1h 30m', seconds, or 'never'") from None


def _some(seconds: float) -> float:
    if not seconds > 0:
        raise ValueError("it has to be longer than nothing; for no limit write 'never'")
    return seconds


def _size(value: object, parse: ValidatorFunctionWrapHandler) -> object:
    """A number of bytes, with a unit or without."""
    try:
        return parse(value)
    except ValidationError:
        raise ValueError("a size is written as '2GiB', '512MB', or a number of bytes") from None


def _between(least: str, most: str | None = None) -> AfterValidator:
    """Sizes from this to that one, and what is said of others in the same words."""
    low, high = (_bytes_of(least), None if most is None else _bytes_of(most))
    words = f"between {least} and {most}" if most else f"at least {least}"

    def check(size: ByteSize) -> ByteSize:
        if size < low or (high is not None and size > high):
            raise ValueError(f"it has to be {words}; write it like '{most or '2GiB'}'")
        return size

    return AfterValidator(check)


def _bytes_of(text: str) -> int:
    return TypeAdapter(ByteSize).validate_python(text)


Duration = Annotated[float, BeforeValidator(_seconds), Field(ge=0)]
Limit = Annotated[float, BeforeValidator(_seconds), AfterValidator(_some)]
Size = Annotated[ByteSize, WrapValidator(_size)]
Folder = Annotated[Path, BeforeValidator(_here)]
Folders = Annotated[tuple[Folder, ...], NoDecode, BeforeValidator(lambda value: _split(value, os.pathsep))]
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(lambda value: _split(value, ","))]


class Section(BaseModel):
    """A table of the file. Errors do not show the value, which may be a secret."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Server(Section):
    """The site's server. Without a `url` nflow starts a server of its own."""

    url: str | None = None
    token: SecretStr | None = None
    user: str | None = None
    password: SecretStr | None = None
    namespace: str = Field(default="nflow", pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")
    replicas: Annotated[Literal[1, 3, 5], BeforeValidator(_number)] = 1

    @model_validator(mode="after")
    def _secrets_have_their_own_place(self) -> Self:
        if "@" in (self.url or ""):
            raise ValueError("an address holds no secrets; they go to server.token, or server.user and server.password")
        if self.token is not None and self.user is not None:
            raise ValueError("there is a server.token and a server.user; it takes one of them")
        if self.password is not None and self.user is None:
            raise ValueError("there is a server.password without a server.user")
        return self


class Workflows(Section):
    """Where workflows are looked up by name, after the working directory and its `examples`."""

    folders: Folders = ()


class Worker(Section):
    """What a worker takes on, and how it lets go."""

    slots: int = Field(default_factory=_cores, ge=1, description="tasks at a time; by default the number of cores")
    queues: Names = Field(default=("workflow", "dag", "task"), min_length=1)
    tasks_per_slot: int = Field(default=1000, ge=1, description="a slot is replaced by a fresh one after so many")
    grace: float = Field(default=10.0, ge=0, description="seconds a stopped task has to end by itself")
    kill_after: float = Field(default=5.0, ge=0, description="seconds between SIGTERM and SIGKILL")
    slot_memory: Annotated[Size, _between("64MiB")] | None = Field(default=None, description="that a slot may use")
    recycle_memory: Annotated[Size, _between("1B")] = Field(
        default=ByteSize(1024**3), description="a slot that keeps more than this after a task is replaced"
    )


class Policy(Section):
    """What is done about tasks that fail or take too long, where a workflow says nothing, of runs started here."""

    attempts: int = Field(default=1, ge=1, description="how often a task is tried")
    pause: Duration = Field(default=1.0, description="before the second attempt; each further one is twice as long")
    on_failure: Literal["stop_workflow", "stop_dag", "skip_successors"] = "stop_workflow"
    timeout: Limit = Field(default=math.inf, description="that an attempt may take")
    deadline: Limit = Field(default=math.inf, description="that a run may take")


class Blobs(Section):
    """Where large values are kept on their way from task to task."""

    url: str = Field(default="nats", description="the server, or a shared folder: file:///gpfs/nflow")
    cache_size: Size = Field(default=ByteSize(1024**3), ge=0, description="of values that a worker keeps at hand")

    @field_validator("url")
    @classmethod
    def _is_known(cls, url: str) -> str:
        if url != "nats":
            _shared_folder(url)
        return url

    @property
    def folder(self) -> Path | None:
        """The shared folder, if there is one."""
        return None if self.url == "nats" else _shared_folder(self.url)


class Limits(Section):
    """How large values may be."""

    inline_size: Annotated[Size, _between("0B", "128KiB")] = Field(default=ByteSize(4096), description="in one message")
    max_value_size: Annotated[Size, _between("1B")] = Field(default=ByteSize(2 * 1024**3), description="of one value")


class Logs(Section):
    """What is kept of what tasks print and log. The first two count when the server is set up, and differ else."""

    max_size: Annotated[Size, _between("1MiB")] | None = Field(
        default=None, description="of all runs together; without it 512MiB, or what the server has been set to"
    )
    max_age: Limit | None = Field(default=None, description="without it 30 days, or what the server has been set to")
    per_task: Annotated[Size, _between("64KiB")] = Field(
        default=ByteSize(16 * 1024**2), description="of one attempt: its beginning and its end"
    )


class Retention(Section):
    """How long the server keeps runs that have ended. Workers see to it; those of one server should agree."""

    failed: Duration = Field(default=7 * 86400.0, description="data of runs that failed, were stopped, or keep theirs")
    history: Duration = Field(default=30 * 86400.0, description="events and listings of all runs")

    @model_validator(mode="after")
    def _data_go_before_their_run(self) -> Self:
        if self.history < self.failed:
            raise ValueError("retention.history is shorter than retention.failed: data go with their run at the latest")
        return self


class Store(Section):
    """Where the data that the tasks of a run share are kept. The address of a database may hold a password."""

    url: SecretStr = Field(default=SecretStr("nats"), description="the server, or mongodb://user:password@host/nflow")
    timeout: float = Field(default=60.0, gt=0, description="seconds that a call waits for a database that is away")

    @field_validator("url")
    @classmethod
    def _is_known(cls, url: SecretStr) -> SecretStr:
        if not url.get_secret_value().startswith(("mongodb://", "mongodb+srv://")) and url.get_secret_value() != "nats":
            raise ValueError("it is neither 'nats' nor an address such as 'mongodb://user:password@host:27017/nflow'")
        return url

    @property
    def database(self) -> str | None:
        """The address of the database, with its secrets, if there is one."""
        url = self.url.get_secret_value()
        return None if url == "nats" else url


def _shared_folder(url: str) -> Path:
    parts = urlsplit(url)
    path = unquote(parts.path)
    if parts.scheme != "file" or parts.netloc not in ("", "localhost") or not path.startswith("/") or path == "/":
        raise ValueError(f"'{url}' is neither 'nats' nor a folder, such as 'file:///gpfs/nflow'")
    return Path(path)


class Settings(BaseSettings):
    """Everything that can be set, checked and frozen."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="_",
        env_nested_max_split=1,
        env_ignore_empty=True,
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
    )

    file: Path | None = Field(default=None, description="the file these settings were read from")
    home: Folder = Field(default_factory=lambda: _user_folder("XDG_STATE_HOME", ".local/state") / "nflow")
    server: Server = Server()
    workflows: Workflows = Workflows()
    worker: Worker = Field(default_factory=Worker)
    policy: Policy = Policy()
    blobs: Blobs = Field(default_factory=Blobs)
    limits: Limits = Field(default_factory=Limits)
    store: Store = Store()
    retention: Retention = Field(default_factory=Retention)
    logs: Logs = Logs()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  pydantic-settings passes it by name
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003  pydantic-settings passes it by name
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags, then variables, then the file that `load` names."""
        file = init_settings().get("file")
        return init_settings, env_settings, InitSettingsSource(settings_cls, _read(file) if file else {})


def load(
    overrides: Mapping[str, object] | None = None, *, file: Path | None = None, called: Mapping[str, str] | None = None
) -> Settings:
    """Read the settings of this process.

    Args:
        overrides: The flags of a command by dotted name, such as `{"server.url": "nats://beamline:4222"}`; None stands
            for a flag that was not given.
        file: The file to read instead of the one that `config_file()` finds.
        called: What a person calls the overrides, by dotted name, such as `{"server.url": "--server"}`.

    Raises:
        ConfigError: A setting is unknown or out of range, or the file cannot be read.
    """
    if looked_at := os.environ.get(LOOKED_AT):
        # A file that lists workflows would be read by that listing, which would list them, and so on without end.
        raise ConfigError(
            f"{looked_at} uses nflow as soon as it is read, and it was only to be looked at. Put what it does under "
            "`if __name__ == '__main__':`."
        )
    flags = {name: value for name, value in (overrides or {}).items() if value is not None}
    _refuse_unknown(flags, "")
    _refuse_unknown_variables()
    chosen = file or config_file()
    given = {**_nested(flags), "file": chosen.absolute() if chosen else None}
    try:
        return Settings(**given)
    except ValidationError as error:
        wrong = [(_where(problem["loc"], flags, chosen), problem["msg"]) for problem in error.errors()]
        known = called or {}
        lines = [f"{known.get(where, where)}: {reason.removeprefix('Value error, ')}." for where, reason in wrong]
        raise ConfigError("\n".join(lines)) from None


def config_file() -> Path | None:
    """The file that settings are read from: `NFLOW_CONFIG`, else `nflow.toml` here, else the user's own."""
    if named := os.environ.get("NFLOW_CONFIG"):
        return Path(named).expanduser()
    own = _user_folder("XDG_CONFIG_HOME", ".config") / "nflow" / FILE_NAME
    return next((file for file in (Path(FILE_NAME), own) if _is_there(file)), None)


def _is_there(file: Path) -> bool:
    try:
        return file.is_file()
    except PermissionError:  # the home of somebody else, as `sudo -u` may leave it in the environment
        return False


def glance_environment(file: Path) -> dict[str, str]:
    """This process's environment for one that reads a workflow file, to see what is in it and no more."""
    return {**slot_environment(), LOOKED_AT: str(file)}


def slot_environment() -> dict[str, str]:
    """This process's environment for those that run users' code: without nflow's own variables, which hold secrets."""
    return {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}


def names() -> list[str]:
    """Every setting by its dotted name."""
    sections: dict[str, type[Section]] = {
        "server": Server,
        "workflows": Workflows,
        "worker": Worker,
        "policy": Policy,
        "blobs": Blobs,
        "limits": Limits,
        "store": Store,
        "retention": Retention,
        "logs": Logs,
    }
    return ["home", *(f"{section}.{key}" for section, model in sections.items() for key in model.model_fields)]


def variable(name: str) -> str:
    """The environment variable of a setting: `NFLOW_SERVER_URL` for `server.url`."""
    return PREFIX + name.replace(".", "_").upper()


def _read(file: Path) -> dict[str, Any]:
    """The content of a settings file, its paths made absolute from the file's own folder."""
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError(f"Cannot read the settings in {file}: {reason}.") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file} is not TOML: {error}.") from error
    _refuse_unknown(_flat(content), f" in {file}")
    return _anchored(content, file.parent)


def _anchored(content: dict[str, Any], folder: Path) -> dict[str, Any]:
    def anchor(path: object) -> object:
        return folder / Path(path).expanduser() if isinstance(path, str) else path

    match content:
        case {"workflows": {"folders": list(folders)}}:
            content["workflows"]["folders"] = [anchor(path) for path in folders]
    if "home" in content:
        content["home"] = anchor(content["home"])
    return content


def _refuse_unknown(given: Iterable[str], where: str) -> None:
    known = names()
    sections = {name.partition(".")[0] for name in known}
    for name in given:
        if name not in known and name not in sections:
            raise ConfigError(f"No setting '{name}'{where}.{_guess(name, known)}")


def _refuse_unknown_variables() -> None:
    """Refuse what is meant for nflow but misspelt; other `NFLOW_` variables belong to plugins and test suites."""
    known = [variable(name) for name in names()]
    sections = {name.partition(".")[0] for name in names() if "." in name}
    ours = [name for name in os.environ if name.startswith(PREFIX) and name not in (*known, "NFLOW_CONFIG")]
    for name in ours:
        in_section = name.removeprefix(PREFIX).partition("_")[0].lower() in sections
        if in_section or difflib.get_close_matches(name, known, n=1, cutoff=0.85):
            raise ConfigError(f"The environment variable {name} is no setting.{_guess(name, known)}")


def _guess(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f" Did you mean '{close[0]}'?" if close else f" There are: {', '.join(known)}."


def _where(location: tuple[int | str, ...], flags: Mapping[str, object], file: Path | None) -> str:
    """A setting that did not pass, and who set it."""
    name = ".".join(str(part) for part in location[:2] if isinstance(part, str))
    if any(flag == name or flag.startswith(f"{name}.") for flag in flags):
        return name
    if any(key == variable(name) or key.startswith(f"{variable(name)}_") for key in os.environ):
        return variable(name)
    return f"{name} in {file}" if file else name


def _flat(tree: Mapping[str, object]) -> Iterable[str]:
    """Dotted names of the leaves of a tree of sections."""
    for name, value in tree.items():
        if isinstance(value, dict) and value:
            yield from (f"{name}.{inner}" for inner in value)
        else:
            yield name


def _nested(flags: Mapping[str, object]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for name, value in flags.items():
        section, dot, key = name.partition(".")
        if dot:
            tree.setdefault(section, {})[key] = value
        else:
            tree[section] = value
    return tree
