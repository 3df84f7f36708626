# SPDX-License-Identifier: MIT
"""The firmware image on an emulated board, seen from the other end of its serial cable."""

import os
import random
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from board import Board, BoardError, image_path
from frame import Frame
from optiboot import OLD_NANO, build_optiboot
from terminal import HungUp, Terminal
from waiting import wait_until

# Virtual seconds in a real one. A board that cannot keep up is late, never wrong.
FAST = 20

pytestmark = pytest.mark.skipif(
    not image_path().exists(), reason="no firmware image: gcc-avr or arduino-core-avr is missing"
)


@pytest.fixture(scope="module")
def optiboot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_optiboot(tmp_path_factory.mktemp("optiboot"))


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Board]:
    with Board(tmp_path, speed=FAST) as board:
        yield board


@pytest.fixture
def terminal(board: Board) -> Iterator[Terminal]:
    with Terminal(board.link) as terminal:
        yield terminal


def ask_hello(terminal: Terminal) -> Frame:
    terminal.write(b"?")
    return terminal.frame("H")


def virtual_time_passes(board: Board, seconds: float) -> None:
    until = board.statistics()["time_s"] + seconds
    wait_until(lambda: board.statistics()["time_s"] > until, 30, f"{seconds} virtual seconds")


# What it says of itself


def test_opening_the_port_resets_the_board_which_says_hello(terminal: Terminal) -> None:
    hello = terminal.frame()
    assert (hello.type, hello.node, hello.seq) == ("H", 1, 0)
    assert hello.up_ms < 10
    assert hello.fields == {"fw": "0.1.0", "sens": "dht11", "int": "2000", "rst": "E"}


def test_a_reading_follows_every_two_seconds(terminal: Terminal) -> None:
    assert terminal.frame().type == "H"
    readings = [terminal.frame() for _ in range(5)]
    assert [reading.type for reading in readings] == ["R"] * 5
    assert [reading.seq for reading in readings] == [1, 2, 3, 4, 5]
    for i, reading in enumerate(readings):
        assert abs(reading.up_ms - (1524 + 2000 * i)) <= 3
        assert reading.fields == {"rh": "45.0", "t": "21.5"}
    assert not terminal.damaged


def test_the_ledger_has_what_arrived(board: Board, terminal: Terminal) -> None:
    arrived = [terminal.frame().line for _ in range(4)]
    assert board.frames_sent()[:4] == arrived


def test_a_question_is_answered_by_hello(terminal: Terminal) -> None:
    reading = terminal.frame("R")
    hello = ask_hello(terminal)
    assert hello.seq == reading.seq + 1
    assert hello.up_ms > reading.up_ms
    assert hello.fields["rst"] == "E"


def test_a_flood_of_questions_does_not_starve_the_sensor(board: Board, terminal: Terminal) -> None:
    last = terminal.frame("R")
    for _ in range(20):
        terminal.write(b"?" * 200)
        reading = terminal.frame("R")
        assert 1990 <= reading.up_ms - last.up_ms <= 2060
        last = reading
    assert board.statistics()["watchdog_resets"] == 0
    assert not terminal.damaged


# What it measures


def weather(n: int, seed: int) -> list[tuple[float, float]]:
    chance = random.Random(seed)
    return [(chance.randint(-200, 600) / 10, chance.randint(40, 1000) / 10) for _ in range(n)]


