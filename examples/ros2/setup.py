from setuptools import setup

NAME = "fleetwire_bridge"

setup(
    name=NAME,
    version="0.1.0",
    packages=[NAME],
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
        (f"share/{NAME}/launch", ["launch/fleetwire_bridge.launch.py"]),
    ],
    install_requires=["setuptools"],
    zip_safe=True,
    license="MIT",
    entry_points={"console_scripts": [f"bridge = {NAME}.node:main"]},
)
