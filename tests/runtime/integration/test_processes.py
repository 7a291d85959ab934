"""No connection crosses a fork."""

import socketserver
import threading
from collections import defaultdict

import pytest

from my_celery_project.runtime.testing.fleet import Fleet
from my_celery_project.runtime.testing.servers import wait_until

pytestmark = pytest.mark.integration


class Ports(socketserver.ThreadingTCPServer):
    """A server that notes from which port each process talks to it: a line is a process id."""

    daemon_threads = True

    class RequestHandlerClass(socketserver.StreamRequestHandler):
        server: "Ports"

        def handle(self) -> None:
            for line in self.rfile:
                self.server.ports[int(line)].append(self.client_address[1])

    def __init__(self) -> None:
        self.ports: defaultdict[int, list[int]] = defaultdict(list)
        super().__init__(("127.0.0.1", 0), self.RequestHandlerClass)


def test_each_process_has_a_connection_of_its_own_and_keeps_it(fleet: Fleet) -> None:
    with Ports() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        pool = {"GENERAL_POOL": "prefork", "GENERAL_CONCURRENCY": "2"}
        fleet.start_with("owner", "one", PORT=str(server.server_address[1]), **pool)
        for _ in range(20):
            fleet.send("tests.talk")
        wait_until(lambda: sum(map(len, server.ports.values())) == 20)
        server.shutdown()
    assert len(server.ports) == 2
    first, second = (set(ports) for ports in server.ports.values())
    assert (len(first), len(second)) == (1, 1)
    assert first != second
