

@contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    """Run a Redis for this test run, and yield its URL."""
    binary, port = needed("redis-server"), free_port()
    options = {"port": port, "bind": "127.0.0.1", "dir": folder, "save": ""}
    arguments = [str(word) for name, value in options.items() for word in (f"--{name}", value)]
    with subprocess.Popen([binary, *arguments], stdout=subprocess.DEVNULL) as server:
        try:
            wait_until(lambda: accepts(port))
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            server.terminate()
