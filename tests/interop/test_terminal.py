# SPDX-License-Identifier: Apache-2.0
"""The live lines on emulated terminals: pyte truncates lines when it is resized, like xterm; tmux rewraps, like most
terminals. At the end only the complete log is left."""

import codecs
import contextlib
import fcntl
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import termios

import pyte
import pytest
from support import SYSTEM_PATH, spec_of, wait_until

NAMES = ["all-MiniLM-L6-v2", "bge-reranker-base", "flan-t5-small", "whisper-tiny", "clip-vit-base-patch32",
         "a-name-that-is-much-longer-than-others-are", "e5-small", "e5-large", "minilm-12", "nomic-embed-text"]
LINE_OF_LOG = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ (debug|info |warn |error) \S")
NO_WRAP, AUTOWRAP = "\x1b[?7l", pyte.modes.DECAWM


def repositories(size, first=None):
    """Ten models, of which the first may have another size."""
    sizes = [first or size] + [size] * (len(NAMES) - 1)
    return spec_of(*(
        (f"org/{name}", f"{at:02}" + "ab" * 19,
         [{"path": "config.json", "text": f"[{at}]"},
          {"path": "model.safetensors", "size": sizes[at], "seed": at, "lfs": True}])
        for at, name in enumerate(NAMES)))


@pytest.fixture(scope="module")
def quick_hub(start_hub):
    """Ten models in about two seconds."""
    return start_hub("--rate", "2000000", spec=repositories(3_000_000))


@pytest.fixture(scope="module")
def endless_hub(start_hub):
    """Ten models that take longer than any test."""
    return start_hub("--rate", "50000", spec=repositories(10_000_000))


@pytest.fixture(scope="module")
def uneven_hub(start_hub):
    """One model in a second or two, and nine that take longer than any test."""
    return start_hub("--rate", "1000000", spec=repositories(60_000_000, first=2_000_000))


class Screen(pyte.HistoryScreen):
    """Counts the characters that did not fit on a line that must not wrap."""

    def __init__(self, columns, lines):
        super().__init__(columns, lines, history=1000)
        self.cut = 0

    def draw(self, data):
        for character in data:
            self.cut += self.cursor.x >= self.columns and AUTOWRAP not in self.mode
            super().draw(character)

    def resize(self, lines=None, columns=None):
        """Keeps the cursor on its row of text like xterm; pyte removes rows from the top."""
        row, above = self.cursor.y, max(0, self.cursor.y + 1 - (lines or self.lines))
        below = self.lines - (lines or self.lines) - above
        if below > 0:
            self.cursor_position(0, 0)
            self.insert_lines(below)  # pushes as many off the bottom
        super().resize(lines, columns)
        self.cursor.y = row - above

    def rows(self):
        above = ["".join(row[x].data for x in range(self.columns)) for row in self.history.top]
        return [row.rstrip() for row in [*above, *self.display]]


class Terminal:
    """model-prep on a terminal of this size."""

    def __init__(self, command, env, columns, lines):
        self.screen, self.all = Screen(columns, lines), ""
        self.stream = pyte.Stream(self.screen)
        self.decode = codecs.getincrementaldecoder("utf-8")().decode
        self.master, slave = pty.openpty()
        self._tell_size(columns, lines)
        # Its own session, without a controlling terminal: only what is sent to it stops it.
        self.process = subprocess.Popen([str(part) for part in command], env=env, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=slave, start_new_session=True)
        os.close(slave)

    def _tell_size(self, columns, lines):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def resize(self, columns, lines):
        self.screen.resize(lines, columns)
        self._tell_size(columns, lines)

    def read(self):
        """Whether the program may still write."""
        if not select.select([self.master], [], [], 0.05)[0]:
            return True
        try:
            text = self.decode(os.read(self.master, 65536))
        except OSError:  # the other end is closed
            return False
        self.all += text
        self.stream.feed(text.replace("\r\n", "\n").replace("\n", "\r\n"))
        return True

    def read_until(self, condition, what):
        def seen():
            assert self.read(), f"it ended before {what}:\n" + "\n".join(self.screen.rows())
            return condition("\n".join(self.screen.display))
        wait_until(seen, what)

    def close(self):
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()
        os.close(self.master)


