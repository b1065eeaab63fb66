"""The REST API of Fleetwire, with Python's standard library alone."""
import json
import urllib.error
import urllib.parse
import urllib.request
import uuid
from http.client import HTTPException


class Refused(Exception):
    """The server answered, and the answer is no."""

    def __init__(self, status, message):
        super().__init__(f"{message} (HTTP {status})")
        self.status = status
        # The same request may succeed later.
        self.temporary = status == 429 or status >= 500


class Api:
    """Raises Refused, or OSError when there is no answer."""

    def __init__(self, url, token, robot_id):
        self.url = url.rstrip("/") + "/api/v1"
        self.token = token
        self.robot_id = robot_id
        self.robot = "/robots/" + urllib.parse.quote(robot_id, safe="")

    def call(self, method, path, body=None, timeout=10):
        data = None if body is None else json.dumps(body).encode()
        return self._send(method, path, data, "application/json", timeout)

    def upload_map(self, pgm, yaml, name="map"):
        """Gives the id of the map."""
        boundary = uuid.uuid4().hex
        parts = [
            ('name="robot_id"', self.robot_id.encode()),
            (f'name="yaml"; filename="{name}.yaml"', yaml.encode()),
            (f'name="pgm"; filename="{name}.pgm"', pgm),
        ]
        data = b"".join(
            f"--{boundary}\r\nContent-Disposition: form-data; {head}\r\n\r\n".encode() + content + b"\r\n"
            for head, content in parts
        )
        data += f"--{boundary}--\r\n".encode()
        kind = f"multipart/form-data; boundary={boundary}"
        return self._send("POST", "/map/upload", data, kind, timeout=60)["map_id"]

    def _send(self, method, path, data, kind, timeout):
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": kind}
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as refusal:
            try:
                message = json.load(refusal)["error"]
            except (ValueError, KeyError, TypeError):
                message = refusal.reason
            raise Refused(refusal.code, message) from None
        except (ValueError, KeyError, TypeError, HTTPException) as broken:
            raise OSError(f"an answer that is not Fleetwire's: {broken}") from None
