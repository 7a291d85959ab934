-- What migrations ran before the runtime had a branch of its own, when all revisions were one line.

-- revision outbox
CREATE TABLE outbox (
    number BIGSERIAL NOT NULL,
    task_id TEXT NOT NULL,
    message TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_outbox PRIMARY KEY (number),
    CONSTRAINT uq_outbox_task_id UNIQUE (task_id)
);

-- revision dead_letters
CREATE TABLE dead_letter (
    id TEXT NOT NULL,
    failed_at TEXT NOT NULL,
    letter TEXT NOT NULL,
    replay TEXT,
    CONSTRAINT pk_dead_letter PRIMARY KEY (id)
);
CREATE INDEX ix_dead_letter_failed_at ON dead_letter (failed_at);

-- revision results
CREATE SEQUENCE task_id_sequence;
CREATE SEQUENCE taskset_id_sequence;
CREATE TABLE celery_taskmeta (
    id SERIAL NOT NULL,
    task_id VARCHAR(155),
    status VARCHAR(50),
    result BYTEA,
    date_done TIMESTAMP WITHOUT TIME ZONE,
    traceback TEXT,
    children BYTEA,
    name VARCHAR(155),
    args BYTEA,
    kwargs BYTEA,
    worker VARCHAR(155),
    retries INTEGER,
    queue VARCHAR(155),
    stamps BYTEA,
    PRIMARY KEY (id),
    UNIQUE (task_id)
);
CREATE INDEX ix_celery_taskmeta_date_done ON celery_taskmeta (date_done);
CREATE TABLE celery_tasksetmeta (
    id SERIAL NOT NULL,
    taskset_id VARCHAR(155),
    result BYTEA,
    date_done TIMESTAMP WITHOUT TIME ZONE,
    PRIMARY KEY (id),
    UNIQUE (taskset_id)
);
CREATE INDEX ix_celery_tasksetmeta_date_done ON celery_tasksetmeta (date_done);

-- revision payments
CREATE TABLE account (
    id BIGSERIAL NOT NULL,
    email TEXT NOT NULL,
    balance BIGINT NOT NULL,
    CONSTRAINT pk_account PRIMARY KEY (id),
    CONSTRAINT ck_account_covered CHECK (balance >= 0),
    CONSTRAINT uq_account_email UNIQUE (email)
);
CREATE TABLE payment (
    key TEXT NOT NULL,
    account_id BIGINT NOT NULL,
    amount BIGINT NOT NULL,
    made_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_payment PRIMARY KEY (key),
    CONSTRAINT fk_payment_account_id FOREIGN KEY(account_id) REFERENCES account (id)
);
CREATE INDEX ix_payment_account_id ON payment (account_id);
CREATE INDEX ix_payment_made_at ON payment (made_at);
