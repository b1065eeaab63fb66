// Copy to config.h and fill in. config.h holds secrets: keep it out of version control.
#pragma once

#define WIFI_NAME "your network"
#define WIFI_PASSWORD "its password"

// Where Fleetwire listens: an address that the board can reach, so not localhost.
#define FLEETWIRE_URL "http://192.168.1.10:8080"
// The robot's own key: POST /api/v1/keys {"name": "esp32", "robot_id": "esp32-001"}
#define FLEETWIRE_TOKEN "fwr_..."
#define ROBOT_ID "esp32-001"
