"""From ROS messages to what Fleetwire understands. Imports nothing of ROS, so that it can be tried anywhere."""
import math

# As nav2's map_saver writes them.
OCCUPIED_THRESH, FREE_THRESH = 0.65, 0.25
OCCUPIED, FREE, UNKNOWN = 0, 254, 205
# diagnostic_msgs/DiagnosticStatus: OK, WARN, ERROR, STALE
DIAGNOSTIC_LEVELS = ("info", "warn", "error", "error")


def yaw_of(q):
    """Radians, counter-clockwise from x (REP-103); None for a quaternion that is no rotation."""
    norm = math.sqrt(q.x * q.x + q.y * q.y + q.z * q.z + q.w * q.w)
    if not abs(norm - 1) < 1e-2:
        return None
    return math.atan2(2 * (q.w * q.z + q.x * q.y), 1 - 2 * (q.y * q.y + q.z * q.z))


def quaternion_of(yaw):
    """The z and w of a turn about the vertical; x and y are 0."""
    return math.sin(yaw / 2), math.cos(yaw / 2)


def known(value):
    """ROS says NaN for what it does not know; JSON says null."""
    return value if math.isfinite(value) else None


def position(point, orientation):
    """A `local_position`: metres and radians."""
    return {
        "x": known(point.x),
        "y": known(point.y),
        "z": known(point.z),
        "yaw": yaw_of(orientation),
    }


def battery_level(message):
    """Percent of a sensor_msgs/BatteryState, whose percentage is from 0 to 1."""
    share = known(message.percentage)
    return None if share is None else round(min(1.0, max(0.0, share)) * 100, 1)


def diagnostic_level(level):
    """The level of a DiagnosticStatus, which rclpy gives as one byte, as that of a log."""
    number = level[0] if isinstance(level, (bytes, bytearray)) else int(level)
    return DIAGNOSTIC_LEVELS[min(number, 3)]


def map_files(grid, name="map"):
    """A nav_msgs/OccupancyGrid as the two files of map_server: the PGM's bytes and the YAML's text."""
    width, height = grid.info.width, grid.info.height
    shades = bytes(
        UNKNOWN
        if cell < 0
        else OCCUPIED
        if cell >= OCCUPIED_THRESH * 100
        else FREE
        if cell <= FREE_THRESH * 100
        else UNKNOWN
        for cell in grid.data
    )
    # A grid begins at its lower left, an image at its upper left.
    rows = [shades[row * width : (row + 1) * width] for row in reversed(range(height))]
    pgm = f"P5\n{width} {height}\n255\n".encode() + b"".join(rows)
    origin = grid.info.origin
    place = [origin.position.x, origin.position.y, yaw_of(origin.orientation) or 0.0]
    yaml = "\n".join(
        [
            f"image: {name}.pgm",
            "mode: trinary",
            # Messages hold it as a 32 bit float: 0.05 comes as 0.05000000074505806.
            f"resolution: {round(grid.info.resolution, 6)}",
            f"origin: [{', '.join(str(round(value, 6)) for value in place)}]",
            "negate: 0",
            f"occupied_thresh: {OCCUPIED_THRESH}",
            f"free_thresh: {FREE_THRESH}",
            "",
        ]
    )
    return pgm, yaml