@pytest.fixture
def on_terminal(model_prep, tmp_path):
    opened = []

    def run(hub, columns=80, lines=24, *arguments, **variables):
        env = {"PATH": SYSTEM_PATH, "TERM": "xterm", "LANG": "C.UTF-8", "HF_HOME": str(tmp_path)} | variables
        command = [model_prep.program, *(f"org/{name}" for name in NAMES), *arguments]
        opened.append(Terminal(command, model_prep.environment(hub, env), columns, lines))
        return opened[-1]

    yield run
    for terminal in opened:
        terminal.close()


def lines_of_log(rows, columns):
    """The rows as lines, with wrapped rows joined."""
    lines, full = [], False
    for row in rows:
        if full and row and not LINE_OF_LOG.match(row):
            lines[-1] += row
        elif row:
            lines.append(row)
        full = len(row) >= columns - 1  # a blank at the edge
    return lines


def assert_log_only(rows, columns):
    strays = [line for line in lines_of_log(rows, columns) if not LINE_OF_LOG.match(line)]
    assert strays == [], "\n".join(rows)


def assert_sane(screen):
    """Checks that a shell could continue: the cursor is at the start of the row below the log, all modes are reset."""
    assert screen.cursor.x == 0 and not any(row.strip() for row in screen.display[screen.cursor.y:])
    assert AUTOWRAP in screen.mode and pyte.modes.DECTCEM in screen.mode
    assert screen.cursor.attrs == screen.default_char


@pytest.mark.parametrize("columns, lines", [(80, 24), (40, 10), (20, 6), (120, 40)])
def test_live_lines_fit_and_are_erased(quick_hub, on_terminal, columns, lines):
    terminal = on_terminal(quick_hub, columns, lines)
    highest = 0
    while terminal.read():
        live = [row for row in terminal.screen.display if re.search(r" \d+%( |$)", row)]
        highest = max(highest, len(live))
    assert terminal.process.wait(30) == 0, terminal.all
    assert 2 < highest <= lines - 2
    assert terminal.screen.cut == 0
    assert_log_only(terminal.screen.rows(), columns)
    assert_sane(terminal.screen)
    assert "10 of 10 models ready" in "".join(terminal.screen.rows())


def test_a_log_line_appears_complete_above_the_live_lines(uneven_hub, on_terminal):
    terminal = on_terminal(uneven_hub, 80, 24, "--jobs", "64")
    terminal.read_until(lambda text: ": verified sha256" in text.replace("\n", "") and "of 10 ready" in text, "both")
    # With what has scrolled away: the topmost visible row can be the rest of a line.
    rows = [row for row in terminal.screen.rows() if row]
    first = next(at for at, row in enumerate(rows) if re.search(r" \d+%", row))
    assert_log_only(rows[:first], 80)
    assert re.search(r"^total .* of 10 ready$", rows[-2]) and re.search(r"^.*, \d+ of 20 files", rows[-1])


def test_a_resize_leaves_no_remains_where_the_terminal_truncates_lines(endless_hub, on_terminal):
    terminal = on_terminal(endless_hub)
    for columns, lines, seen in [(80, 24, "MB/s  downloading"), (40, 24, "%  downloading"), (120, 30, " MB/s  downloading"),
                                 (50, 12, "%  downloading"), (80, 24, "MB/s  downloading")]:
        terminal.resize(columns, lines)
        terminal.all = ""
        terminal.read_until(lambda text: seen in text and terminal.all.count(NO_WRAP) > 1,
                            f"lines for {columns} columns")
        rows = [row.rstrip() for row in terminal.screen.display]
        assert len([row for row in rows if row.startswith("total ")]) == 1, "\n".join(rows)
    terminal.process.send_signal(signal.SIGINT)
    while terminal.read():
        pass
    assert terminal.process.wait(30) == 130
    assert not [row for row in terminal.screen.rows() if re.search(r" \d+%", row)]
    assert_sane(terminal.screen)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_leaves_the_terminal_in_a_sane_state(endless_hub, on_terminal, number):
    terminal = on_terminal(endless_hub)
    terminal.read_until(lambda text: "MB/s  downloading" in text, "live lines")
    terminal.process.send_signal(number)
    while terminal.read():
        pass
    if number == signal.SIGKILL:  # nobody is left to erase them, but a shell's lines go on as they were
        assert AUTOWRAP in terminal.screen.mode and pyte.modes.DECTCEM in terminal.screen.mode
        return
    assert terminal.process.wait(30) == 128 + number
    assert_log_only(terminal.screen.rows(), 80)
    assert_sane(terminal.screen)


