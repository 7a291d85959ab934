"""An example of a receiver of alerts: it prints each notification that Alertmanager sends."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HOST, PORT = "0.0.0.0", 9094  # noqa: S104 - a container has no other address


class Receiver(BaseHTTPRequestHandler):
    """Prints what it receives."""

    def do_POST(self) -> None:
        """Print the alerts of a notification."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        alerts = json.loads(body)["alerts"]
        lines = [f"{len(alerts)} alerts in one notification:"]
        for alert in alerts:
            name, summary = alert["labels"]["alertname"], alert["annotations"]["summary"]
            lines.append(f"  {alert['status']}: {name}: {summary}")
        print(*lines, sep="\n", flush=True)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Print no line for the request itself."""


if __name__ == "__main__":
    ThreadingHTTPServer((HOST, PORT), Receiver).serve_forever()
