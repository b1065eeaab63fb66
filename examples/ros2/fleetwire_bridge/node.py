"""Between ROS 2 and Fleetwire: odometry, battery, diagnostics and map go up, commands come down."""
import hashlib
import json
import os
import queue
import threading
from collections import deque

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped, Twist
from nav_msgs.msg import OccupancyGrid, Odometry
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy, qos_profile_sensor_data
from rclpy.time import Time
from sensor_msgs.msg import BatteryState
from std_msgs.msg import String
from tf2_ros import Buffer, TransformException, TransformListener

from .api import Api, Refused
from .convert import battery_level, diagnostic_level, known, map_files, position, quaternion_of

POLL_SECONDS = 30
WAITING_LIMIT = 1_000
STOP_HZ = 10.0


class Bridge(Node):
    def __init__(self):
        super().__init__("fleetwire_bridge")
        token = os.environ.get("FLEETWIRE_TOKEN")
        if not token:
            raise SystemExit("set FLEETWIRE_TOKEN to the robot's key")

        def parameter(name, default):
            return self.declare_parameter(name, default).value

        robot_id = parameter("robot_id", "ros-robot-001")
        self.map_frame = parameter("map_frame", "map")
        self.base_frame = parameter("base_frame", "base_link")
        self.api = Api(parameter("url", "http://localhost:8080"), token, robot_id)

        self.odometry = None
        self.battery = None
        self.diagnostics = {}
        self.map_hash = None
        self.is_stopped = False
        self.status = None  # only the newest is worth sending
        self.posts = queue.Queue(WAITING_LIMIT)  # logs and acknowledgements, in order
        self.arrived = queue.Queue()  # commands, for the thread that ROS runs in
        self.closing = threading.Event()
        self.tf = Buffer()
        self.tf_listener = TransformListener(self.tf, self)

        # Relative names, so that a namespace or a remapping moves them all.
        self.create_subscription(Odometry, "odom", self.on_odometry, qos_profile_sensor_data)
        self.create_subscription(BatteryState, "battery_state", self.on_battery, qos_profile_sensor_data)
        self.create_subscription(DiagnosticArray, "/diagnostics", self.on_diagnostics, 10)
        # A map server publishes once, for whoever comes later too.
        kept = QoSProfile(
            depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL
        )
        self.create_subscription(OccupancyGrid, "map", self.on_map, kept)
        self.velocity = self.create_publisher(Twist, "cmd_vel", 10)
        self.goal = self.create_publisher(PoseStamped, "goal_pose", 10)
        self.commands = self.create_publisher(String, "~/commands", 10)
        self.create_subscription(String, "~/acks", self.on_ack, 10)
        self.create_timer(1.0 / parameter("status_hz", 2.0), self.report)
        self.create_timer(1.0 / STOP_HZ, self.on_tick)
        for work in (self.send, self.receive):
            threading.Thread(target=work, daemon=True).start()
        self.get_logger().info(f"reporting {robot_id} to {self.api.url}")

    # From ROS

    def on_odometry(self, message):
        self.odometry = message

    def on_battery(self, message):
        self.battery = battery_level(message)

    def on_diagnostics(self, message):
        """Diagnostics come every second; what is worth a line is that they change."""
        for status in message.status:
            level = diagnostic_level(status.level)
            before = self.diagnostics.get(status.name, ("info", ""))
            self.diagnostics[status.name] = (level, status.message)
            if before != (level, status.message) and (level != "info" or before[0] != "info"):
                self.log(f"diagnostics/{status.name}"[:200], status.message or level, level)

    def on_map(self, message):
        pgm, yaml = map_files(message)
        digest = hashlib.sha256(pgm + yaml.encode()).hexdigest()
        if digest != self.map_hash:
            self.map_hash = digest
            threading.Thread(target=self.upload, args=(pgm, yaml), daemon=True).start()

    def on_ack(self, message):
        """`{"command_id": …, "status": "in_progress" | "completed" | "failed", "message": …}`"""
        try:
            ack = json.loads(message.data)
            self.ack(ack["command_id"], ack["status"], str(ack.get("message", "")))
        except (ValueError, KeyError, TypeError, AttributeError) as wrong:
            self.get_logger().warning(f"~/acks: {wrong!r}")

    # To Fleetwire

    def report(self):
        status = {
            "status": "stopped" if self.is_stopped else "active",
            "mode": "auto",
            "battery_level": self.battery,
        }
        pose = self.pose()
        if pose:
            status["local_position"], status["frame_id"] = pose
        if self.odometry:
            twist = self.odometry.twist.twist
            status["velocity"] = {"linear": known(twist.linear.x), "angular": known(twist.angular.z)}
        self.status = {"status": status}

    def pose(self):
        """In the map if the robot knows where that is, else in odom, which drifts (REP-105); with the frame's name."""
        try:
            found = self.tf.lookup_transform(self.map_frame, self.base_frame, Time())
            move = found.transform
            return position(move.translation, move.rotation), self.map_frame
        except TransformException:
            if not self.odometry:
                return None
            pose = self.odometry.pose.pose
            return position(pose.position, pose.orientation), self.odometry.header.frame_id

    def log(self, topic, message, level):
        self.post("/logs", {"topic": topic, "message": message, "level": level})

    def ack(self, command_id, status, message=""):
        self.post(f"/control/{command_id}/ack", {"status": status, "message": message})

    def post(self, path, body):
        try:
            self.posts.put_nowait((path, body))
        except queue.Full:
            self.get_logger().warning("too much waits for the server; a line is dropped")

    def upload(self, pgm, yaml):
        try:
            map_id = self.api.upload_map(pgm, yaml)
            self.api.call("POST", f"{self.api.robot}/map", {"map_id": map_id})
            self.get_logger().info(f"map {map_id} uploaded")
        except (Refused, OSError) as problem:
            self.map_hash = None  # the next one is tried again
            self.get_logger().warning(f"map: {problem}")

    def send(self):
        """The thread that talks to the server, so that ROS never waits for it."""
        post = None
        while not self.closing.is_set():
            status, self.status = self.status, None
            if status:
                self.deliver("/status", status)
            try:
                post = post or self.posts.get(timeout=0.1)
            except queue.Empty:
                continue
            if self.deliver(*post):
                post = None

    def deliver(self, path, body):
        """False when it is worth another try."""
        try:
            self.api.call("POST", self.api.robot + path, body)
            return True
        except Refused as refusal:
            self.get_logger().warning(f"{path}: {refusal}", throttle_duration_sec=5.0)
            if not refusal.temporary:
                return True
        except OSError as problem:
            self.get_logger().warning(f"no server: {problem}", throttle_duration_sec=5.0)
        self.closing.wait(2)
        return False

    # Commands

    def receive(self):
        """Gets one command after the other; the server holds each request until there is one."""
        seen = deque(maxlen=100)
        while not self.closing.is_set():
            try:
                path = f"{self.api.robot}/control/next?wait={POLL_SECONDS}"
                command = self.api.call("GET", path, timeout=POLL_SECONDS + 10)["command"]
            except (Refused, OSError):
                self.closing.wait(2)
                continue
            if command is None:
                continue
            try:
                # Until this is stored the same command comes again.
                self.api.call("POST", f"{self.api.robot}/control/{command['id']}/ack", {"status": "received"})
            except Refused:
                self.closing.wait(1)  # it has expired, or a stop has cancelled it
                continue
            except OSError:
                pass  # it may have been stored all the same; if not, the command comes again and is known then
            if command["id"] not in seen:
                seen.append(command["id"])
                self.arrived.put(command)

    def on_tick(self):
        if self.is_stopped:
            self.velocity.publish(Twist())
        while not self.arrived.empty():
            self.obey(self.arrived.get())

    def obey(self, command):
        """`stop` and `resume` are done here, `move_to` is nav2's, and the rest whoever listens to ~/commands."""
        kind, parameters, command_id = command["type"], command["parameters"], command["id"]
        self.get_logger().info(f"command {kind} {parameters}")
        if kind in ("stop", "resume"):
            self.is_stopped = kind == "stop"
            self.velocity.publish(Twist())
            self.ack(command_id, "completed")
        elif kind == "move_to" and self.goal.get_subscription_count() > 0:
            self.is_stopped = False
            self.goal.publish(self.goal_of(parameters))
            # nav2's topic does not tell how it went; its action NavigateToPose does.
            self.ack(command_id, "completed", "the goal was handed to the navigation")
        elif self.commands.get_subscription_count() > 0:
            self.ack(command_id, "in_progress")
            self.commands.publish(String(data=json.dumps(command)))
        else:
            self.ack(command_id, "failed", f"nothing on this robot listens to {kind}")

    def goal_of(self, parameters):
        goal = PoseStamped()
        goal.header.frame_id = self.map_frame
        goal.header.stamp = self.get_clock().now().to_msg()
        goal.pose.position.x = float(parameters["x"])
        goal.pose.position.y = float(parameters["y"])
        goal.pose.orientation.z, goal.pose.orientation.w = quaternion_of(parameters.get("yaw", 0.0))
        return goal


def main():
    rclpy.init()
    bridge = Bridge()
    try:
        rclpy.spin(bridge)
    except KeyboardInterrupt:
        pass
    finally:
        bridge.closing.set()
        bridge.destroy_node()
        rclpy.try_shutdown()


if __name__ == "__main__":
    main()
