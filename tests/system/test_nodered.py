# SPDX-License-Identifier: MIT
"""conf/node-red: the shipped flow in a real Node-RED, its dashboard in a real browser.

The first run fetches the pinned packages from npm's registry (about a minute) into the build tree.
The screenshots are kept in results/ there: look at them.
"""

import json
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest

import browser as browser_program
from board import Board, image_path
from browser import Browser
from frame import Frame
from gateway import Gateway
from nodered import SHIPPED, NodeRed, installed
from pki import Pki
from rabbitmq import CONSUMER, GATEWAY, RabbitMQ
from test_broker import publish
from waiting import wait_until

pytestmark = pytest.mark.skipif(
    not image_path().exists() or not shutil.which("chromium") or not shutil.which("npm"),
    reason="needs the firmware image, chromium and npm",
)

SHOWN_S = 30
SENSOR, CARD = "kitchen", f'[data-sensor="{GATEWAY}/kitchen"]'
OTHER, OTHER_CARD = "attic", f'[data-sensor="{GATEWAY}/attic"]'

# 18.0 to 24.9 °C: every value once in a while.
CURVE = "".join(f"{2 * i},{18 + i % 70 / 10:.1f},{40 + i % 30}\n" for i in range(2000))


@pytest.fixture(scope="module")
def modules(build: Path) -> Path:
    return installed(build / "node-red", SHIPPED)


@pytest.fixture(scope="module")
def results(build: Path) -> Path:
    (build / "results").mkdir(exist_ok=True)
    return build / "results"


@pytest.fixture(scope="module")
def nodered(tmp_path_factory, modules: Path, pki: Pki, broker: RabbitMQ) -> Iterator[NodeRed]:
    with NodeRed(tmp_path_factory.mktemp("nodered"), modules, pki.folder, broker.port) as one:
        yield one


@pytest.fixture(scope="module")
def board(tmp_path_factory) -> Iterator[Board]:
    with Board(tmp_path_factory.mktemp("board"), csv=CURVE, speed=2) as one:
        yield one


@pytest.fixture(scope="module")
def gateway(tmp_path_factory, pki: Pki, broker: RabbitMQ, board: Board, nodered) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("gateway")
    with Gateway(folder, pki, broker.port, {SENSOR: board.link}, state={"interval_s": 5}) as one:
        yield one


@pytest.fixture(scope="module")
def browser(build: Path) -> Iterator[Browser]:
    with Browser(installed(build / "browser", browser_program.SOURCE)) as one:
        yield one


@pytest.fixture(scope="module")
def page(browser: Browser, nodered: NodeRed, gateway: Gateway) -> Browser:
    browser.open(nodered.dashboard)
    browser.wait(CARD)
    return browser


def text(page: Browser, selector: str) -> str:
    return " ".join(page.text(selector)).replace("\n", " ")


def wait_for_text(page: Browser, selector: str, wanted: str, timeout: float = SHOWN_S) -> None:
    wait_until(lambda: wanted in text(page, selector), timeout, f"{wanted!r} in {selector}")


def reading(number: int, **more: object) -> str:
    now = datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return json.dumps({"id": f"5f3a9c12-{number}", "time": now, "gateway": GATEWAY, "sensor": OTHER,
                       "temperature": 7.5, "humidity": 66.0} | more)


def send(broker: RabbitMQ, pki: Pki, payload: str, sensor: str = OTHER) -> None:
    assert publish(broker, pki, f"sensors/{GATEWAY}/{sensor}", payload).returncode == 0


def counted(page: Browser) -> tuple[int, int, int]:
    """Readings, duplicates and those turned away."""
    words = text(page, ".sgw-count").replace(",", "").split()
    return int(words[0]), int(words[3]), int(words[7])


# --- the file


def test_the_flow_is_what_its_source_makes():
    subprocess.run(["node", SHIPPED / "source/build.js", "--check"], check=True, timeout=20)


def test_the_flow_is_safe_to_paste():
    flow = json.loads((SHIPPED / "flows.json").read_text())
    (tls,) = [node for node in flow if node["type"] == "tls-config"]
    (broker,) = [node for node in flow if node["type"] == "mqtt-broker"]
    assert tls["verifyservercert"] and broker["usetls"] and broker["tls"] == tls["id"]
    assert not broker["cleansession"] and not broker["autoUnsubscribe"]  # its session is kept
    assert broker["protocolVersion"] == "4"
    assert {node["qos"] for node in flow if node["type"] == "mqtt in"} == {"1"}
    for value in (tls["ca"], tls["cert"], tls["key"], broker["broker"], broker["port"],
                  broker["clientid"]):
        assert value.startswith("${SENSORGW_")
    assert not any("credentials" in node for node in flow)


