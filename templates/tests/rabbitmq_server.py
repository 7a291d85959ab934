

@contextmanager
def rabbitmq_server(folder: Path) -> Iterator[str]:
    """Run a RabbitMQ for this test run, with the project's configuration, and yield its URL."""
    binary, port, epmd_port = needed("rabbitmq-server"), free_port(), free_port()
    (folder / "plugins").write_text("[].\n", encoding="utf-8")
    environment = {
        **os.environ,
        "HOME": str(folder),  # the Erlang cookie
        "ERL_EPMD_PORT": str(epmd_port),
        "RABBITMQ_CONFIG_FILE": str(ROOT / "deploy" / "rabbitmq.conf"),
        "RABBITMQ_DIST_PORT": str(free_port()),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_LOG_BASE": str(folder),
        "RABBITMQ_MNESIA_BASE": str(folder),
        "RABBITMQ_NODENAME": f"test-{port}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_PID_FILE": str(folder / "pid"),
    }
    # Start the daemon that names Erlang's nodes here, so that it ends with the tests.
    epmd = [needed("epmd"), "-port", str(epmd_port), "-address", "127.0.0.1"]
    with (
        (folder / "output").open("wb") as output,
        subprocess.Popen(epmd, env=environment) as names,
    ):
        try:
            wait_until(lambda: accepts(epmd_port))
            with subprocess.Popen(
                [binary], env=environment, stdout=output, process_group=0
            ) as server:
                try:
                    wait_until(lambda: speaks_amqp(port), timeout=60)
                    yield f"amqp://guest:guest@127.0.0.1:{port}//"
                finally:
                    os.killpg(server.pid, signal.SIGKILL)
        finally:
            names.kill()


def speaks_amqp(port: int) -> bool:
    """Whether a server answers the header of AMQP 0-9-1."""
    with socket.socket() as client:
        client.settimeout(1)
        try:
            client.connect(("127.0.0.1", port))
            client.sendall(b"AMQP\0\0\x09\x01")
            return bool(client.recv(1))
        except OSError:
            return False
