"""The app with a task that owns a connection for each process: `celery -A owner worker`."""

import os
import socket
import time

from my_celery_project.celery import app
from my_celery_project.runtime.resources import (
    PerProcess,
)

connect = PerProcess(
    lambda: socket.create_connection(("127.0.0.1", int(os.environ["PORT"]))), socket.socket.close
)


@app.task(name="tests.talk")
def talk() -> None:
    connect().sendall(f"{os.getpid()}\n".encode())
    time.sleep(0.05)  # so that the other process has work, too


connect()  # in the parent, as a careless import would
