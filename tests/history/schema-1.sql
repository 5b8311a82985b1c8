-- What version 1 of the history looks like, as nflow made it: never changed, for there are such files.

CREATE TABLE schema_version (
    version INTEGER NOT NULL
);

CREATE TABLE positions (
    namespace VARCHAR NOT NULL,
    stream VARCHAR NOT NULL,
    seq BIGINT NOT NULL,
    at DOUBLE,
    PRIMARY KEY (namespace, stream)
);

CREATE TABLE runs (
    run VARCHAR NOT NULL,
    namespace TEXT NOT NULL,
    workflow TEXT NOT NULL,
    state TEXT NOT NULL,
    queue TEXT NOT NULL,
    worker TEXT NOT NULL,
    submitted DOUBLE,
    started DOUBLE,
    ended DOUBLE,
    reason TEXT NOT NULL,
    stopped_by TEXT NOT NULL,
    code TEXT NOT NULL,
    engine TEXT NOT NULL,
    directory TEXT NOT NULL,
    folder TEXT NOT NULL,
    keeps_data BOOLEAN NOT NULL,
    parameters TEXT NOT NULL,
    retried INTEGER NOT NULL,
    last_seq BIGINT NOT NULL,
    last_at DOUBLE NOT NULL,
    PRIMARY KEY (run)
)
 WITHOUT ROWID;

CREATE INDEX runs_by_state ON runs (namespace, state, run);

CREATE INDEX runs_by_workflow ON runs (namespace, workflow, run);

CREATE INDEX runs_by_age ON runs (namespace, run);

CREATE TABLE retries (
    run VARCHAR NOT NULL,
    number INTEGER NOT NULL,
    at DOUBLE NOT NULL,
    retried_by TEXT NOT NULL,
    state_before TEXT NOT NULL,
    reason_before TEXT NOT NULL,
    ended_before DOUBLE,
    PRIMARY KEY (run, number)
)
 WITHOUT ROWID;

CREATE TABLE gaps (
    run VARCHAR NOT NULL,
    number INTEGER NOT NULL,
    seq BIGINT NOT NULL,
    at DOUBLE NOT NULL,
    what TEXT NOT NULL,
    PRIMARY KEY (run, number)
)
 WITHOUT ROWID;

CREATE TABLE dags (
    run VARCHAR NOT NULL,
    dag VARCHAR NOT NULL,
    name TEXT NOT NULL,
    state TEXT NOT NULL,
    request TEXT NOT NULL,
    worker TEXT NOT NULL,
    requested DOUBLE,
    started DOUBLE,
    ended DOUBLE,
    reason TEXT NOT NULL,
    stopped_by TEXT NOT NULL,
    opening INTEGER NOT NULL,
    superseded BOOLEAN NOT NULL,
    waiting INTEGER NOT NULL,
    ready INTEGER NOT NULL,
    running INTEGER NOT NULL,
    retrying INTEGER NOT NULL,
    succeeded INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    skipped INTEGER NOT NULL,
    cancelled INTEGER NOT NULL,
    PRIMARY KEY (run, dag)
)
 WITHOUT ROWID;

CREATE TABLE tasks (
    run VARCHAR NOT NULL,
    dag VARCHAR NOT NULL,
    task VARCHAR NOT NULL,
    namespace TEXT NOT NULL,
    workflow TEXT NOT NULL,
    dag_name TEXT NOT NULL,
    state TEXT NOT NULL,
    since DOUBLE,
    reason TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    seconds DOUBLE,
    claim_attempt INTEGER NOT NULL,
    claim_execution INTEGER NOT NULL,
    base INTEGER NOT NULL,
    opening INTEGER NOT NULL,
    PRIMARY KEY (run, dag, task)
)
 WITHOUT ROWID;

CREATE INDEX tasks_by_workflow ON tasks (namespace, workflow, dag_name, task, state, seconds);

CREATE TABLE attempts (
    run VARCHAR NOT NULL,
    dag VARCHAR NOT NULL,
    task VARCHAR NOT NULL,
    attempt INTEGER NOT NULL,
    state TEXT NOT NULL,
    lost INTEGER NOT NULL,
    reason TEXT NOT NULL,
    error TEXT,
    message TEXT,
    traceback TEXT,
    hint TEXT,
    classes TEXT,
    exit_code INTEGER,
    output TEXT,
    PRIMARY KEY (run, dag, task, attempt)
)
 WITHOUT ROWID;

CREATE TABLE executions (
    run VARCHAR NOT NULL,
    dag VARCHAR NOT NULL,
    task VARCHAR NOT NULL,
    attempt INTEGER NOT NULL,
    execution INTEGER NOT NULL,
    state TEXT NOT NULL,
    worker TEXT NOT NULL,
    host TEXT NOT NULL,
    pid INTEGER,
    claimed DOUBLE,
    started DOUBLE,
    ended DOUBLE,
    settled DOUBLE,
    seconds DOUBLE,
    peak_memory_bytes BIGINT,
    PRIMARY KEY (run, dag, task, attempt, execution)
)
 WITHOUT ROWID;

CREATE TABLE pruned (
    run VARCHAR NOT NULL,
    at DOUBLE NOT NULL,
    PRIMARY KEY (run)
)
 WITHOUT ROWID;

INSERT INTO schema_version (version) VALUES (1);
