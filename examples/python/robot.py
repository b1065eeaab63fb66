#!/usr/bin/env python3
"""A robot that reports to Fleetwire and does what it is told. Python 3.9 or newer, nothing to install.

    export FLEETWIRE_TOKEN=fwk_...      # an API key, a robot's own key, or a certification key
    python3 robot.py --url http://localhost:8080 --robot-id py-robot-001

Replace the class Body by your machine; the rest is what every robot needs: it registers, sends a status at a rate,
keeps what the server does not take while it is away and sends it later (each sample has an id, so nothing is stored
twice), sends logs, and gets its commands by long-polling.
"""
import argparse
import collections
import json
import math
import os
import random
import signal
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from datetime import datetime, timezone
from http.client import HTTPException

BATCH = 500  # samples of one request; the server takes 1,000
POLL_SECONDS = 30
LONGEST_PAUSE_SECONDS = 15


def say(text):
    print(f"{datetime.now():%H:%M:%S} {text}", flush=True)


def now():
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def without_nan(value):
    """What sensors say when they do not know is null in JSON."""
    if isinstance(value, dict):
        return {key: without_nan(member) for key, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_nan(member) for member in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


class Refused(Exception):
    """The server answered, and the answer is no."""

    def __init__(self, status, message, retry_after=None):
        super().__init__(f"{message} (HTTP {status})")
        self.status = status
        self.retry_after = retry_after
        # The same request may succeed later.
        self.temporary = status == 429 or status >= 500


class Api:
    """The REST API. Raises Refused, or OSError when there is no answer."""

    def __init__(self, url, token, robot_id):
        self.url = url.rstrip("/") + "/api/v1"
        self.token = token
        self.robot = "/robots/" + urllib.parse.quote(robot_id, safe="")

    def call(self, method, path, body=None, timeout=10):
        request = urllib.request.Request(
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as refusal:
            try:
                message = json.load(refusal)["error"]
            except (ValueError, KeyError, TypeError):
                message = refusal.reason
            seconds = refusal.headers.get("Retry-After", "")
            retry_after = int(seconds) if seconds.isdigit() else None
            raise Refused(refusal.code, message, retry_after) from None
        except (ValueError, KeyError, TypeError, HTTPException) as broken:
            raise OSError(f"an answer that is not Fleetwire's: {broken}") from None


class Outbox:
    """What waits for the server: statuses, and before them logs and acknowledgements in their order."""

    def __init__(self, api, limit):
        self.api = api
        self.samples = collections.deque(maxlen=limit)  # the oldest give way
        self.posts = collections.deque(maxlen=limit)
        self.news = threading.Condition()
        self.boot = uuid.uuid4().hex[:8]
        self.count = 0

    def status(self, status):
        with self.news:
            self.count += 1
            event_id = f"{self.boot}-{self.count}"
            sample = {"status": without_nan(status), "timestamp": now(), "event_id": event_id}
            self.samples.append(sample)
            self.news.notify()

    def log(self, topic, message, level="info"):
        body = {"topic": topic, "message": message, "level": level, "timestamp": now()}
        self.post("/logs", {**body, "event_id": uuid.uuid4().hex})

    def ack(self, command_id, status, message):
        self.post(f"/control/{command_id}/ack", {"status": status, "message": message})

    def post(self, path, body):
        with self.news:
            self.posts.append((path, body))
            self.news.notify()

    def run(self, stop):
        """Sends until `stop`, and then what is left, if the server takes it at once."""
        failures = 0
        while True:
            with self.news:
                if not self.posts and not self.samples:
                    if stop.is_set():
                        return
                    self.news.wait(0.5)
                    continue
            waiting = len(self.samples)
            try:
                self.send_next()
            except (Refused, OSError) as problem:
                if stop.is_set():
                    say(f"not sent: {problem}")
                    return
                failures += 1
                longest = min(LONGEST_PAUSE_SECONDS, 0.5 * 2 ** min(failures, 10))
                pause = getattr(problem, "retry_after", None) or random.uniform(0.5, 1) * longest
                say(f"{len(self.samples)} samples wait {pause:.1f} s: {problem}")
                stop.wait(pause)
            else:
                if failures:
                    say(f"the server is back, {waiting} samples waited")
                failures = 0

    def send_next(self):
        with self.news:
            post = self.posts[0] if self.posts else None
            batch = [self.samples[n] for n in range(min(BATCH, len(self.samples)))]
        try:
            if post:
                self.api.call("POST", self.api.robot + post[0], post[1])
            elif len(batch) == 1:
                self.api.call("POST", self.api.robot + "/status", batch[0])
            else:
                body = {"samples": batch}
                verdict = self.api.call("POST", self.api.robot + "/status/batch", body, timeout=30)
                for result in verdict["results"]:
                    if result["result"] == "rejected":
                        say(f"a sample was rejected: {result['reason']}")
        except Refused as refusal:
            # Not the request is wrong but the key or the robot, which somebody may put right: keep it.
            if refusal.temporary or (refusal.status in (401, 403, 404) and not post):
                raise
            say(f"refused: {refusal}")
        with self.news:
            if post:
                if self.posts and self.posts[0] is post:
                    self.posts.popleft()
                return
            # Some may have given way to newer ones meanwhile.
            sent = {sample["event_id"] for sample in batch}
            while self.samples and self.samples[0]["event_id"] in sent:
                self.samples.popleft()


class Body:
    """A pretended machine on a plane; metres, seconds, radians. Put your own here."""

    def __init__(self, outbox):
        self.outbox = outbox
        self.lock = threading.Lock()
        self.x = self.y = self.yaw = 0.0
        self.battery = 100.0
        self.speed = 0.5
        self.is_stopped = False
        self.goal = None  # (x, y, command id)

    def do(self, command):
        """Begins a command. Gives how it ended, or None for one that takes time and is acknowledged later."""
        kind, parameters = command["type"], command["parameters"]
        with self.lock:
            if kind == "stop":
                self.is_stopped = True
                self.give_up("stopped")
                return "completed", "stopped"
            if kind == "resume":
                self.is_stopped = False
                return "completed", "resumed"
            if kind == "set_speed":
                self.speed = min(2.0, max(0.05, parameters["speed"]))
                return "completed", f"{self.speed} m/s"
            if kind == "move_to":
                self.give_up("replaced by a newer goal")
                self.is_stopped = False
                self.goal = (parameters["x"], parameters["y"], command["id"])
                return None
        return "failed", f"this robot cannot {kind}"

    def give_up(self, reason):
        if self.goal:
            self.outbox.ack(self.goal[2], "failed", reason)
            self.goal = None

    def step(self, seconds):
        with self.lock:
            if self.is_stopped or not self.goal:
                return
            x, y, command_id = self.goal
            left = math.hypot(x - self.x, y - self.y)
            share = min(1.0, self.speed * seconds / left) if left > 0 else 1.0
            if left > 0:
                self.yaw = math.atan2(y - self.y, x - self.x)
            self.x += (x - self.x) * share
            self.y += (y - self.y) * share
            self.battery = max(0.0, self.battery - 0.05 * seconds)
            if share == 1.0:
                self.goal = None
                self.outbox.ack(command_id, "completed", "arrived")

    def status(self):
        with self.lock:
            state = "stopped" if self.is_stopped else "active" if self.goal else "idle"
            position = {"x": self.x, "y": self.y, "z": 0, "yaw": self.yaw}
            return {
                "status": state,
                "mode": "auto",
                "battery_level": round(self.battery, 2),
                "local_position": position,
            }


def receive(api, body, outbox, stop):
    """Gets one command after the other; the server holds each request until there is one."""
    seen = collections.deque(maxlen=100)
    while not stop.is_set():
        try:
            path = f"{api.robot}/control/next?wait={POLL_SECONDS}"
            command = api.call("GET", path, timeout=POLL_SECONDS + 10)["command"]
        except (Refused, OSError):
            # Whoever sends the statuses says what is wrong.
            stop.wait(random.uniform(1, 3))
            continue
        if command is None:
            continue
        try:
            # Until this is stored the same command comes again.
            api.call("POST", f"{api.robot}/control/{command['id']}/ack", {"status": "received"})
        except Refused:
            # It has expired, or a stop has cancelled it.
            stop.wait(1)
            continue
        except OSError:
            # It may have been stored all the same. If not, the command comes again, and is known then.
            pass
        if command["id"] in seen:
            continue
        seen.append(command["id"])
        say(f"command {command['type']} {json.dumps(command['parameters'])}")
        outbox.log("commands", f"told to {command['type']}")
        outbox.ack(command["id"], "in_progress", "")
        try:
            end = body.do(command)
        except (KeyError, TypeError, ValueError) as wrong:
            end = "failed", f"bad parameters: {wrong!r}"
        if end:
            outbox.ack(command["id"], *end)


def register(api, arguments, stop):
    """Registers the robot, which is harmless when it is there already; waits for a server that is not."""
    robot = {"robot_id": arguments.robot_id, "robot_type": arguments.type}
    if arguments.name:
        robot["robot_name"] = arguments.name
    while not stop.is_set():
        try:
            say(api.call("POST", "/robots", robot)["message"] + f": {arguments.robot_id}")
            return
        except Refused as refusal:
            # A robot's own key cannot register: its robot is there.
            if refusal.status == 403 and "robots:write" in str(refusal):
                return
            if not refusal.temporary:
                sys.exit(f"cannot register: {refusal}")
            problem = refusal
        except OSError as error:
            problem = error
        say(f"no server yet: {problem}")
        stop.wait(2)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    url = os.environ.get("FLEETWIRE_URL", "http://localhost:8080")
    parser.add_argument("--url", default=url, help="the server (FLEETWIRE_URL; default: %(default)s)")
    parser.add_argument("--robot-id", default="py-robot-001", help="default: %(default)s")
    parser.add_argument("--type", default="mobile_robot", help="default: %(default)s")
    parser.add_argument("--name", help="for people")
    parser.add_argument("--rate", type=float, default=2, help="statuses per second (default: 2)")
    parser.add_argument("--buffer", type=int, default=10_000, help="samples kept while the server is away")
    arguments = parser.parse_args()
    token = os.environ.get("FLEETWIRE_TOKEN")
    if not token:
        parser.error("set FLEETWIRE_TOKEN to an API key or a certification key")
    if not 0 < arguments.rate <= 50 or arguments.buffer < 1:
        parser.error("--rate must be from above 0 to 50, --buffer at least 1")

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    api = Api(arguments.url, token, arguments.robot_id)
    outbox = Outbox(api, arguments.buffer)
    body = Body(outbox)
    register(api, arguments, stop)
    outbox.log("system", "started")
    sender = threading.Thread(target=outbox.run, args=(stop,), daemon=True)
    sender.start()
    # Not waited for at the end: it may hang in its request for as long as that lasts.
    threading.Thread(target=receive, args=(api, body, outbox, stop), daemon=True).start()

    period = 1 / arguments.rate
    due = last = time.monotonic()
    while not stop.is_set():
        instant = time.monotonic()
        body.step(instant - last)
        last = instant
        outbox.status(body.status())
        due = max(due + period, instant)
        stop.wait(due - instant)
    sender.join(timeout=5)
    say(f"stopped after {outbox.count} samples, {len(outbox.samples)} of them not sent")


if __name__ == "__main__":
    main()
