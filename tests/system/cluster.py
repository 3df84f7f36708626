# SPDX-License-Identifier: MIT
"""Three throw-away RabbitMQ nodes that are one broker, from the shipped files."""

import json
import re
import secrets
import subprocess

from pki import Pki
from rabbitmq import SHIPPED, BrokerFailed, RabbitMQ
from waiting import wait_until

JOIN_S = 300
MEMBERS = ["follower", "follower", "leader"]
NODE = "node"  # the certificate with which a node calls another


def listing(begin: str) -> str:
    """What docs/broker.md shows to type for three nodes, by its beginning."""
    page = (SHIPPED.parents[1] / "docs/broker.md").read_text().split("\n## Three nodes\n")[1]
    (found,) = [one for one in re.findall(r"^```\n(.*?)^```$", page, re.M | re.S) if one.startswith(begin)]
    return found


class Node(RabbitMQ):
    """One of several: they share the port mapper of the first, and a cookie."""

    first: "Node | None" = None
    cookie = ""

    @property
    def name(self) -> str:
        return f"sensorgw-{self.base}@localhost"

    def _make_cookie(self) -> None:
        """Later, when it is known."""

    def _start_epmd(self) -> None:
        if self.first is self:
            super()._start_epmd()

    def _environment(self) -> dict[str, str]:
        return super()._environment() | {"ERL_EPMD_PORT": str(self.first.base + 2)}

    def _write_configuration(self) -> None:
        super()._write_configuration()
        cookie = self.folder / "home" / ".erlang.cookie"
        if not cookie.exists():
            cookie.parent.mkdir(mode=0o700, exist_ok=True)
            cookie.touch(mode=0o600)
            cookie.write_text(self.cookie)
            cookie.chmod(0o400)

        definitions = self.folder / "definitions.json"
        definitions.write_text(definitions.read_text().replace('"classic"', '"quorum"'))

        inter_node = (SHIPPED / "inter_node_tls.config").read_text()
        for shipped, here in (("ca", self.pki / "ca"), ("broker", self.pki / self.certificate),
                              ("node", self.pki / NODE)):
            for kind in ("pem", "key"):
                inter_node = inter_node.replace(
                    f'"/etc/rabbitmq/tls/{shipped}.{kind}"', f'"{here}.{kind}"')
        file = self.folder / "inter_node_tls.config"
        file.write_text(inter_node)
        # On a busy machine a handshake takes longer than Erlang's 7 s.
        env = listing("NODENAME=")
        for shown, here in (("rabbit@broker-1", self.name), ("{192,0,2,11}", "{127,0,0,1}"),
                            ("/etc/rabbitmq/inter_node_tls.config", str(file)),
                            ("-proto_dist", "-kernel net_setuptime 60 -proto_dist")):
            assert shown in env
            env = env.replace(shown, here)
        (self.folder / "rabbitmq-env.conf").write_text(env)


class Cluster:
    """
        with Cluster(pki, gateway=[GATEWAY], archive=["archive"]) as cluster:
            cluster.nodes[0].kill()
            cluster.rejoin(cluster.nodes[0])

    Its users are added when the nodes are one broker, as docs/broker.md has it.
    """

    def __init__(self, pki: Pki, **users: list[str]) -> None:
        pki.client(NODE)
        cookie = secrets.token_hex(20)
        self._users = users
        self.nodes: list[Node] = []
        for _ in range(3):
            node = Node(pki.folder, gateways=(), consumers=(), variants=["cluster", "amqps"])
            node.cookie = cookie
            node.first = self.nodes[0] if self.nodes else node
            self.nodes.append(node)

    def __enter__(self) -> "Cluster":
        try:
            for node in self.nodes:
                node.start()
            for node in self.nodes[1:]:
                for line in listing("sudo rabbitmqctl stop_app").splitlines():
                    line = line.replace("rabbit@broker-1", self.nodes[0].name)
                    _, program, *words = line.replace("rabbit@broker-2", node.name).split()
                    node.ctl(*words, program=program)
            self.wait_whole()
            for role, names in self._users.items():
                self.nodes[0].provision(role, *names)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        for node in reversed(self.nodes):
            node.close()

    def rejoin(self, node: Node) -> None:
        node.start()
        self.wait_whole()

    def wait_whole(self) -> None:
        """Until the queue has its three members, all of them there."""

        def whole() -> bool:
            # Not list_queues: it asks every node, and was seen to wait a minute and more for one
            # that had just come back.
            try:
                words = self.nodes[0].ctl("quorum_status", "sensors", "--formatter", "json",
                                          program="rabbitmq-queues")
            except (BrokerFailed, subprocess.TimeoutExpired):
                return False
            return sorted(row["Raft State"] for row in json.loads(words)) == MEMBERS

        wait_until(whole, JOIN_S, "three members of the queue")


def handshake(port: int, *identity: str) -> str:
    """How far TLS 1.2 gets on a distribution port, in the words of openssl."""
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-tls1_2", *identity],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)
    return done.stdout + done.stderr