def test_the_lock_names_exact_versions_and_no_server():
    wanted = json.loads((SHIPPED / "package.json").read_text())["dependencies"]
    locked = json.loads((SHIPPED / "package-lock.json").read_text())["packages"]
    assert all(locked[f"node_modules/{name}"]["version"] == at for name, at in wanted.items())
    assert not any("resolved" in package for package in locked.values())


# --- the dashboard


def test_it_shows_what_the_board_measured(page, board):
    def shown() -> bool:
        frames = [Frame.parse(line.encode()) for line in board.frames_sent()[-5:]]
        values = [(one.fields["t"], one.fields["rh"]) for one in frames if one.type == "R"]
        card = [text(page, f'{CARD} [data-quantity="{name}"] text')
                for name in ("temperature", "humidity")]
        return tuple(card) in values

    for _ in range(3):  # not by chance
        sent = len(board.frames_sent())
        wait_until(lambda sent=sent: len(board.frames_sent()) > sent, SHOWN_S, "another frame")
        wait_until(shown, SHOWN_S, "the board's values")
    assert "ok" in text(page, CARD)


def test_the_charts_have_every_reading(page, nodered, gateway):
    flow = json.loads((SHIPPED / "flows.json").read_text())
    charts = {node["name"]: node["id"] for node in flow if node["type"] == "ui-chart"}
    for name, identity in charts.items():
        store = json.loads(nodered.get(f"/dashboard/_debug/datastore/{identity}"))
        points = [point for point in store if f"{GATEWAY}/{SENSOR}" in json.dumps(point)]
        assert len(points) >= 3, f"{name}: {store}"


def test_it_shows_how_the_gateway_is(page):
    box = f'[data-gateway="{GATEWAY}"]'
    wait_for_text(page, box, "online")
    assert "TLSv1.3" in text(page, box) and "0 dropped" in text(page, box)


def test_a_sensor_is_found_and_its_duplicates_are_dropped(page, broker, pki):
    before = counted(page)
    send(broker, pki, reading(1))
    page.wait(OTHER_CARD)
    for _ in range(2):
        send(broker, pki, reading(1))
    wait_until(lambda: counted(page)[1] == before[1] + 2, SHOWN_S, "two duplicates")


@pytest.mark.parametrize("payload", ["no JSON", "[]", "{}", reading(2, sensor="kitchen"),
                                     reading(3, gateway="other"), reading(4, id="7"),
                                     reading(5, temperature="warm"), reading(6, time="noon"),
                                     reading(7, **{f"q{i}": i for i in range(8)})])
def test_what_is_no_reading_is_turned_away(page, broker, pki, payload):
    before = counted(page)[2]
    send(broker, pki, payload)
    wait_until(lambda: counted(page)[2] == before + 1, SHOWN_S, "one turned away")
    assert "7.5" in text(page, OTHER_CARD)


def test_the_probe_of_check_is_passed_over(page, broker, pki):
    before = counted(page)
    send(broker, pki, '{"check":true}', "_check")
    send(broker, pki, reading(10))
    wait_until(lambda: counted(page)[0] > before[0], SHOWN_S, "a reading")
    assert counted(page)[2] == before[2] and "_check" not in text(page, "body")


def test_late_is_marked_and_does_not_replace_what_is_newer(page, broker, pki):
    send(broker, pki, reading(11, temperature=8.5))
    wait_for_text(page, OTHER_CARD, "8.5")
    send(broker, pki, reading(12, temperature=1.5, late=True, time="2026-01-01T00:00:00.000Z"))
    send(broker, pki, reading(13, temperature=9.5, late=True))
    wait_for_text(page, OTHER_CARD, "9.5")
    assert "late" in text(page, OTHER_CARD)


def test_late_alone_is_stale(page, broker, pki):
    """What has waited for hours is no news, however lately it came."""
    send(broker, pki, reading(30, sensor="loft", late=True, time="2026-01-01T00:00:00.000Z"), "loft")
    wait_for_text(page, f'[data-sensor="{GATEWAY}/loft"]', "stale")
    assert "days ago" in text(page, f'[data-sensor="{GATEWAY}/loft"]')


def test_a_clock_that_was_wrong_does_not_stop_the_card(page, broker, pki):
    send(broker, pki, reading(31, temperature=2.5, time="2036-01-01T00:00:00.000Z"))
    wait_for_text(page, OTHER_CARD, "2.5")
    send(broker, pki, reading(32, temperature=3.5))
    wait_for_text(page, OTHER_CARD, "3.5")