@pytest.mark.parametrize(("speed", "jitter_us", "n"), [(0, 10, 250), (25, 8, 50)])
def test_readings_are_what_the_sensor_measured(
    tmp_path: Path, speed: float, jitter_us: int, n: int
) -> None:
    """A new row every 2 s, half-way between requests. An answer is of the request before it.

    Of the 20 us that a pulse may be wrong, an interrupt can take 10: one reading in some thousands
    is refused (cksum) when each pulse is up to 14 us wrong.
    """
    seed = int(os.environ.get("SENSORGW_TEST_SEED", random.randrange(10**6)))
    print("SENSORGW_TEST_SEED =", seed)
    rows = weather(n, seed)
    csv = "".join(f"{2 * i},{t},{rh}\n" for i, (t, rh) in enumerate(rows))
    options = ["--no-dtr", "--jitter", str(jitter_us), "--seed", str(seed)]

    with Board(tmp_path, *options, csv=csv, speed=speed) as board, Terminal(board.link) as terminal:
        readings = [terminal.frame()]
        terminal.damaged.clear()  # the frame that was on its way when the port was opened
        while readings[-1].up_ms < (n - 1) * 2000:
            readings.append(terminal.frame())

    assert not terminal.damaged
    assert len(readings) > n * 0.8
    for last, reading in zip(readings, readings[1:]):
        assert reading.seq == last.seq + 1
    for reading in readings:
        if reading.type == "H":
            continue
        temperature, humidity = rows[max(reading.up_ms // 2000 - 1, 0)]
        assert reading.type == "R", reading
        assert reading.fields["t"] == f"{temperature:.1f}".replace("-0.0", "0.0")
        assert reading.fields["rh"] == f"{humidity:.1f}"
        assert ("raw" in reading.fields) == (temperature < 0)


def test_below_zero_the_bytes_are_sent_as_well(board: Board, terminal: Terminal) -> None:
    board.command("rh 61")
    board.command("t -3.4")
    reading = terminal.frame("R", lambda reading: reading.fields["t"] != "21.5")
    assert reading.fields == {"rh": "61.0", "t": "-3.4", "raw": "3d000384c4"}


# What it says when the sensor fails


@pytest.mark.parametrize(
    ("fault", "error", "bits"),
    [
        ("noresp", "noresp", 0),
        ("cksum", "cksum", 40),
        ("short:0", "short", 0),
        ("short:1", "short", 1),
        ("short:16", "short", 16),
        ("short:39", "short", 39),
        ("stuck", "stuck", 0),
        ("zero", "range", 40),
        ("dht22", "range", 40),
    ],
)
def test_a_fault_is_named_and_counted(
    board: Board, terminal: Terminal, fault: str, error: str, bits: int
) -> None:
    last = terminal.frame("R")
    board.command(f"fault {fault}")
    for n in (1, 2, 3):
        failure = terminal.frame("E")
        assert failure.fields == {"src": "dht11", "err": error, "bits": str(bits), "n": str(n)}
    board.command("fault none")
    recovered = terminal.frame("R")
    assert recovered.seq - last.seq >= 4
    board.command(f"fault {fault}")
    assert terminal.frame("E").fields["n"] == "1", "counts failures in a row"


def test_a_sensor_out_of_range_is_not_believed(board: Board, terminal: Terminal) -> None:
    board.command("rh 3.9")
    assert terminal.frame("E").fields["err"] == "range"
    board.command("rh 40")
    assert terminal.frame("R").fields["rh"] == "40.0"
    board.command("t 60.1")
    assert terminal.frame("E").fields["err"] == "range"


# Its number


@pytest.mark.parametrize("number", [1, 2, 513, 65535])
def test_the_number_is_kept_over_reset_and_power_loss(tmp_path: Path, number: int) -> None:
    with Board(tmp_path, "--no-dtr", node=77, speed=FAST) as board:
        with Terminal(board.link) as terminal:
            assert ask_hello(terminal).node == 77
            terminal.write(f"!node={number}\r".encode())
            terminal.frame("H", lambda hello: hello.node == number)
            assert terminal.frame("R").node == number
            board.command("reset")
            assert terminal.frame("H", lambda hello: hello.seq == 0).node == number
        board.unplug()
        board.plug()
        with Terminal(board.link) as terminal:
            assert ask_hello(terminal).node == number


def test_a_wrong_number_changes_nothing(terminal: Terminal) -> None:
    terminal.write(b"!node=7\r")
    assert terminal.frame("H", lambda hello: hello.seq > 0).node == 7
    for wrong in (b"!node=0\r", b"!node=65536\r", b"!node=\r", b"node=8\r", b"!node=8x\r"):
        terminal.write(wrong)
    terminal.write(b"!node=" + b"8" * 300 + b"\r")
    reading = terminal.frame("R")
    hello = ask_hello(terminal)
    assert (reading.node, hello.node) == (7, 7)
    assert hello.seq == reading.seq + 1, "nothing wrong is answered"


@pytest.mark.parametrize("content", [b"\xff", b"\x00", b"\x07\x00\xff\xff" + bytes(1020)])
def test_without_a_valid_number_it_is_node_one(tmp_path: Path, content: bytes) -> None:
    eeprom = tmp_path / "eeprom"
    eeprom.write_bytes(content.ljust(1024, content[:1]))
    with Board(tmp_path, "--eeprom", str(eeprom), speed=FAST) as board:
        with Terminal(board.link) as terminal:
            assert terminal.frame("H").node == 1


def test_the_number_outlives_the_emulator(tmp_path: Path) -> None:
    eeprom = tmp_path / "eeprom"
    with Board(tmp_path, "--eeprom", str(eeprom), speed=FAST) as board:
        with Terminal(board.link) as terminal:
            terminal.write(b"!node=4711\r")
            terminal.frame("H", lambda hello: hello.node == 4711)
    with Board(tmp_path, "--eeprom", str(eeprom), speed=FAST) as board:
        with Terminal(board.link) as terminal:
            assert terminal.frame("H").node == 4711


# Resets


def test_the_cause_of_a_reset_is_told(tmp_path: Path) -> None:
    with Board(tmp_path, "--no-dtr", speed=FAST) as board, Terminal(board.link) as terminal:
        assert ask_hello(terminal).fields["rst"] == "P"
        board.command("reset")
        assert terminal.frame("H", lambda hello: hello.seq == 0).fields["rst"] == "E"


def test_the_watchdog_ends_a_hang(board: Board, terminal: Terminal) -> None:
    terminal.frame("R")
    board.command("hang")
    hello = terminal.frame("H")
    assert (hello.seq, hello.fields["rst"]) == (0, "W")
    assert terminal.frame("R").fields["t"] == "21.5"
    assert board.statistics()["watchdog_resets"] == 1


def test_the_image_without_watchdog_hangs_until_it_is_reset(tmp_path: Path) -> None:
    with Board(tmp_path, elf=image_path("sgw-node-old-nano"), speed=FAST) as board:
        with Terminal(board.link) as terminal:
            terminal.frame("R")
            board.command("hang")
            sent = board.statistics()["frames_sent"]
            virtual_time_passes(board, 10)
            assert board.statistics()["frames_sent"] == sent
            board.command("reset")
            assert terminal.frame("H").fields["rst"] == "E"


def test_behind_optiboot_the_cause_is_unknown(tmp_path: Path, optiboot: Path) -> None:
    with Board(tmp_path, "--bootloader", str(optiboot), speed=FAST) as board:
        with Terminal(board.link) as terminal:
            opened_at = board.statistics()["time_s"]
            assert terminal.frame().fields["rst"] == "-"
            assert board.statistics()["time_s"] - opened_at > 0.5, "Optiboot waits first"
            terminal.frame("R")
            board.command("hang")
            assert terminal.frame("H").fields["rst"] == "-"
            assert terminal.frame("R").fields["t"] == "21.5"


def test_behind_the_old_nano_loader_its_own_image_runs(tmp_path: Path) -> None:
    image = image_path("sgw-node-old-nano")
    with Board(tmp_path, "--bootloader", str(OLD_NANO), elf=image, speed=FAST) as board:
        with Terminal(board.link) as terminal:
            assert terminal.frame("H").seq == 0
            assert terminal.frame("R").fields["t"] == "21.5"


def test_behind_the_old_nano_loader_a_watchdog_would_never_let_go(tmp_path: Path) -> None:
    """Why there is an image without one."""
    with Board(tmp_path, "--bootloader", str(OLD_NANO), speed=FAST) as board:
        with Terminal(board.link) as terminal:
            terminal.frame("R")
            board.command("hang")
            sent = board.statistics()["frames_sent"]
            virtual_time_passes(board, 10)
            after = board.statistics()
            assert after["frames_sent"] == sent
            assert after["watchdog_resets"] > 10


# The cable


def test_noise_is_no_frame_and_hides_none(board: Board, terminal: Terminal) -> None:
    terminal.frame("R")
    board.command(r"noise $SGW1,R,1,1,15\xff$$,*ZZ")
    assert terminal.frame().type == "R"
    board.command(r"noise \x00\x80\r\n")
    assert terminal.frame().type == "R"
    assert terminal.damaged == [b"$SGW1,R,1,1,15\xff$$,*ZZ", b"\x00\x80"]


def test_unplugging_hangs_up_and_plugging_in_starts_anew(tmp_path: Path) -> None:
    with Board(tmp_path, "--no-dtr", speed=FAST) as board:
        with Terminal(board.link) as terminal:
            terminal.frame("R")
            board.unplug()
            assert not board.link.is_symlink()
            with pytest.raises(HungUp):
                while True:
                    terminal.frame()
        board.plug()
        assert board.link.resolve() == board.port
        with Terminal(board.link) as terminal:
            hello = ask_hello(terminal)
            assert hello.fields["rst"] == "P"


def test_a_killed_emulator_hangs_up(board: Board, terminal: Terminal) -> None:
    terminal.frame()
    board.kill()
    with pytest.raises(HungUp):
        while True:
            terminal.frame()


def test_what_nobody_read_is_lost(tmp_path: Path) -> None:
    with Board(tmp_path, "--no-dtr", speed=FAST) as board:
        with Terminal(board.link) as first:
            last = first.frame("R")
            sent = len(board.frames_sent())
            wait_until(lambda: len(board.frames_sent()) >= sent + 3, 20, "frames nobody reads")
            unread = Frame.parse(board.frames_sent()[-1].encode())
        wait_until(lambda: board.statistics()["open"] == 0, 20, "the port to be closed")
        with Terminal(board.link) as second:
            assert second.frame("R").up_ms > unread.up_ms > last.up_ms


def test_a_wrong_baud_rate_is_noticed(tmp_path: Path) -> None:
    with Board(tmp_path, "--strict-baud", "--no-dtr", speed=FAST) as board:
        with Terminal(board.link, termios.B9600) as terminal:
            virtual_time_passes(board, 6)
            assert board.statistics()["bytes_sent"] > 50
            with pytest.raises(TimeoutError):
                terminal.frame(timeout=0)
            assert not board.frames_sent()
        wait_until(lambda: board.statistics()["open"] == 0, 20, "the port to be closed")
        with Terminal(board.link) as terminal:
            assert ask_hello(terminal).type == "H"


def test_boards_run_side_by_side(tmp_path: Path) -> None:
    with Board(tmp_path, name="one", node=1, speed=FAST) as one:
        with Board(tmp_path, name="two", node=2, speed=FAST) as two:
            one.command("t 11")
            two.command("t 22")
            with Terminal(one.link) as first, Terminal(two.link) as second:
                assert first.frame("R", lambda r: r.fields["t"] == "11.0").node == 1
                assert second.frame("R", lambda r: r.fields["t"] == "22.0").node == 2


# The emulator itself


@pytest.mark.parametrize(
    "command",
    ["fault", "fault nonsense", "fault short:40", "t", "t warm", "rh -1", "noise \\q", "plug", "x"],
)
def test_a_wrong_command_is_refused(board: Board, terminal: Terminal, command: str) -> None:
    terminal.frame()
    with pytest.raises(BoardError, match="error"):
        board.command(command)


def test_it_ends_with_its_input_and_removes_its_link(tmp_path: Path) -> None:
    board = Board(tmp_path)
    board.start()
    assert board.link.is_symlink()
    assert board.stop() == 0
    assert not board.link.is_symlink()


# The documentation


def test_every_frame_in_the_documentation_is_one() -> None:
    page = Path(__file__).parents[2] / "docs/frame.md"
    lines = [line.strip() for line in page.read_text().splitlines()]
    frames = [line for line in lines if line.startswith("$SGW1") and "\\x" not in line]
    assert len(frames) > 10
    for line in frames:
        Frame.parse(line.encode())
