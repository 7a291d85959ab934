-- What migrations ran before the runtime had a branch of its own, when all revisions were one line.

-- revision outbox
CREATE TABLE outbox (
    number INTEGER NOT NULL,
    task_id TEXT NOT NULL,
    message TEXT NOT NULL,
    created_at DATETIME NOT NULL,
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
CREATE TABLE celery_taskmeta (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    task_id VARCHAR(155),
    status VARCHAR(50),
    result BLOB,
    date_done DATETIME,
    traceback TEXT,
    children BLOB,
    name VARCHAR(155),
    args BLOB,
    kwargs BLOB,
    worker VARCHAR(155),
    retries INTEGER,
    queue VARCHAR(155),
    stamps BLOB,
    UNIQUE (task_id)
);
CREATE INDEX ix_celery_taskmeta_date_done ON celery_taskmeta (date_done);
CREATE TABLE celery_tasksetmeta (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    taskset_id VARCHAR(155),
    result BLOB,
    date_done DATETIME,
    UNIQUE (taskset_id)
);
CREATE INDEX ix_celery_tasksetmeta_date_done ON celery_tasksetmeta (date_done);

-- revision payments
CREATE TABLE account (
    id INTEGER NOT NULL,
    email TEXT NOT NULL,
    balance BIGINT NOT NULL,
    CONSTRAINT pk_account PRIMARY KEY (id),
    CONSTRAINT ck_account_covered CHECK (balance >= 0),
    CONSTRAINT uq_account_email UNIQUE (email)
);
CREATE TABLE payment (
    "key" TEXT NOT NULL,
    account_id INTEGER NOT NULL,
    amount BIGINT NOT NULL,
    made_at DATETIME NOT NULL,
    CONSTRAINT pk_payment PRIMARY KEY ("key"),
    CONSTRAINT fk_payment_account_id FOREIGN KEY(account_id) REFERENCES account (id)
);
CREATE INDEX ix_payment_account_id ON payment (account_id);
CREATE INDEX ix_payment_made_at ON payment (made_at);