@pytest.mark.parametrize(("name", "number"), [("constructor", 33), ("__proto__", 35)])
def test_no_name_means_anything_to_the_flow(page, nodered, broker, pki, name, number):
    for each in (number, number + 1):
        payload = reading(each, sensor="odd")
        send(broker, pki, payload.replace('"temperature"', f'"{name}"'), "odd")
    wait_for_text(page, f'[data-sensor="{GATEWAY}/odd"]', name)
    assert "TypeError" not in nodered.log_text()


def test_names_from_outside_are_text(page, broker, pki):
    """A quantity's name is the only free text; it is shown, never run."""
    send(broker, pki, reading(14, **{"<img src=x onerror=alert(1)>": 1.0}))
    wait_for_text(page, OTHER_CARD, "<img src=x")


def test_it_looks_good_and_asks_nobody_else(browser, nodered, page, results):
    page.shot(results / "dashboard-wide.png")
    browser.open(nodered.dashboard, 390, 844)
    browser.wait(CARD)
    wait_for_text(browser, CARD, "ok")
    time.sleep(2)  # the charts draw themselves in
    browser.shot(results / "dashboard-phone.png")
    assert browser.foreign() == []
    browser.open(nodered.dashboard)
    browser.wait(CARD)


def test_what_has_gone_quiet_is_stale(page):
    wait_for_text(page, OTHER_CARD, "stale", 60)


def test_an_unplugged_board_is_absent_and_rings(page, nodered, board, results):
    board.unplug()
    wait_for_text(page, CARD, "absent")
    wait_until(lambda: "state: 'absent'" in nodered.log_text(), SHOWN_S, "the alarm")
    page.shot(results / "dashboard-absent.png")
    board.plug()
    wait_for_text(page, CARD, "ok")
    wait_until(lambda: "was: 'absent'" in nodered.log_text(), SHOWN_S, "its end")


def test_what_comes_while_it_is_away_is_kept(page, nodered, broker, pki):
    nodered.stop()
    for number in (20, 21, 22):
        send(broker, pki, reading(number, sensor="cellar"), "cellar")
    nodered.start()
    page.open(nodered.dashboard)
    page.wait(f'[data-sensor="{GATEWAY}/cellar"]')
    assert len(page.text(f'[data-sensor="{GATEWAY}/cellar"] polyline')) == 2


def test_a_dead_gateway_is_offline_and_so_are_its_sensors(page, nodered, gateway):
    gateway.kill()
    wait_for_text(page, f'[data-gateway="{GATEWAY}"]', "offline")
    wait_for_text(page, CARD, "offline")


# --- the editor


def status_of(url: str, form: dict[str, str] | None = None, token: str = "") -> tuple[int, bytes]:
    data = urllib.parse.urlencode(form).encode() if form else None
    request = urllib.request.Request(url, data, {"Authorization": f"Bearer {token}"} if token else {})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as refusal:
        return refusal.code, b""


@pytest.mark.parametrize("path", ["/", "/flows", "/editor/", "/editor/flows", "/settings"])
def test_without_a_password_there_is_no_editor(nodered, path):
    assert status_of(nodered.url + path)[0] == 404


def test_with_a_password_the_editor_asks_for_it(tmp_path, modules, pki, broker):
    made = subprocess.run(
        ["node", "-p", "require('bcryptjs').hashSync('sesame', 8)"], cwd=modules, check=True,
        capture_output=True, text=True, timeout=20)
    own = {"SENSORGW_EDITOR_HASH": made.stdout.strip(), "SENSORGW_CLIENT_ID": f"{CONSUMER}-locked"}
    with NodeRed(tmp_path, modules, pki.folder, broker.port, environment=own) as one:
        def login(password: str) -> tuple[int, bytes]:
            return status_of(one.url + "/editor/auth/token", {
                "client_id": "node-red-editor", "grant_type": "password", "scope": "*",
                "username": "admin", "password": password})

        assert status_of(one.url + "/editor/flows")[0] == 401
        assert login("guess")[0] == 403
        token = json.loads(login("sesame")[1])["access_token"]
        status, flows = status_of(one.url + "/editor/flows", token=token)
        assert status == 200 and b"mqtt-broker" in flows


# --- other places for it


