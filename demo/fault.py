#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""./demo.sh --fault NAME: a TLS failure is made on the broker, named by sensorgw, and mended.

    fault.py bad-certificate | protocol-version | insufficient-security

$SENSORGW_BUILD names the build tree. Exit status 0: the gateway named the right cause, came back
after the cure, and every reading taken meanwhile arrived.
"""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

from chain import GATEWAY, Chain, heading, paint, paragraph, run
from consumer import Printer
from waiting import wait_until

KEPT = 3  # readings taken while it is broken
HANDSHAKES_S = 60

TLS_1_2 = {"ssl_options.versions": None, "ssl_options.versions.1": "tlsv1.2"}
TLS_1_3 = {"ssl_options.versions": None, "ssl_options.versions.1": "tlsv1.3"}
LECTURE = {
    **TLS_1_2,
    "ssl_options.ciphers": None,
    "ssl_options.ciphers.1": "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256",
}


@dataclass(frozen=True)
class Fault:
    alert: str  # how the broker's log calls it
    cause: str  # how sensorgw calls it
    story: str
    change: list[str]
    cure: list[str]
    settings: dict[str, str | None] = field(default_factory=dict)
    certificate: Callable[[Chain], str] | None = None


def nameless_certificate(chain: Chain) -> str:
    """From the key that the broker has: signed by the right CA, and without any extension."""
    folder, pki = chain.pki.folder, chain.pki

    def openssl(*words: object) -> None:
        subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True, timeout=30)

    openssl("req", "-new", "-key", pki.key("localhost"), "-subj", "/CN=localhost",
            "-addext", "subjectAltName=DNS:localhost", "-out", folder / "nameless.csr")
    openssl("x509", "-req", "-in", folder / "nameless.csr", "-CA", pki.ca, "-CAkey", pki.key("ca"),
            "-CAcreateserial", "-days", "30", "-out", pki.certificate("nameless"))
    pki.key("nameless").write_bytes(pki.key("localhost").read_bytes())
    return "nameless"


FAULTS = {
    "bad-certificate": Fault(
        alert="Bad Certificate",
        cause="name-mismatch",
        story="the broker gets a new certificate, signed by the right CA as many pages show it."
        " The request had a name; 'x509 -req' without -extfile leaves it out.",
        change=["openssl x509 -req -in broker.csr -CA ca.pem -CAkey ca.key -out broker.pem"],
        cure=["sensorgw-pki broker localhost 127.0.0.1    # its certificates have names"],
        certificate=nameless_certificate,
    ),
    "protocol-version": Fault(
        alert="Protocol Version",
        cause="protocol-version",
        story="somebody hardens the broker: TLS 1.3 only. sensorgw is pinned to 1.2.",
        change=["ssl_options.versions.1 = tlsv1.3"],
        cure=["ssl_options.versions.1 = tlsv1.3", "ssl_options.versions.2 = tlsv1.2"],
        settings=TLS_1_3,
    ),
    "insufficient-security": Fault(
        alert="Insufficient Security",
        cause="no-shared-cipher",
        story="the broker's cipher list becomes a single one, for RSA keys; its key is an EC key.",
        change=["ssl_options.versions.1 = tlsv1.2",
                "ssl_options.ciphers.1 = TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256"],
        cure=["ssl_options.ciphers.1 = ECDHE-ECDSA-AES128-GCM-SHA256",
              "ssl_options.ciphers.2 = ECDHE-RSA-AES128-GCM-SHA256"],
        settings=LECTURE,
    ),
}


class Journal:
    """What sensorgw says, printed as it comes."""

    def __init__(self, chain: Chain) -> None:
        self._gateway = chain.gateway
        self._shown = len(chain.gateway.entries())

    def show(self) -> None:
        entries = self._gateway.entries()
        print(paint("2", "  sensorgw's journal:"))
        for entry in entries[self._shown :]:
            paragraph(entry.sentence, "    ", {3: "31", 4: "33"}.get(entry.priority, "32"))
            if "CAUSE" in entry.fields:
                print(paint("2", f"    SENSORGW_CAUSE={entry.fields['CAUSE']}"), flush=True)
        self._shown = len(entries)


def number(reading: dict) -> int:
    return int(reading["id"].rpartition("-")[2])


def rule(lines: list[str]) -> None:
    for line in lines:
        print(paint("36", f"    {line}"))
    sys.stdout.flush()


def broker_says(chain: Chain, alert: str, since: int) -> None:
    lines = chain.broker.log_text()[since:].splitlines()
    (said, *_) = [line for line in lines if f"Fatal - {alert}" in line] or [""]
    if said:
        print(paint("2", "  RabbitMQ's log:"))
        paragraph(said[said.index("TLS server") :], "    ", "2")


def restart_with(chain: Chain, settings: dict[str, str | None], certificate: str) -> None:
    chain.broker.settings, chain.broker.certificate = settings, certificate
    chain.broker.restart()


def show(chain: Chain, fault: Fault, printer: Printer) -> bool:
    chain.start_gateway()
    chain.consumer.wait_for_readings(KEPT, 30)
    journal = Journal(chain)

    heading(f"BROKEN, on the broker ({fault.alert})")
    paragraph(fault.story)
    rule(fault.change)
    paragraph("and RabbitMQ is restarted.\n")
    before, since = number(chain.consumer.readings()[-1]), len(chain.broker.log_text())
    certificate = fault.certificate(chain) if fault.certificate else "localhost"
    restart_with(chain, fault.settings, certificate)

    wait_until(lambda: chain.gateway.entries(CAUSE=fault.cause), HANDSHAKES_S,
               f"sensorgw to say {fault.cause}")
    chain.broker.wait_for_log(f"Fatal - {fault.alert}", since=since)
    journal.show()
    broker_says(chain, fault.alert, since)

    waiting = chain.gateway.wait_state(
        lambda state: state["waiting"] >= KEPT, what=f"{KEPT} readings to wait")["waiting"]
    print(f"\n  The board goes on measuring: {waiting} readings wait in the spool.")

    heading("MENDED, on the broker")
    rule(fault.cure)
    paragraph("RabbitMQ is restarted; 'systemctl reload sensorgw' spares us the wait for the next"
              " attempt.\n")
    restart_with(chain, {}, "localhost")
    chain.gateway.reload()
    chain.gateway.wait_online()

    def in_time_again() -> bool:
        last = chain.consumer.readings()[-1]
        return "late" not in last and number(last) > before + waiting

    wait_until(in_time_again, 30, "what waited, and a reading in time")
    journal.show()
    chain.gateway.stop()
    print()
    complete = printer.verdict() == 0
    late = sum(1 for one in chain.consumer.readings() if one.get("late"))
    print(f"{late} of them came late: taken while {GATEWAY} had no broker, and kept.")
    return complete and late >= KEPT


def main() -> int:
    if sys.argv[1:2] == [] or sys.argv[1] not in FAULTS:
        print(f"usage: fault.py {' | '.join(FAULTS)}", file=sys.stderr)
        return 2
    printer = Printer()
    with Chain(printer.show) as chain:
        return 0 if show(chain, FAULTS[sys.argv[1]], printer) else 1


if __name__ == "__main__":
    run(main)
