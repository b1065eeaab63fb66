// An ESP32 as a robot of a Fleetwire fleet: it sends statuses and logs, and obeys commands. Nothing is wired to it: the
// LED on the board is the machine. `set_speed` sets how often it blinks a second, `stop` and `pause` hold it.
//
// Needs the board package "esp32" by Espressif and the library ArduinoJson 7. See README.md.

#include <ArduinoJson.h>
#include <HTTPClient.h>
#include <Preferences.h>
#include <WiFi.h>

#include "config.h"
#include "fleet.h"

#ifndef LED_BUILTIN
#define LED_BUILTIN 2
#endif

static const uint32_t kStatusEveryMs = 2000;
static const int kPollSeconds = 20;

static const String kRobot =
    String(FLEETWIRE_URL) + "/api/v1/robots/" + fleet::percentEncoded(ROBOT_ID).c_str();

// Written by the task that gets commands, read by the loop.
static volatile bool isHeld = false;
static volatile float blinksPerSecond = 1;

// The status code of the answer, or below 0 when there was none. The body of the answer is in `answer`.
static int request(const char* method, const String& path, JsonDocument* body, JsonDocument* answer,
                   uint32_t timeoutMs = 8000) {
  WiFiClient connection;  // For https: WiFiClientSecure with setCACert.
  HTTPClient http;
  http.setConnectTimeout(5000);
  http.setTimeout(timeoutMs);
  if (!http.begin(connection, kRobot + path)) return -1;
  http.addHeader("Authorization", "Bearer " FLEETWIRE_TOKEN);
  http.addHeader("Content-Type", "application/json");
  String text;
  if (body) serializeJson(*body, text);
  const int status = http.sendRequest(method, text);
  if (status > 0) {
    const String received = http.getString();
    if (answer && deserializeJson(*answer, received)) {
      http.end();
      return -2;  // Not JSON: some other server.
    }
    if (status >= 400) Serial.printf("%s %s: HTTP %d %s\n", method, path.c_str(), status, received.c_str());
  }
  http.end();
  return status;
}

static bool sendStatus() {
  JsonDocument body;
  JsonObject status = body["status"].to<JsonObject>();
  status["status"] = isHeld ? "stopped" : "active";
  status["mode"] = "auto";
  status["uptime_seconds"] = millis() / 1000;
  status["free_memory_bytes"] = ESP.getFreeHeap();
  JsonObject wifi = status["sensor_overview"].to<JsonArray>().add<JsonObject>();
  wifi["sensor_id"] = "wifi";
  wifi["sensor_type"] = "Signal strength";
  wifi["value"] = WiFi.RSSI();
  wifi["unit"] = "dBm";
  return request("POST", "/status", &body, nullptr) == 200;
}

static void sendLog(const char* topic, const String& message) {
  JsonDocument body;
  body["topic"] = topic;
  body["message"] = message;
  body["level"] = "info";
  request("POST", "/logs", &body, nullptr);
}

// Tries for a while: a command without its end would look unfinished for ever.
static void acknowledge(const String& id, const char* status, const String& message = "") {
  JsonDocument body;
  body["status"] = status;
  body["message"] = message;
  fleet::Backoff backoff(500, 5000);
  for (int attempt = 0; attempt < 8; attempt += 1) {
    const int code = request("POST", "/control/" + id + "/ack", &body, nullptr);
    // Anything from 400 to 499 but 429: it has expired or was cancelled, and is none of ours any more.
    if (code > 0 && code < 500 && code != 429) return;
    delay(backoff.failed(esp_random()));
  }
}

static void obey(const String& id, const String& type, JsonObject parameters) {
  Serial.printf("command %s\n", type.c_str());
  if (type == "stop" || type == "pause") {
    isHeld = true;
    digitalWrite(LED_BUILTIN, LOW);
    acknowledge(id, "completed", "held");
  } else if (type == "resume") {
    isHeld = false;
    acknowledge(id, "completed", "going on");
  } else if (type == "set_speed") {
    blinksPerSecond = constrain(parameters["speed"].as<float>(), 0.1f, 10.0f);
    acknowledge(id, "completed", String(blinksPerSecond) + " blinks/s");
  } else if (type == "reboot") {
    acknowledge(id, "in_progress", "restarting");
    // Only who is up again has rebooted: it says so then.
    Preferences memory;
    memory.begin("fleetwire");
    memory.putString("reboot", id);
    memory.end();
    ESP.restart();
  } else {
    acknowledge(id, "failed", "this robot cannot " + type);
  }
}

// Asks for one command after the other; the server holds each request until there is one.
static void receiveCommands(void*) {
  fleet::SeenCommands seen;
  fleet::Backoff backoff(1000, 15000);
  for (;;) {
    JsonDocument answer;
    const String path = "/control/next?wait=" + String(kPollSeconds);
    const int status = request("GET", path, nullptr, &answer, (kPollSeconds + 10) * 1000);
    if (status != 200) {
      delay(backoff.failed(esp_random()));
      continue;
    }
    backoff.succeeded();
    JsonObject command = answer["data"]["command"];
    if (command.isNull()) continue;
    const String id = command["id"].as<const char*>();
    // Until this is stored the same command comes again.
    acknowledge(id, "received");
    if (seen.isNew(id.c_str())) obey(id, command["type"].as<const char*>(), command["parameters"]);
  }
}

static void finishReboot() {
  Preferences memory;
  memory.begin("fleetwire");
  const String id = memory.getString("reboot", "");
  memory.remove("reboot");
  memory.end();
  if (id != "") acknowledge(id, "completed", "up again");
}

void setup() {
  Serial.begin(115200);
  pinMode(LED_BUILTIN, OUTPUT);
  WiFi.begin(WIFI_NAME, WIFI_PASSWORD);
  while (WiFi.status() != WL_CONNECTED) delay(200);
  Serial.printf("connected as %s\n", WiFi.localIP().toString().c_str());
  finishReboot();
  sendLog("system", "started");
  xTaskCreate(receiveCommands, "commands", 12288, nullptr, 1, nullptr);
}

void loop() {
  static fleet::Backoff backoff(2000, 30000);
  static uint32_t nextStatusMs = 0;
  if (static_cast<int32_t>(millis() - nextStatusMs) >= 0) {
    uint32_t pauseMs = kStatusEveryMs;
    // One that does not get through is not kept: the next is newer.
    if (sendStatus()) {
      backoff.succeeded();
    } else {
      pauseMs = backoff.failed(esp_random());
    }
    nextStatusMs = millis() + pauseMs;
  }
  const uint32_t periodMs = static_cast<uint32_t>(1000 / blinksPerSecond);
  digitalWrite(LED_BUILTIN, !isHeld && millis() % periodMs < periodMs / 2 ? HIGH : LOW);
  delay(10);
}