def test_over_https_it_speaks_nothing_else(tmp_path, modules, pki, broker):
    own = {"SENSORGW_HTTPS_CERT": str(pki.certificate("localhost")),
           "SENSORGW_HTTPS_KEY": str(pki.key("localhost")), "SENSORGW_CLIENT_ID": f"{CONSUMER}-https"}
    with NodeRed(tmp_path, modules, pki.folder, broker.port, environment=own) as one:
        assert b"<html" in one.get("/dashboard").lower()  # the CA and the name were checked
        with pytest.raises(OSError):
            urllib.request.urlopen(one.url.replace("https", "http") + "/dashboard", timeout=10)


def refuses_in_its_log(one: NodeRed, broker: RabbitMQ, pki: Pki) -> None:
    """The subscription stands when a message has come all the way."""
    send(broker, pki, "no JSON")
    wait_until(lambda: "no JSON" in one.log_text(), SHOWN_S, "a message in Node-RED")


def test_the_lines_that_provision_prints_work_as_they_are(tmp_path, modules, pki, broker):
    name = pki.client("hall")
    said = broker.provision("consumer", name)
    lines = dict(line.strip().split("=", 1) for line in said.splitlines() if "SENSORGW_" in line)
    assert len(lines) == 6
    here = {key: value.replace("/etc/sensorgw-dashboard", str(pki.folder)) for key, value in lines.items()}
    with NodeRed(tmp_path, modules, pki.folder, broker.port, environment=here) as one:
        assert f"Connected to broker: {name}-nodered@" in one.log_text()
        refuses_in_its_log(one, broker, pki)
    broker.provision("remove", name)


HAD = [  # a flow with a dashboard of its own
    {"id": "a1", "type": "tab", "label": "mine"},
    {"id": "a2", "type": "ui-base", "name": "mine", "path": "/dashboard"},
    {"id": "a3", "type": "ui-theme", "name": "mine",
     "colors": {"surface": "#000000", "primary": "#000000", "bgPage": "#ffffff", "groupBg": "#ffffff",
                "groupOutline": "#cccccc"},
     "sizes": {"pagePadding": "9px", "groupGap": "9px", "groupBorderRadius": "9px", "widgetGap": "9px"}},
    {"id": "a4", "type": "ui-page", "name": "Mine", "ui": "a2", "path": "/mine", "icon": "home",
     "layout": "grid", "theme": "a3", "order": 1, "visible": "true", "disabled": "false"},
    {"id": "a5", "type": "ui-group", "name": "my group", "page": "a4", "width": "6", "height": "1",
     "order": 1, "showTitle": True, "visible": "true", "disabled": "false", "groupType": "default"},
    {"id": "a6", "type": "ui-text", "z": "a1", "group": "a5", "order": 1, "width": "0", "height": "0",
     "name": "", "label": "my text", "format": "{{msg.payload}}", "layout": "row-left", "x": 90, "y": 40,
     "wires": []},
]


def test_the_flow_is_pasted_into_a_node_red_that_is_there(tmp_path, modules, pki, broker, browser, results):
    """One with a dashboard: ours becomes one more page of it."""
    (tmp_path / "flows.json").write_text(json.dumps(HAD))
    (tmp_path / "settings.js").write_text("""module.exports = {
        flowFile: 'flows.json', uiHost: '127.0.0.1', uiPort: Number(process.env.SENSORGW_HTTP_PORT),
        telemetry: { enabled: false, updateNotification: false }, editorTheme: { tours: false },
    };""")
    own = {"SENSORGW_CLIENT_ID": f"{CONSUMER}-pasted"}
    one = NodeRed(tmp_path, modules, pki.folder, broker.port, environment=own)
    try:
        one.start(connected=False, path="/")
        browser.open(one.url)
        browser.wait('text="mine"')
        browser.press("Control+i")
        browser.fill("#red-ui-clipboard-dialog-import-text", (SHIPPED / "flows.json").read_text())
        browser.press("End")  # it looks at what was pasted when a key is let go
        browser.click("#red-ui-clipboard-dialog-ok")
        browser.wait('.red-ui-tab-label:has-text("sensorgw")')
        browser.click("#red-ui-header-button-deploy")
        wait_until(lambda: f"Connected to broker: {CONSUMER}-pasted@" in one.log_text(), SHOWN_S, "the broker")
        refuses_in_its_log(one, broker, pki)
        browser.shot(results / "editor-pasted.png")
        send(broker, pki, reading(40, sensor="pasted"), "pasted")
        browser.open(one.dashboard)
        browser.wait(f'[data-sensor="{GATEWAY}/pasted"]')
        browser.open(one.url + "/dashboard/mine")
        browser.wait('text="my text"')
    finally:
        one.stop()
