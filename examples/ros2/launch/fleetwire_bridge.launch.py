from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

# The key comes in the environment (FLEETWIRE_TOKEN), where no `ros2 param dump` shows it.
ARGUMENTS = {
    "url": "http://localhost:8080",
    "robot_id": "ros-robot-001",
    "status_hz": "2.0",
    "map_frame": "map",
    "base_frame": "base_link",
}


def generate_launch_description():
    declared = [DeclareLaunchArgument(name, default_value=value) for name, value in ARGUMENTS.items()]
    node = Node(
        package="fleetwire_bridge",
        executable="bridge",
        output="screen",
        parameters=[{name: LaunchConfiguration(name) for name in ARGUMENTS}],
    )
    return LaunchDescription([*declared, node])