@pytest.mark.parametrize("variables, colours", [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True),
                                                ({"LANG": "C"}, True)])
def test_the_lines_are_ascii_and_coloured_unless_the_environment_forbids_it(endless_hub, on_terminal, variables,
                                                                           colours):
    terminal = on_terminal(endless_hub, **variables)
    # The total, which is bold, is the last but one of the lines; a read may end in the middle of them.
    terminal.read_until(lambda text: "MB/s  downloading" in text and "of 10 ready" in text, "live lines")
    assert bool(re.search(r"\x1b\[\d+m", terminal.all)) == colours
    assert terminal.all.isascii()


@pytest.mark.parametrize("arguments, variables",
                         [([], {"TERM": "dumb"}), ([], {"TERM": ""}), (["--progress", "log"], {})])
def test_without_live_lines_a_terminal_gets_the_log_only(quick_hub, on_terminal, arguments, variables):
    terminal = on_terminal(quick_hub, 80, 24, *arguments, **variables)
    while terminal.read():
        pass
    assert terminal.process.wait(30) == 0
    assert "\x1b" not in terminal.all and "%" not in terminal.all


class Tmux:
    """A terminal that rewraps lines when its width changes."""

    def __init__(self, folder, command, env):
        self.socket = folder / "tmux"
        self(
            "-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "24",
            "env", "-i", *(f"{name}={value}" for name, value in env.items()),
            "sh", "-c", 'trap : INT; seq 40; "$@"; echo "exit code $?"; exec cat', "sh", *command,
        )

    def __call__(self, *arguments):
        return subprocess.run(["tmux", "-S", self.socket, *map(str, arguments)], stdin=subprocess.DEVNULL,
                              env={"PATH": SYSTEM_PATH, "LANG": "C.UTF-8"}, capture_output=True, text=True,
                              check=True).stdout

    def screen(self):
        return [row.rstrip() for row in self("capture-pane", "-p").splitlines()]

    def all_lines(self):
        """All lines, with those that have scrolled away and with wrapped rows joined."""
        return [row.rstrip() for row in self("capture-pane", "-p", "-J", "-S", "-").splitlines()]


# Made narrower a second time, tmux may push lines off its top, with the empty rows that the first time has left below
# them still there; what is off the screen is out of reach.
@pytest.mark.skipif(not shutil.which("tmux"), reason="THERE IS NO tmux")
@pytest.mark.parametrize("widths", [(40, 80, 120), (60, 200), (120, 200, 80)])
def test_a_resize_leaves_no_remains_where_the_terminal_wraps_lines(endless_hub, model_prep, tmp_path, widths):
    words = {40: "%  downloading", 60: "MB/s  downloading", 80: "MB/s  downloading", 120: "10.0 MB  ", 200: "10.0 MB  "}
    env = {"PATH": SYSTEM_PATH, "TERM": "screen", "LANG": "C.UTF-8", "HF_HOME": tmp_path / "home"}
    command = [model_prep.program, *(f"org/{name}" for name in NAMES)]
    tmux = Tmux(tmp_path, command, model_prep.environment(endless_hub, env))
    try:
        for columns in (80, *widths):
            tmux("resize-window", "-x", columns, "-y", 24)

            def is_right():
                rows = [row for row in tmux.screen() if row]
                total = [at for at, row in enumerate(rows) if row.startswith("total ")]
                return any(words[columns] in row for row in rows) and total == [len(rows) - 2]

            wait_until(is_right, f"lines for {columns} columns, the total once and last but one")
        tmux("send-keys", "C-c")
        wait_until(lambda: "exit code 130" in tmux.screen(), "its end")
        lines = [line for line in tmux.all_lines() if line]
        assert lines[:40] == [str(number) for number in range(1, 41)]
        assert lines[-1] == "exit code 130"
        log = [line.removeprefix("^C") for line in lines[40:-1]]
        assert [line for line in log if not LINE_OF_LOG.match(line)] == []
    finally:
        tmux("kill-server")
